"""What one operation costs Temporal and Azure's quotas: events and bytes of its history, and its requests.

`python -m benchmarks.operations` prints a Markdown table for docs/scale.md. A small project is taken through its
whole life on the local stack; the worker's requests are counted where they leave it, through a module that its
interpreter loads at start.
"""

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.sync import label
from labelbridge.azure.session import AzureSession
from labelbridge.client import Labelbridge
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    ProjectKind,
    ReconcileRequest,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.settings import Settings
from tests.projects import ENTITIES, write_folder

COUNTING = """
import os
import labelbridge.azure.transport as transport
_send = transport.DeadlineTransport.send
async def send(self, request, **config):
    with open(os.environ["LABELBRIDGE_BENCH_REQUESTS"], "a") as out:
        out.write(f"{request.method} {request.url}\\n")
    return await _send(self, request, **config)
transport.DeadlineTransport.send = send
"""
"""`sitecustomize.py` of the worker: one line for each request."""
COLUMNS = ("Language POST", "Language GET", "other Language", "ARM", "Blob")


def kinds(lines: list[str], identity: str) -> Counter[str]:
    """How many requests went where; those for tokens (to `identity`) are left out."""
    found: Counter[str] = Counter()
    for line in lines:
        method, url = line.split(" ", 1)
        parts = urlsplit(url)
        if "/language/" in parts.path:
            found[f"Language {method}" if method in {"GET", "POST"} else "other Language"] += 1
        elif "/subscriptions/" in parts.path.lower():
            found["ARM"] += 1
        elif not url.startswith(identity):
            found["Blob"] += 1
    return found


class Meter:
    """Runs operations one after the other and prints a row for each."""

    def __init__(self, bridge: Labelbridge, project: SeededProject, requests: Path, stack: Stack) -> None:
        self.bridge, self.project, self.requests, self.stack = bridge, project, requests, stack

    async def run(self, title: str, request: Request) -> None:
        """One operation: its own history, what it adds to the project's, its requests."""
        entity = self.project.ref.workflow_id
        before = await self._size(entity)
        sent = len(self._lines())
        handle = await self.bridge.start(self.project.ref, request)
        await handle.result(600)
        events, size = await self._size(handle.workflow_id)
        after = await self._size(entity)
        if after[0] < before[0]:
            before = (0, 0)  # it was continued as a new run
        counted = kinds(self._lines()[sent:], self.stack.place.identity_endpoint)
        print(
            f"| {title} | {events} | {size:,} | {after[0] - before[0]} | {after[1] - before[1]:,} | "
            + " | ".join(str(counted[name]) for name in COLUMNS)
            + " |",
            flush=True,
        )

    async def _size(self, workflow_id: str) -> tuple[int, int]:
        try:
            history = await self.bridge.client.get_workflow_handle(workflow_id).fetch_history()
        except Exception:  # there is none yet
            return 0, 0
        return len(history.events), sum(event.ByteSize() for event in history.events)

    def _lines(self) -> list[str]:
        return self.requests.read_text().splitlines() if self.requests.exists() else []


async def life(stack: Stack, requests: Path, documents: int) -> None:
    folder = write_folder(stack.directory / "seed", ProjectKind.ENTITIES, documents=documents)
    project = make_project(stack.tenant, folder, name="bench")
    settings = stack.settings("operator")
    with stack.acting_as("operator"):
        async with Labelbridge.connect(settings) as bridge:
            meter = Meter(bridge, project, requests, stack)
            job = bridge.job("bench-job")
            await meter.run("connect", ConnectRequest(job=job))
            await meter.run("switch to Azure ML", SwitchRequest(to=Studio.AZUREML))
            word = [{"label": ENTITIES[0], "offsetStart": 0, "offsetEnd": 6}]
            label(stack, "bench-job", [(f"d{number:03}.txt", word) for number in range(documents)])
            await meter.run("sync", SyncRequest())
            await meter.run("sync, nothing changed", SyncRequest())
            await meter.run("train on latest", TrainRequest(model="m1", labels="latest"))
            await meter.run("reconcile", ReconcileRequest())
            await meter.run("switch to Language", SwitchRequest(to=Studio.LANGUAGE))
            await meter.run("disconnect", DisconnectRequest())
        async with AzureSession(settings) as session:
            await registry(session, settings)


async def registry(session: AzureSession, settings: Settings) -> None:
    """What the whole life left in the record store, by folder."""
    account = settings.registry.account
    assert account is not None
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    async for head in session.blobs(account).each(settings.registry.container):
        where = head.name.split("/")[0]
        count[where] += 1
        size[where] += head.size
    print(
        json.dumps({name: {"blobs": n, "bytes": size[name]} for name, n in sorted(count.items())}, indent=1)
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="labelbridge-bench-") as directory:
        (Path(directory) / "load").mkdir()
        (Path(directory) / "load" / "sitecustomize.py").write_text(COUNTING)
        requests = Path(directory) / "requests"
        variables = {
            "PYTHONPATH": str(Path(directory) / "load"),
            "LABELBRIDGE_BENCH_REQUESTS": str(requests),
        }
        print("| operation | events | bytes | entity: events | bytes | " + " | ".join(COLUMNS) + " |")
        print("|---" * (5 + len(COLUMNS)) + "|")
        with Stack(Path(directory) / "stack", tuned=True, variables=variables) as stack:
            asyncio.run(life(stack, requests, 12))
            database = sum(f.stat().st_size for f in stack.directory.glob("temporal/*.db*"))
            print(f"Temporal's database: {database:,} bytes.")


if __name__ == "__main__":
    main()
