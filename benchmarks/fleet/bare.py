"""Bare workflows: the floor that Temporal itself sets for so many steps, with nothing of ours in them.

`python -m benchmarks.fleet.bare` is their worker, a process of its own as the product's worker is.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from labelbridge.local.processes import Child

QUEUE = "bench-bare"
READY = b"bare_worker_ready"


@activity.defn(name="bench.nothing")
async def nothing(argument: str) -> str:
    return argument


@workflow.defn(name="bench.bare")
class BareWorkflow:
    @workflow.run
    async def run(self, steps: int) -> None:
        for _ in range(steps):
            await workflow.execute_activity(
                "bench.nothing", "x", start_to_close_timeout=timedelta(seconds=60)
            )


@contextmanager
def bare_worker(address: str, logs: Path) -> Iterator[None]:
    """The worker of bare workflows, for the block."""
    log = logs / "bare.log"
    child = Child(
        "bare",
        [sys.executable, "-m", "benchmarks.fleet.bare", address],
        log,
        directory=Path.cwd(),
        ready=lambda: log.exists() and READY in log.read_bytes(),
    )
    child.start()
    try:
        yield
    finally:
        child.stop()


async def timed(client: Client, steps: int, count: int) -> float:
    """Seconds for `count` bare workflows of so many steps, all begun at once."""

    async def one() -> None:
        await client.execute_workflow("bench.bare", steps, id=f"bare-{uuid4().hex}", task_queue=QUEUE)

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(count)))
    return time.monotonic() - began


async def _serve(address: str) -> None:
    client = await Client.connect(address)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Worker(client, task_queue=QUEUE, workflows=[BareWorkflow], activities=[nothing]):
        sys.stdout.write(READY.decode() + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
