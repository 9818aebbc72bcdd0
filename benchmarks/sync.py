"""A sync of a large project through Temporal, Azurite and the local Azure, then one with a few changes.

`python -m benchmarks.sync --documents 10000` prints, as Markdown, the seconds of each sync, of each of its
steps, how many documents were read, and the worker's peak memory. Labels are put into the labeling studio's
state file: a hundred thousand label writes one by one would measure the studio, not the sync.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import corpus
from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.client import Labelbridge
from labelbridge.local.env import FAST
from labelbridge.local.seed import DATA_ACCOUNT, SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind, Studio
from tests.projects import ENTITIES, write_folder

TIMING = {
    **FAST,
    "EFFECT_DEADLINE": "PT20S",
    "EFFECT_TIMEOUT": "PT25S",
    "DRAIN": "PT21S",
    "LOOK_AGAIN": "PT20S",
}
TIMING |= {"STEP_PATIENCE": "PT60M", "DRAIN_DEADLINE": "PT30M"}
"""The real deadlines, since a large body takes longer to send; no sync waits for any of them."""
PARALLEL = 256
"""Uploads at once."""


class Corpus:
    """Documents and their labels, in the categories of the seeded project."""

    def __init__(self, documents: int) -> None:
        self.count = documents
        self._chance = random.Random(corpus.SEED)

    def names(self, share: float = 1.0) -> list[str]:
        return [f"report{number:07}.txt" for number in range(max(1, int(self.count * share)))]

    def one(self) -> tuple[bytes, list[dict[str, Any]]]:
        text, spans = corpus.document(self._chance)
        labels = [
            {
                "label": ENTITIES[corpus.CATEGORIES.index(category) % 2],
                "offsetStart": corpus.utf16(text[:start]),
                "offsetEnd": corpus.utf16(text[:end]),
            }
            for start, end, category in spans
        ]
        return text.encode(), labels


async def fill(
    stack: Stack, blobs: Blobs, project: SeededProject, job: str | None, made: Corpus, share: float
) -> None:
    """Write documents; with a `job`, label them too."""
    window = asyncio.Semaphore(PARALLEL)

    async def put(name: str, data: bytes) -> None:
        async with window:
            if job is not None:
                await blobs.delete(project.container, name)
            await blobs.create(project.container, name, data)

    rows = [(name, *made.one()) for name in made.names(share)]
    await asyncio.gather(*(put(name, data) for name, data, _ in rows))
    if job is not None:
        label(stack, job, [(name, labels) for name, _, labels in rows])


def label(stack: Stack, job: str, rows: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """Put labels into the labeling job as if people had made them."""
    path = stack.directory / "azure" / "azure.sqlite3"
    with sqlite3.connect(path, timeout=60) as state:
        values = [(json.dumps(labels), time.time(), name, f"%/{job}".lower()) for name, labels in rows]
        state.executemany(
            "update labeling_items set labels = ?, labeled_by = 'bench', at = ? where document = ? and job ="
            " (select key from labeling_jobs where lower(key) like ?)",
            values,
        )
        if not state.total_changes:
            raise SystemExit("no label was written: the labeling job does not know the documents")


async def timed_sync(
    stack: Stack, bridge: Labelbridge, project: SeededProject, title: str
) -> tuple[float, float]:
    """One sync, and a table of its steps; gives its seconds, with and without Language's own import."""
    log = stack.logs / "worker-1.log"
    before, pid = log.stat().st_size, stack.child("worker-1").pid
    _reset_peak(pid)
    base = _memory(pid, "VmRSS")
    began = time.monotonic()
    snapshot = await bridge.sync(project.ref)
    seconds = time.monotonic() - began
    print(f"\n## {title}: {seconds:.1f} s, load {os.getloadavg()[0]:.0f}\n")
    print(
        f"{snapshot.documents:,} documents, {snapshot.labels:,} labels, {snapshot.quarantined} quarantined."
    )
    print(f"Worker: {_memory(pid, 'VmHWM'):.0f} MiB at its peak, {base:.0f} before.\n")
    print("| step | seconds |\n|---|---|")
    own = seconds
    for line in log.read_bytes()[before:].splitlines():
        found = json.loads(line) if line.startswith(b"{") else {}
        if found.get("event") == "activity_done" and found["activity"] == "await_import":
            own -= found["seconds"]
        if found.get("event") == "activity_done" and found["seconds"] >= 0.1:
            print(f"| {found['activity']} | {found['seconds']:.1f} |")
        if found.get("event") == "documents_read":
            print(f"| - documents read: {found['count']:,} | |")
    print(f"\nWithout the service's import: {own:.1f} s.", flush=True)
    return seconds, own


def _reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _memory(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def run(stack: Stack, documents: int, changed: float) -> None:
    folder = write_folder(stack.directory / "seed", ProjectKind.ENTITIES)
    project = make_project(stack.tenant, folder, name="bench")
    made = Corpus(documents)
    with stack.acting_as("operator"):
        async with (
            AzureSession(stack.settings("operator")) as session,
            Labelbridge.connect(stack.settings("operator")) as bridge,
        ):
            blobs = session.blobs(DATA_ACCOUNT)
            began = time.monotonic()
            await fill(stack, blobs, project, None, made, 1.0)
            print(f"Documents written in {time.monotonic() - began:.0f} s.", flush=True)
            await bridge.connect_project(project.ref, job="bench-job")
            await bridge.switch(project.ref, to=Studio.AZUREML)
            label(stack, "bench-job", _labels(documents))
            first = await timed_sync(stack, bridge, project, f"First sync of {documents:,}")
            again = await timed_sync(stack, bridge, project, "Nothing changed")
            await fill(stack, blobs, project, "bench-job", made, changed)
            second = await timed_sync(stack, bridge, project, f"{changed:.0%} changed")
    print("\n| ratio to the first sync | whole | without the service's import |\n|---|---|---|")
    for title, found in (("nothing changed", again), (f"{changed:.0%} changed", second)):
        print(f"| {title} | {found[0] / first[0]:.2f} | {found[1] / first[1]:.2f} |")


def _labels(documents: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """The labels of the documents as they were written first."""
    made = Corpus(documents)
    return [(name, made.one()[1]) for name in made.names()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--changed", type=float, default=0.01)
    options = parser.parse_args()
    print(f"{options.documents:,} documents, Python {platform.python_version()}, {os.cpu_count()} cores.")
    with (
        tempfile.TemporaryDirectory(prefix="labelbridge-bench-") as directory,
        Stack(Path(directory), tuned=True, timing=TIMING) as stack,
    ):
        asyncio.run(run(stack, options.documents, options.changed))


if __name__ == "__main__":
    main()
