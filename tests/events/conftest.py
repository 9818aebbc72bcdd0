"""A registry, a task queue and subscribers of a test's own, on the stack that all tests share."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import Client

from labelbridge.azure.session import AzureSession
from labelbridge.client import connect_temporal
from labelbridge.events.event import Event, EventType, event_id
from labelbridge.events.settings import EventSettings
from labelbridge.events.stores import Stores
from labelbridge.local.stack import Stack
from labelbridge.registry import Registry
from labelbridge.settings import Settings
from tests.operations.rehearsal import eventually
from workers.main import run_worker

LOOPBACK = "127.0.0.0/8"
QUICK = ["PT0.2S", "PT0.3S", "PT0.4S"]
"""Waits between attempts."""
MakeSettings = Callable[..., Settings]
RunWorker = Callable[[Settings], AbstractAsyncContextManager[None]]


@pytest.fixture
def events_settings(stack: Stack) -> MakeSettings:
    """`events_settings(webhooks={...})`: the worker's, with a registry and a task queue of their own."""

    def make(**events: Any) -> Settings:
        base, own = stack.settings("worker"), uuid.uuid4().hex[:10]
        found = {"allow_networks": [LOOPBACK], "retries": QUICK, "attempt_timeout": "PT20S", **events}
        return base.model_copy(
            update={
                "registry": base.registry.model_copy(update={"container": f"events-{own}"}),
                "temporal": base.temporal.model_copy(update={"task_queue": f"events-{own}"}),
                "events": EventSettings.model_validate(found),
            }
        )

    return make


@pytest.fixture
async def session(stack: Stack) -> AsyncIterator[AzureSession]:
    with stack.acting_as("worker"):
        async with AzureSession(stack.settings("worker")) as opened:
            yield opened


@pytest.fixture
async def client(stack: Stack) -> Client:
    return await connect_temporal(stack.settings("worker"))


OpenStores = Callable[[Settings], Any]


@pytest.fixture
def open_stores(session: AzureSession) -> OpenStores:
    """`await open_stores(settings)` makes the registry's container and opens what is in it."""

    async def make(settings: Settings) -> Stores:
        account, container = settings.registry.account, settings.registry.container
        await Registry(session.blobs(account), container).ensure()
        return Stores.of(session, settings)

    return make


@pytest.fixture
def worker(stack: Stack, session: AzureSession) -> RunWorker:
    """`async with worker(settings):` runs a worker in this process; it knows its subscribers by then."""

    async def known(settings: Settings, name: str) -> None:
        subscribers = Stores.of(session, settings).subscribers
        await eventually(lambda: subscribers.load(name), f"{name} was not registered")

    @asynccontextmanager
    async def run(settings: Settings) -> AsyncIterator[None]:
        stop = asyncio.Event()
        with stack.acting_as("worker"):
            serving = asyncio.create_task(run_worker(settings, stop=stop))
            try:
                await asyncio.gather(*(known(settings, name) for name in settings.events.subscribers))
                yield
            finally:
                stop.set()
                await serving

    return run


def an_event(number: int = 0, *, kind: EventType = EventType.COMMITTED, project: str = "p") -> Event:
    """An event as operations write them."""
    return Event(
        id=event_id("test", uuid.uuid4().hex),
        source="/subscriptions/s/projects/p",
        type=kind.value,
        subject=f"{number:06d}-sync-test",
        time=datetime.now(UTC),
        data={"project": {"name": project}, "number": number},
    )
