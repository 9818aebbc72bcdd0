"""Runs the benchmark of the labels room and prints its figures as Markdown: `make bench`.

Only ratios within one run mean anything: the machine's other work slows all cases alike. So the runs of
all cases are interleaved, each case's best run counts, and seconds are processor time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import corpus
from benchmarks.cases import CASES

ROUNDS = 3
SLOW = {"label_studio_conll", "datasets_map"}
"""Run once: they take as long as all others together."""


def run(case: str, folder: Path) -> dict[str, Any]:
    """One run of a case in a process of its own, on one core."""
    warm = folder.parent / "warm"
    corpus.write(warm, 50)
    command = [sys.executable, "-m", "benchmarks.cases", case, str(folder), str(warm)]
    core = sorted(os.sched_getaffinity(0))[:1]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, core)
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(folder: Path, cases: list[str]) -> dict[str, dict[str, float]]:
    """Best processor seconds and highest peak of each case."""
    best: dict[str, dict[str, float]] = {}
    for turn in range(ROUNDS):
        for case in cases:
            if turn and case in SLOW:
                continue
            found = run(case, folder)
            before = best.setdefault(case, found)
            before["cpu"] = min(before["cpu"], found["cpu"])
            before["peak"] = max(before["peak"], found["peak"])
    return best


def show(best: dict[str, dict[str, float]], documents: int) -> None:
    """The table and the ratios that are aimed at."""
    print(
        f"\n{documents:,} documents, Python {platform.python_version()}, {os.cpu_count()} cores, one used.\n"
    )
    print("| case | documents/s | peak MiB |\n|---|---|---|")
    for case, found in best.items():
        print(f"| {case} | {documents / found['cpu']:,.0f} | {found['peak'] / 1024:.0f} |")
    rate = {case: documents / found["cpu"] for case, found in best.items()}
    print("\n| ratio | measured | aim |\n|---|---|---|")
    for title, one, other, aim in (
        ("Azure ML to Language, to bare msgspec", "ours_to_language", "floor_rows", "0.6"),
        ("Language to Azure ML, to bare msgspec", "ours_to_azureml", "floor_entries", "0.6"),
        ("Azure ML to Language, to orjson", "ours_to_language", "orjson_rows", ""),
        ("Azure ML to Language, to label-studio-sdk's CoNLL", "ours_to_language", "label_studio_conll", "25"),
        ("CoNLL, to label-studio-sdk's CoNLL", "ours_to_conll", "label_studio_conll", ""),
        ("Azure ML to Language, to datasets' map", "ours_to_language", "datasets_map", ""),
    ):
        if one in rate and other in rate:
            print(f"| {title} | {rate[one] / rate[other]:.2f} | {aim} |")


def show_memory(folder: Path, few: int, many: int) -> None:
    """Peak memory of each of our cases for few and for many documents."""
    print(f"\n| peak MiB | {few:,} documents | {many:,} documents | ratio (aim: 1.10) |\n|---|---|---|---|")
    for number in (few, many):
        corpus.write(folder / str(number), number, peers=False)
    for case in ("ours_to_language", "ours_to_azureml", "ours_to_snapshot"):
        low, high = (run(case, folder / str(number))["peak"] for number in (few, many))
        print(f"| {case} | {low / 1024:.1f} | {high / 1024:.1f} | {high / low:.2f} |", flush=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument(
        "--memory", type=int, default=1_000_000, help="documents of the memory test; 0 skips it"
    )
    parser.add_argument("--folder", type=Path, default=Path(".labelbridge/bench"))
    parser.add_argument("--only", nargs="*", choices=sorted(CASES), help="these cases, all if not given")
    given = parser.parse_args()
    folder = given.folder / str(given.documents)
    corpus.write(folder, given.documents)
    show(measure(folder, given.only or list(CASES)), given.documents)
    if given.memory:
        show_memory(given.folder, 10_000, given.memory)


if __name__ == "__main__":
    main()
