"""What a fleet costs, in one run against one Temporal dev server; Markdown on stdout.

    python -m benchmarks.fleet --projects 1000 --waiters 1000            stock server
    python -m benchmarks.fleet --tuned                                   short timers, as in the tests
    python -m benchmarks.fleet --only entity --operations 10000          how an entity's history grows

Everything shares the machine: Temporal, Azurite, the local Azure, the worker and this client. The bare
workflows need the first and the last only, which the ratios do not hide.
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet import bare, entity
from benchmarks.fleet.histories import events_in_all, told
from benchmarks.fleet.projects import connect_all, make_many, memory, switch_all
from labelbridge.client import Labelbridge
from labelbridge.local.env import FAST
from labelbridge.local.seed import SeededProject
from labelbridge.local.stack import Stack
from labelbridge.model import Studio
from tests.operations.rehearsal import Fault

ALONE = ("single", "waiters", "entity")
"""Parts with one project, or none, on a stack with short margins."""
TOGETHER = ("fleet", "idle")
"""Parts with all projects at once."""
PATIENT = {
    "EFFECT_DEADLINE": "PT60S",
    "EFFECT_TIMEOUT": "PT70S",
    "GATE_DELAY": "PT1S",
    "DRAIN": "PT61S",
    "SETTLE": "PT1S",
    "DRAIN_DEADLINE": "PT120M",
    "LOOK_AGAIN": "PT60S",
    "STEP_PATIENCE": "PT120M",
    "POLL": "PT0.2S",
    "ROLE_POLL": "PT1S",
}
"""A machine that does a thousand things at once is late with each: nothing may run into a deadline."""
NO_QUOTA = {"language": {"post_per_minute": 0, "get_per_minute": 0, "max_projects": 100_000}}
"""One resource stands for as many as it would take: Azure's have 500 projects each."""
IDLE_SECONDS = 60


def say(text: str) -> None:
    print(text, flush=True)


class Bench:
    """One stack, its client, and the projects of the run."""

    def __init__(self, stack: Stack, bridge: Labelbridge, options: argparse.Namespace) -> None:
        self.stack, self.bridge, self.options = stack, bridge, options
        self.projects: list[SeededProject] = []
        self.steps = 0

    async def prepare(self, count: int) -> None:
        """Make and connect so many projects."""
        began = time.monotonic()
        self.projects = await make_many(self.stack, count)
        made = time.monotonic() - began
        refused = await connect_all(self.bridge, self.projects)
        connected = time.monotonic() - began - made
        say(
            f"\n{len(self.projects)} projects made in {made:.0f} s, connected in {connected:.0f} s "
            f"({refused} times refused for the moment)."
        )

    async def single(self) -> None:
        """One switch after the other, beside bare workflows with as many steps."""
        project, to = self.projects[0], Studio.AZUREML
        beyond, waits, rest = [], [], []
        for _ in range(self.options.rounds):
            began = time.monotonic()
            result = await self.bridge.switch(project.ref, to=to)
            took = time.monotonic() - began
            history = await told(self.bridge.client, f"{project.ref.workflow_id}/{result.operation_id}")
            self.steps = history.activities + 1  # the entity looks at the project when it has ended
            beyond.append(took - history.waited)
            waits.append(history.waited)
            rest.append(beyond[-1] - history.worked - history.late)
            to = to.other
        floor = [await bare.timed(self.bridge.client, self.steps, 1) for _ in range(self.options.rounds)]
        say(f"\n## One project: {self.steps} activities a switch\n")
        say("| seconds | best | median |\n|---|---|---|")
        say(f"| switch, beyond what it waits on purpose ({min(waits):.1f}) | {_two(beyond)} |")
        say(f"| of it, neither in activities nor in timers that fire late | {_two(rest)} |")
        say(f"| bare workflow | {_two(floor)} |")
        say(
            f"\nRatio of the best: **{min(beyond) / min(floor):.2f}** (aim: at most 1.25); without activities' own work "
            f"and late timers {min(rest) / min(floor):.2f}."
        )

    async def fleet(self) -> None:
        """All projects at once, beside as many bare workflows."""
        count, to = len(self.projects), Studio.AZUREML
        worker = self.stack.child("worker-1").pid
        before = memory(worker)
        began = time.monotonic()
        ids, refused = await switch_all(self.bridge, self.projects, to)
        took = time.monotonic() - began
        first = await told(self.bridge.client, f"{self.projects[0].ref.workflow_id}/{ids[0]}")
        self.steps = first.activities + 1
        floor = await bare.timed(self.bridge.client, self.steps, count)
        beyond = took - first.waited
        say(
            f"\n## {count} projects at once: {self.steps} activities a switch, {refused} times refused for the moment\n"
        )
        say("| | seconds | a second |\n|---|---|---|")
        say(f"| switches | {took:.1f} | {count / took:.2f} |")
        say(
            f"| switches, without one project's waits ({first.waited:.1f} s) | {beyond:.1f} | {count / beyond:.2f} |"
        )
        say(f"| bare workflows | {floor:.1f} | {count / floor:.2f} |")
        say(f"\nThroughput ratio: **{floor / beyond:.2f}** (aim: at least 0.8), whole {floor / took:.2f}.")
        say(
            f"Worker: {before:.0f} MiB before, {memory(worker):.0f} after; "
            f"this client {memory(os.getpid()):.0f} MiB."
        )

    async def waiters(self) -> None:
        """Many callers of one sync."""
        project, count = self.projects[-1], self.options.waiters
        if (await self.bridge.status(project.ref)).active is Studio.LANGUAGE:
            await self.bridge.switch(project.ref, to=Studio.AZUREML)
        woken: list[tuple[str, float]] = []
        before = memory(os.getpid())

        async def wait() -> None:
            snapshot = await self.bridge.sync(project.ref, timeout=1800)
            woken.append((snapshot.id, time.time()))

        with Fault(self.stack, f"/{project.ref.name}/exportLabels", "delay", seconds=0.0) as exports:
            began = time.monotonic()
            await asyncio.gather(*(wait() for _ in range(count)))
            took = time.monotonic() - began
            struck = (await asyncio.to_thread(exports.view))["struck"]
        entries = [entry for entry in await self.bridge.history(project.ref) if entry.kind == "sync"]
        ends = []
        for entry in entries:
            ended = await told(self.bridge.client, f"{project.ref.workflow_id}/{entry.operation_id}")
            ends.append(ended.ended.timestamp())
        late = sorted(min(at - end for end in ends if end <= at + 0.05) for _, at in woken)
        say(f"\n## {count} callers of `sync` at once\n")
        say(f"{struck} exports (at most 2), {len(entries)} syncs, all served in {took:.1f} s.")
        say(
            f"From a sync's end to a caller's wake-up: p50 {_part(late, 0.5):.2f} s, "
            f"**p99 {_part(late, 0.99):.2f} s**. "
            f"Client {memory(os.getpid()):.0f} MiB, {before:.0f} before."
        )

    async def idle(self) -> None:
        """A fleet that nobody asks for anything."""
        await asyncio.sleep(5)
        before = await events_in_all(self.bridge.client)
        await asyncio.sleep(IDLE_SECONDS)
        after = await events_in_all(self.bridge.client)
        say(f"\n## {len(self.projects)} projects, idle for {IDLE_SECONDS} s (no schedule)\n")
        say(
            f"{after[0] - before[0]} new workflows and {after[1] - before[1]} new events "
            f"in {after[0]:,} workflows: no activity task is made."
            if after == before
            else f"NOT IDLE: {before} became {after}"
        )

    async def entity(self) -> None:
        """How an entity's history grows."""
        runs = await entity.grown_old(self.bridge, self.options.operations)
        say(f"\n## An entity after {self.options.operations:,} operations\n")
        say(
            f"{len(runs)} runs, each continued as new by itself; the longest history ever was "
            f"{max(events for events, _ in runs):,} events and {max(size for _, size in runs) / 1024:.0f} KiB."
        )


def _two(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.2f} | {sorted(seconds)[len(seconds) // 2]:.2f}"


def _part(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def run(stack: Stack, options: argparse.Namespace, parts: Sequence[str], projects: int) -> None:
    with stack.acting_as("operator"), bare.bare_worker(stack.temporal.address, stack.logs):
        async with Labelbridge.connect(stack.settings("operator")) as bridge:
            bench = Bench(stack, bridge, options)
            if set(parts) - {"entity"}:
                await bench.prepare(projects)
            for part in parts:
                await getattr(bench, part)()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet")
    parser.add_argument("--projects", type=int, default=100)
    parser.add_argument("--waiters", type=int, default=1000)
    parser.add_argument("--operations", type=int, default=10_000, help="of the entity that grows old")
    parser.add_argument("--rounds", type=int, default=6, help="switches of one project")
    parser.add_argument("--tuned", action="store_true", help="Temporal with short timers")
    parser.add_argument("--only", nargs="+", choices=ALONE + TOGETHER, default=ALONE + TOGETHER)
    options = parser.parse_args()
    server = "tuned" if options.tuned else "stock"
    say(f"Python {platform.python_version()}, {os.cpu_count()} cores, {server} dev server.")
    for group, projects, timing in ((ALONE, 1, FAST), (TOGETHER, options.projects, PATIENT)):
        parts = [part for part in group if part in options.only]
        if not parts:
            continue
        with (
            tempfile.TemporaryDirectory(prefix="labelbridge-fleet-") as directory,
            Stack(Path(directory), tuned=options.tuned, timing=timing, local=NO_QUOTA) as stack,
        ):
            asyncio.run(run(stack, options, parts, projects))


if __name__ == "__main__":
    main()
