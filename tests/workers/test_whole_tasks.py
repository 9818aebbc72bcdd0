"""What a query lets a workflow see before its workflow task: forgotten, so that every history replays."""

import asyncio
import logging
import uuid
from typing import Any

import pytest
from temporalio import activity
from temporalio.bridge.proto.workflow_activation import (
    FireTimer,
    QueryWorkflow,
    RemoveFromCache,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, WorkflowHandle
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import Replayer, Worker, WorkflowInstance

from labelbridge.local.temporal import TemporalServer
from tests.workers.asked import WORK, Asked
from workers.versioning import sandbox
from workers.whole_tasks import WholeTasks

MANY = 12
"""Workflows at once: whether a query or the workflow task comes first is the server's choice."""
TRIES = 8
ON_THE_WAY = 0.5
"""Seconds in which requests reach the server, which tells nobody of them before a worker is there."""
SEEN = "seen before its workflow task"


async def one_try(client: Client) -> list[WorkflowHandle[Asked, None]]:
    """Workflows whose worker goes; they are asked, their activity ends, they are updated, and one comes."""
    queue, done = f"asked-{uuid.uuid4().hex[:8]}", asyncio.Event()

    @activity.defn(name=WORK)
    async def work() -> None:
        await done.wait()

    def worker() -> Worker:
        runner = sandbox()
        made = Worker(client, task_queue=queue, workflows=[Asked], workflow_runner=runner)
        runner.serve(made)
        return made

    async with Worker(client, task_queue=f"{queue}-work", activities=[work]):
        async with worker():
            handles = [
                await client.start_workflow(Asked.run, f"{queue}-work", id=f"{queue}-{n}", task_queue=queue)
                for n in range(MANY)
            ]
            await asyncio.gather(*(handle.execute_update(Asked.hear) for handle in handles))
        asked = [asyncio.create_task(handle.query(Asked.how_far)) for handle in handles]
        await asyncio.sleep(ON_THE_WAY)
        done.set()
        for handle in handles:
            await pending(handle, 0)
        updated = [asyncio.create_task(handle.execute_update(Asked.hear)) for handle in handles]
        await asyncio.sleep(ON_THE_WAY)
        async with worker():
            assert set(await asyncio.gather(*asked)) <= {0, 1}
            await asyncio.gather(*updated, *(handle.result() for handle in handles))
    return handles


async def pending(handle: WorkflowHandle[Asked, None], count: int) -> None:
    """Return once so many activities of a workflow run."""
    async with asyncio.timeout(60):
        while len((await handle.describe()).raw_description.pending_activities) != count:
            await asyncio.sleep(0.02)


async def test_a_workflow_that_is_asked_before_its_task_starts_leaves_a_history_that_replays(
    temporal: TemporalServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = await Client.connect(temporal.address)
    replayer = Replayer(workflows=[Asked], workflow_runner=sandbox())
    with caplog.at_level(logging.DEBUG, "workers.whole_tasks"):
        for _ in range(TRIES):
            for handle in await one_try(client):
                await replayer.replay_workflow(await handle.fetch_history())
            if SEEN in caplog.text:
                return
    pytest.fail("no query came before its workflow task: nothing was shown")


class Instance(WorkflowInstance):
    """Notes what reaches the workflow."""

    def __init__(self) -> None:
        self.heard: list[list[Any]] = []

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self.heard.append([job.fire_timer.seq or job.WhichOneof("variant") for job in act.jobs])
        return WorkflowActivationCompletion(run_id="done")

    def get_info(self) -> Any:
        return type("Info", (), {"workflow_id": "w"})

    def get_thread_id(self) -> int | None:
        return 7

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)


def activation(
    *jobs: int | WorkflowActivationJob, task: int, length: int, size: int = 100, replaying: bool = False
) -> WorkflowActivation:
    """Timers that fired, or other jobs, up to an event, after the start of a task."""
    act = WorkflowActivation(
        run_id="r", history_length=length, history_size_bytes=size and size + task, is_replaying=replaying
    )
    act.timestamp.FromSeconds(task)
    for job in jobs:
        act.jobs.append(WorkflowActivationJob(fire_timer=FireTimer(seq=job)) if isinstance(job, int) else job)
    return act


QUERY = WorkflowActivationJob(query_workflow=QueryWorkflow(query_id="legacy_query"))
GONE = WorkflowActivationJob(remove_from_cache=RemoveFromCache())


class Seen:
    """A workflow in memory, and what came of each activation."""

    def __init__(self, *acts: WorkflowActivation) -> None:
        self.forgotten: list[str] = []
        instance = Instance()
        whole = WholeTasks(instance, self.forgotten.append)
        self.failed = [whole.activate(act).HasField("failed") for act in acts]
        self.heard = instance.heard


FIRST = activation(1, task=1, length=3, replaying=True)
AHEAD = activation(2, task=1, length=9)
ASKED = activation(QUERY, task=1, length=9, replaying=True)


def test_a_workflow_that_sees_events_before_their_task_answers_and_is_forgotten() -> None:
    seen = Seen(FIRST, AHEAD, ASKED, activation(GONE, task=0, length=9))
    assert seen.heard == [[1], [2], ["query_workflow"], ["remove_from_cache"]]
    assert seen.forgotten == ["r"]
    assert not any(seen.failed)


def test_a_task_that_comes_to_it_all_the_same_fails_and_the_workflow_hears_nothing_of_it() -> None:
    seen = Seen(FIRST, AHEAD, ASKED, activation(3, task=1, length=11), activation(4, task=2, length=12))
    assert seen.heard == [[1], [2], ["query_workflow"], [3]]
    assert seen.failed == [False, False, False, False, True]


def test_it_goes_on_where_another_worker_did_the_task_since_core_compares_the_two() -> None:
    replayed, next_task = activation(4, task=2, length=12, replaying=True), activation(5, task=3, length=16)
    seen = Seen(FIRST, AHEAD, replayed, next_task)
    assert seen.heard == [[1], [2], [4], [5]]
    assert not any(seen.failed)


@pytest.mark.parametrize(
    "second",
    [
        activation(2, task=2, length=9),
        activation(2, task=1, length=3),
        activation(2, task=1, length=9, replaying=True),
        activation(2, task=1, length=9, size=0),
    ],
    ids=["of another task", "more of the same events", "of a replay", "a server that says no length"],
)
def test_nothing_else_has_a_workflow_forgotten(second: WorkflowActivation) -> None:
    first = activation(1, task=1, length=3, size=100 if second.history_size_bytes else 0)
    seen = Seen(first, second, activation(3, task=3, length=20))
    assert seen.heard == [[1], [2], [3]]
    assert not seen.forgotten
    assert not any(seen.failed)
