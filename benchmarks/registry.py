"""What the record store bears: records read by one look at the fleet, events appended to the log; Markdown on stdout.

    python -m benchmarks.registry --records 5000 --events 300

Azurite stands for Blob and shares the machine with the writers, so only the ratios mean anything: reads
and appends beside bare conditional writes of as many bytes in the same run.
"""

import argparse
import asyncio
import os
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.events.event import Event
from labelbridge.events.outbox import Outbox
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import Actor, Connection, JobRef, ProjectKind, ProjectRef, Record
from labelbridge.registry import Registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 16
WRITERS = 4


def record(stack: Stack, number: int) -> Record:
    """A record as a connected project has it."""
    name = f"project-{number:06d}"
    connection = Connection(
        job=JobRef(workspace=stack.tenant.workspace, name=f"{name}-job"),
        datastore="workspaceblobstore",
        container=name,
        data_asset=f"{name}-documents",
        connected_at=NOW,
        connected_by=Actor(object_id=str(uuid4()), name="owner@contoso.example"),
    )
    return Record(
        project=ProjectRef(language_resource=stack.tenant.language_resource, name=name),
        kind=ProjectKind.ENTITIES,
        connection=connection,
        updated_at=NOW,
    )


def event() -> Event:
    """An event of about a kilobyte."""
    return Event(
        id=f"evt_{uuid4().hex}",
        source="/bench",
        type="com.labelbridge.bench",
        subject="bench",
        time=NOW,
        data={"text": "x" * 900},
    )


async def seconds(act: Callable[[int], Awaitable[object]], count: int, at_once: int) -> float:
    """How long it takes to do `act` so many times, `at_once` beside each other."""
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            await act(number)

    began = time.monotonic()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return time.monotonic() - began


async def records(stack: Stack, registry: Registry, count: int) -> None:
    """One look at all records: its time, and what they take in memory."""
    wrote = await seconds(lambda number: registry.create(record(stack, number)), count, AT_ONCE)
    began = time.monotonic()
    await registry.records()
    looked = time.monotonic() - began
    tracemalloc.start()
    found = await registry.records()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\n| {len(found):,} records | seconds | a second |\n|---|---|---|")
    print(f"| written, {AT_ONCE} at once | {wrote:.1f} | {count / wrote:.0f} |")
    print(f"| one look at all of them | {looked:.1f} | {count / looked:.0f} |")
    print(
        f"\nIn memory: {held / count / 1024:.1f} KiB a record, {peak / count / 1024:.1f} at the peak of the look."
    )


async def events(blobs: Blobs, container: str, count: int) -> None:
    """Appends by one process and by several, beside bare writes."""
    body = event().encoded()
    alone = Outbox(blobs, container)
    several = [Outbox(blobs, container) for _ in range(WRITERS)]
    await alone.append(event())
    bare = await seconds(lambda _: blobs.create(container, f"bare/{uuid4().hex}", body), count, 1)
    one = await seconds(lambda _: alone.append(event()), count, 1)
    four = await seconds(lambda number: several[number % WRITERS].append(event()), count, WRITERS)
    print(f"\n| {count:,} events | a second | ratio to bare |\n|---|---|---|")
    print(f"| bare conditional writes, one after the other | {count / bare:.0f} | |")
    print(f"| appends of one writer | {count / one:.0f} | {bare / one:.2f} |")
    print(f"| appends of {WRITERS} writers at once | {count / four:.0f} | {bare / four:.2f} |")


async def run(stack: Stack, options: argparse.Namespace) -> None:
    settings = stack.settings("worker")
    with stack.acting_as("worker"):
        async with AzureSession(settings) as session:
            blobs, container = session.blobs(RECORDS_ACCOUNT), settings.registry.container
            registry = Registry(blobs, container)
            await registry.ensure()
            await records(stack, registry, options.records)
            await events(blobs, container, options.events)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.registry")
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--events", type=int, default=300)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores.")
    with (
        tempfile.TemporaryDirectory(prefix="labelbridge-registry-") as directory,
        Stack(Path(directory), workers=0) as stack,
    ):
        asyncio.run(run(stack, options))


if __name__ == "__main__":
    main()
