"""Standing in a resource's queue: dealt out at its rate, by project, urgent ones first, visible, and not for ever."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker

from labelbridge.local.temporal import TemporalServer
from labelbridge.model import ProjectRef
from labelbridge.throttling.turns import TAKE_TURN, WAITING, turn_queue
from tests.workers.queueing import Ask, Queueing

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/Contoso"
PER_SECOND = 4.0


def project(name: str) -> ProjectRef:
    return ProjectRef(language_resource=RESOURCE, name=name)


class Turns:
    """Deals out turns and remembers whose and when."""

    def __init__(self) -> None:
        self.dealt: list[tuple[float, str]] = []

    @activity.defn(name=TAKE_TURN)
    async def take_turn(self, ref: ProjectRef) -> None:
        self.dealt.append((asyncio.get_running_loop().time(), ref.name))


async def connected(temporal: TemporalServer) -> Client:
    return await Client.connect(temporal.address, data_converter=pydantic_data_converter)


def operations(client: Client, queue: str) -> Worker:
    return Worker(client, task_queue=queue, workflows=[Queueing], workflow_runner=UnsandboxedWorkflowRunner())


def dealer(client: Client, queue: str, turns: Turns) -> Worker:
    return Worker(
        client,
        task_queue=turn_queue(queue, project("any").resource_key),
        activities=[turns.take_turn],
        max_concurrent_activities=1,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(maximum=1),
        max_task_queue_activities_per_second=PER_SECOND,
    )


async def ask(client: Client, queue: str, name: str, **fields: object) -> WorkflowHandle[Queueing, timedelta]:
    order = Ask.model_validate({"project": project(name), **fields})
    return await client.start_workflow(Queueing.run, order, id=f"{queue}-{name}", task_queue=queue)


async def in_line(handle: WorkflowHandle[Queueing, timedelta], count: int) -> None:
    """Return once so many turns of an operation are asked for and not dealt out."""
    async with asyncio.timeout(60):
        while len((await handle.describe()).raw_description.pending_activities) < count:
            await asyncio.sleep(0.02)


async def test_turns_are_dealt_out_at_the_rate_by_project_and_urgent_ones_first(
    temporal: TemporalServer,
) -> None:
    client, queue, turns = await connected(temporal), f"turns-{uuid.uuid4().hex[:8]}", Turns()
    async with operations(client, queue):
        greedy = await ask(client, queue, "greedy", turns=6)
        await in_line(greedy, 6)
        others = [await ask(client, queue, name) for name in ("a", "b", "c", "d")]
        for one in others:
            await in_line(one, 1)
        urgent = await ask(client, queue, "undo", urgent=True)
        await in_line(urgent, 1)
        async with dealer(client, queue, turns):
            await asyncio.gather(*(one.result() for one in (greedy, urgent, *others)))
    times, order = [at for at, _ in turns.dealt], [name for _, name in turns.dealt]
    assert order.index("undo") <= 1, order  # the server holds one ready
    assert max(order.index(name) for name in "abcd") <= 5, f"the greedy one went before: {order}"
    # One more may pass at the beginning; how late a turn arrives is the machine's affair.
    assert times[-1] - times[0] >= 0.8 * (len(times) - 2) / PER_SECOND


async def test_an_operation_says_that_it_waits_and_then_says_again_what_it_said(
    temporal: TemporalServer,
) -> None:
    client, queue = await connected(temporal), f"turns-{uuid.uuid4().hex[:8]}"
    async with operations(client, queue):
        waiting = await ask(client, queue, "letters")
        await in_line(waiting, 1)
        assert await waiting.query(Queueing.notes) == [WAITING, ""]
        async with dealer(client, queue, Turns()):
            assert await waiting.result() > timedelta(0)
        assert await waiting.query(Queueing.notes) == ["as before", ""]


async def test_who_gets_no_turn_gives_up_unless_it_must_be_done(temporal: TemporalServer) -> None:
    client, queue = await connected(temporal), f"turns-{uuid.uuid4().hex[:8]}"
    async with operations(client, queue):
        patience = timedelta(seconds=1)
        undo = await ask(client, queue, "undo", urgent=True, patience=patience)
        usual = await ask(client, queue, "usual", patience=patience)
        assert await undo.result() >= patience
        with pytest.raises(WorkflowFailureError) as caught:
            await usual.result()
    assert getattr(caught.value.cause, "type", None) == "throttled"


async def test_a_cancelled_operation_leaves_the_line(temporal: TemporalServer) -> None:
    client, queue, turns = await connected(temporal), f"turns-{uuid.uuid4().hex[:8]}", Turns()
    async with operations(client, queue):
        gone = await ask(client, queue, "gone")
        await in_line(gone, 1)
        await gone.cancel()
        with pytest.raises(WorkflowFailureError):
            await gone.result()
        stays = await ask(client, queue, "stays")
        async with dealer(client, queue, turns):
            await stays.result()
    assert [name for _, name in turns.dealt] == ["stays"]
