"""What a query brings along before its workflow task: held until then, so that every history replays."""

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
HELD = "events wait for their workflow task"


async def one_try(client: Client) -> list[WorkflowHandle[Asked, None]]:
    """Workflows whose worker goes; they are asked, their activity ends, they are updated, and one comes."""
    queue, done = f"asked-{uuid.uuid4().hex[:8]}", asyncio.Event()

    @activity.defn(name=WORK)
    async def work() -> None:
        await done.wait()

    def worker() -> Worker:
        return Worker(client, task_queue=queue, workflows=[Asked], workflow_runner=sandbox())

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
            if HELD in caplog.text:
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


def heard(*acts: WorkflowActivation) -> list[list[Any]]:
    instance = Instance()
    whole = WholeTasks(instance)
    for act in acts:
        whole.activate(act)
    return instance.heard


def test_events_before_their_task_come_with_it_and_first_and_a_query_is_answered_meanwhile() -> None:
    query = activation(QUERY, task=1, length=9, replaying=True)
    assert heard(
        activation(1, task=1, length=3, replaying=True),
        activation(2, task=1, length=9),
        query,
        activation(3, task=1, length=11),
        query,
        activation(4, task=2, length=12),
        activation(5, task=3, length=16),
    ) == [[1], ["query_workflow"], ["query_workflow"], [2, 3, 4], [5]]


def test_what_is_held_is_answered_with_nothing_to_do() -> None:
    whole = WholeTasks(Instance())
    whole.activate(activation(1, task=1, length=3))
    done = whole.activate(activation(2, task=1, length=9))
    assert done.run_id == "r"
    assert done.HasField("successful")
    assert not done.successful.commands


@pytest.mark.parametrize(
    "second",
    [
        activation(2, task=2, length=9),
        activation(2, task=1, length=3),
        activation(2, task=1, length=9, replaying=True),
    ],
    ids=["of another task", "more of the same events", "of a replay"],
)
def test_nothing_else_is_held(second: WorkflowActivation) -> None:
    assert heard(activation(1, task=1, length=3), second) == [[1], [2]]


def test_nothing_is_held_where_the_server_does_not_say_how_long_the_history_is() -> None:
    first, second = activation(1, task=1, length=3, size=0), activation(2, task=1, length=9, size=0)
    assert heard(first, second) == [[1], [2]]


def test_a_workflow_that_leaves_the_cache_hears_of_it() -> None:
    first, held = activation(1, task=1, length=3), activation(2, task=1, length=9)
    assert heard(first, held, activation(GONE, task=0, length=9)) == [[1], ["remove_from_cache"]]
