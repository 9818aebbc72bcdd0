"""How long a `--help` takes, beside an interpreter that does nothing; Markdown on stdout.

python -m benchmarks.start --runs 20
"""

import argparse
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

COMMANDS = ((), ("switch",), ("sync",), ("wait",), ("events", "replay"), ("snapshots", "diff"), ("convert",))


def timed(command: Sequence[str], runs: int) -> float:
    """Median seconds of a process; one more warms the disk's cache and does not count."""
    found = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return median(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.start")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    bare = timed([sys.executable, "-c", "pass"], runs)
    program = str(Path(sysconfig.get_path("scripts")) / "labelbridge")
    print(
        f"| command | median of {runs}, ms | ratio to `python -c pass` ({bare * 1000:.0f} ms) |\n|---|---|---|"
    )
    for words in COMMANDS:
        took = timed([program, *words, "--help"], runs)
        print(f"| `labelbridge {' '.join((*words, '--help'))}` | {took * 1000:.0f} | {took / bare:.1f} |")


if __name__ == "__main__":
    main()
