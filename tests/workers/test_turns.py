"""Queues of turns are served as soon as anybody meets their resource, and no longer than it is known."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from labelbridge.azure.session import AzureSession
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectRef
from labelbridge.settings import Settings
from labelbridge.throttling.ledger import blob_name
from labelbridge.throttling.throttling import Throttling
from workers.main import build_turn_worker
from workers.turns import TurnWorkers

QUEUE = "turns-alone"
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/{}"


@pytest.fixture
async def session(stack: Stack) -> AsyncIterator[AzureSession]:
    with stack.acting_as("worker"):
        async with AzureSession(settings_of(stack), throttled=True) as opened:
            yield opened


def settings_of(stack: Stack) -> Settings:
    settings = stack.settings("worker")
    throttle = settings.throttle.model_copy(update={"watch": settings.timing.role_poll})
    return settings.model_copy(update={"throttle": throttle})


def workers(stack: Stack, client: Client, session: AzureSession, stop: asyncio.Event) -> TurnWorkers:
    settings = settings_of(stack)
    return TurnWorkers(
        session.throttling, QUEUE, lambda queue: build_turn_worker(client, session, settings, queue), stop
    )


async def until(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not wanted():
            await asyncio.sleep(0.05)


async def test_a_resource_is_served_where_it_was_met_at_once_elsewhere_soon_and_no_more_when_it_is_forgotten(
    stack: Stack, session: AzureSession
) -> None:
    project = ProjectRef(language_resource=RESOURCE.format("Contoso"), name="letters")
    key, stop = project.resource_key, asyncio.Event()
    settings = settings_of(stack)
    throttling, blobs = session.throttling, session.blobs(settings.registry.account)
    assert throttling is not None
    elsewhere = Throttling(settings.throttle, blobs, settings.registry.container)
    clients = [await Client.connect(stack.temporal.address) for _ in range(2)]
    async with workers(stack, clients[0], session, stop) as here:
        await throttling.meet(project)
        assert key in here.serving
        other = TurnWorkers(
            elsewhere, QUEUE, lambda queue: build_turn_worker(clients[1], session, settings, queue), stop
        )
        async with other:
            await until(lambda: key in other.serving)
            await blobs.delete(settings.registry.container, blob_name(key))
            await until(lambda: key not in here.serving | other.serving)
            await throttling.meet(project)
            assert key in here.serving, "one that comes back is served again"
            await until(lambda: key in other.serving)
            await blobs.delete(settings.registry.container, blob_name(key))
    assert not here.serving | other.serving
    assert not stop.is_set()


class Broken:
    """A worker that fails for good as soon as it runs."""

    async def run(self) -> None:
        raise RuntimeError("the poller broke")


async def test_a_queue_whose_worker_fails_for_good_stops_the_process_with_its_error(
    session: AzureSession,
) -> None:
    stop = asyncio.Event()
    turns = TurnWorkers(session.throttling, QUEUE, lambda queue: cast("Worker", Broken()), stop)

    async def serve_until_told_to_stop() -> None:
        async with turns:
            await turns.serve("contoso-00000000")
            await asyncio.wait_for(stop.wait(), 30)

    with pytest.raises(RuntimeError, match="the poller broke"):
        await serve_until_told_to_stop()
