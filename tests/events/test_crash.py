"""A worker is killed in the middle of a delivery: everything arrives, some of it twice."""

import asyncio
import json
import sys

from aiohttp import web
from temporalio.client import Client

from labelbridge.events.waking import wake
from labelbridge.local.processes import Child
from labelbridge.local.stack import WORKER_READY, Stack
from tests.events.conftest import LOOPBACK, QUICK, MakeSettings, OpenStores, an_event
from tests.events.receiver import Got, Receiver


async def test_a_worker_killed_in_the_middle_is_replaced_and_no_event_is_missing(
    stack: Stack, events_settings: MakeSettings, open_stores: OpenStores, client: Client
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold_the_21st(got: Got) -> web.Response:
        if got.event["data"]["number"] == 20 and not go_on.is_set():
            reached.set()
            await go_on.wait()
        return web.Response()

    async with Receiver(answer=hold_the_21st) as receiver:
        settings = events_settings()
        own = settings.temporal.task_queue
        stores = await open_stores(settings)
        settings = events_settings(webhooks={own: receiver.settings}).model_copy(
            update={"registry": settings.registry, "temporal": settings.temporal}
        )
        log = stack.logs / f"{own}.log"
        variables = {
            **stack.environment("worker"),
            "LABELBRIDGE_REGISTRY__CONTAINER": settings.registry.container,
            "LABELBRIDGE_TEMPORAL__TASK_QUEUE": own,
            "LABELBRIDGE_EVENTS__WEBHOOKS": json.dumps({own: receiver.settings}),
            "LABELBRIDGE_EVENTS__ALLOW_NETWORKS": json.dumps([LOOPBACK]),
            "LABELBRIDGE_EVENTS__RETRIES": json.dumps(QUICK),
            "LABELBRIDGE_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "labelbridge.cli.main", "worker"]
        worker = Child(
            own, command, log, environment=variables, ready=lambda: WORKER_READY.encode() in log.read_bytes()
        )
        try:
            await asyncio.to_thread(worker.start)
            ids = [(await stores.outbox.append(an_event(number))).id for number in range(40)]
            await wake(client, settings)
            await asyncio.wait_for(reached.wait(), 90)
            await asyncio.to_thread(worker.kill)
            go_on.set()
            ids += [(await stores.outbox.append(an_event(number))).id for number in range(40, 44)]
            log.write_bytes(b"")
            await asyncio.to_thread(worker.start)
            await receiver.has(lambda r: set(r.ids()) == set(ids))
        finally:
            await asyncio.to_thread(worker.stop)
        firsts = list(dict.fromkeys(receiver.ids()))
        assert firsts == ids, "each for the first time in the order of the outbox"
        assert len(receiver.got) > len(ids), "nothing was sent twice: the kill hit nothing"
