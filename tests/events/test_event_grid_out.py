"""Events to Azure Event Grid: the official client, as the worker's identity, at the local Azure's topic."""

import asyncio

from temporalio.client import Client

from labelbridge.events.waking import wake
from labelbridge.local.seed import ADMIN, GROUP, SUBSCRIPTION, grant
from labelbridge.local.stack import Stack
from tests.events.conftest import MakeSettings, OpenStores, RunWorker, an_event
from tests.operations.rehearsal import eventually


async def test_a_topic_gets_every_event_once_the_worker_may_send(
    stack: Stack, events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    name = events_settings().temporal.task_queue
    endpoint = f"{stack.place.base_url}/event-grid/{SUBSCRIPTION}/labeling/{name}/api/events"
    retries = ["PT0.5S"] * 40  # a role takes its time
    settings = events_settings(event_grid={name: {"endpoint": endpoint}}, retries=retries)
    stores = await open_stores(settings)
    admin = stack.tenant.caller(ADMIN)

    async def waits() -> str | None:
        found = await stores.subscribers.load(name)
        return found.state.waiting[0].why if found and found.state.waiting else None

    async def received() -> list[dict[str, str]] | None:
        reply = await asyncio.to_thread(admin.request, "GET", f"/local/event-grid/{name}")
        found: list[dict[str, str]] = reply.body["value"]
        return found if {one["id"] for one in found} == set(ids) else None

    async with worker(settings):
        ids = [(await stores.outbox.append(an_event(number))).id for number in range(3)]
        await wake(client, settings)
        assert "forbidden" in await eventually(waits, "nothing was refused without the role")
        principal = stack.tenant.principals["worker"].object_id
        scope = f"{GROUP}/providers/Microsoft.EventGrid/topics/{name}"
        await asyncio.to_thread(grant, admin, principal, "EventGrid Data Sender", scope)
        got = await eventually(received, "the topic did not get the events", patience=300)
    assert {one["specversion"] for one in got} == {"1.0"}
    assert {one["sequence"] for one in got} == {f"{n:012d}" for n in (1, 2, 3)}
    assert {one["type"] for one in got} == {"io.labelbridge.operation.committed"}
