"""Records the histories that CI replays: real operations on the local stack, each brought to its end.

    python -m tests.replay.record               everything, into tests/replay/histories/<version>/
    python -m tests.replay.record --only sync   only scenes whose life has such a name; writes nothing

Prevents histories made by hand, which replay whatever the code does. What was released is never written
again: its histories run somewhere (see `released.json`).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from temporalio.client import WorkflowHistory

from labelbridge import names
from labelbridge.local.stack import Stack
from labelbridge.model.steps import EntityState
from tests.faults.lives import Setting
from tests.faults.margins import NO_QUOTA
from tests.faults.stages import IN_PARTS
from tests.faults.yard import Yard
from tests.replay import beside
from tests.replay.endings import Ending
from tests.replay.histories import PRODUCT, Saved, releases, store
from tests.replay.scenes import LIVES, PARTS, PLAIN, Life, Scene
from tests.replay.subject import Subject

PACE = 0.25
"""Seconds by which each activity is held up: long enough to be seen, and to be stopped in."""
WIDTH = 12
Histories = dict[str, WorkflowHistory]


async def live(setting: Setting, life: Life) -> Histories:
    """Carry a project through its scenes; the histories that it leaves."""
    subject = await Subject.make(setting, life.kind, life.queue, exists=life.exists)
    if life.continue_after is not None:
        await setting.client.start_workflow(
            names.ENTITY_WORKFLOW,
            EntityState(project=subject.bench.ref, continue_after=life.continue_after),
            id=subject.bench.ref.workflow_id,
            task_queue=life.queue,
        )
    for scene in life.scenes:
        try:
            await play(subject, scene)
        except BaseException as error:
            error.add_note(f"scene: {scene.name or scene.ask}, {scene.ending}, {subject.bench.ref.name}")
            raise
        print(f"{time.monotonic() - BEGAN:6.1f} s  {scene.name or '(' + scene.ask + ')'}", flush=True)  # noqa: T201
    if life.entity:
        await subject.keep_entity(life.entity)
    return subject.kept


async def play(subject: Subject, scene: Scene) -> None:
    """Prepare one operation, let it end as it is to, keep what is to be kept."""
    if scene.new_job:
        subject.next_job()
    if scene.label_in is not None:
        await subject.somebody_labels(scene.label_in)
    if scene.drifted:
        await subject.swap_gates()
    request = await asyncio.to_thread(scene.request, subject)
    workflow_id = await subject.carry_out(
        request, scene.ending, scene.during, cancel_recovery=scene.cancel_recovery
    )
    if not scene.name:
        return
    await subject.keep(scene.name, workflow_id)
    if scene.ending in (Ending.TERMINATED, Ending.TERMINATED_LATE):
        await subject.keep(f"recover {scene.name}", await subject.last_recovery())


_TRIES = 3
"""Lives that are begun before a scene is taken for one that does not end as it should."""


async def record(path: Path, lives: Iterable[Life]) -> Histories:
    """Everything, on a stack of its own."""
    with ExitStack() as all_of_it:
        stack = all_of_it.enter_context(Stack(path / "stack", workers=0, tuned=True, local=NO_QUOTA))
        yard = all_of_it.enter_context(Yard(stack))
        all_of_it.enter_context(stack.acting_as("operator"))
        setting = await Setting.make(stack, yard, path)
        for queue, more in ((PLAIN, beside.SUBSCRIBER), (PARTS, IN_PARTS)):
            yard.hire(queue, pace=PACE, environment=more)
        places = asyncio.Semaphore(WIDTH)

        async def one(life: Life) -> Histories:
            for _ in range(_TRIES - 1):
                # A busy machine may be late for a margin, and an operation then rightly ends otherwise.
                with suppress(AssertionError):
                    async with places:
                        return await live(setting, life)
            async with places:
                return await live(setting, life)

        ended = await asyncio.gather(
            beside.record(setting), *(one(life) for life in lives), return_exceptions=True
        )
        broken = [one for one in ended if isinstance(one, BaseException)]
        if broken:
            raise BaseExceptionGroup("lives broke", broken)
        found = {name: history for one in ended if isinstance(one, dict) for name, history in one.items()}
        return found | await beside.fleet_act(setting) | await beside.sweep(setting)


BEGAN = time.monotonic()


def main() -> int:
    """Record, and write what was recorded."""
    parser = argparse.ArgumentParser(prog="tests.replay.record", description="Records histories.")
    parser.add_argument(
        "--only", default="", help="only lives with a scene of such a name; nothing is written"
    )
    parser.add_argument("--directory", type=Path, help="where the stack and its logs are kept")
    arguments = parser.parse_args()
    if PRODUCT in releases() and not arguments.only:
        print(f"{PRODUCT} was released: its histories stay. Raise the version in pyproject.toml.")  # noqa: T201
        return 2
    path = arguments.directory or Path(tempfile.mkdtemp(prefix="labelbridge-replay-"))
    chosen = [life for life in LIVES if any(arguments.only in scene.name for scene in life.scenes)]
    found = asyncio.run(record(path, chosen))
    saved = [Saved.of(name, history) for name, history in sorted(found.items())]
    if not arguments.only:
        store(saved)
    print(f"{len(saved)} histories in {time.monotonic() - BEGAN:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
