"""Deliveries: everything at least once, in order, signed; again what failed; nothing after 410."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from aiohttp import web
from temporalio.client import Client

from labelbridge import names
from labelbridge.events.orders import EventsRequest
from labelbridge.events.stores import Stores
from labelbridge.events.subscribers import SubscriberState
from labelbridge.events.waking import wake
from labelbridge.settings import Settings
from tests.events.conftest import MakeSettings, OpenStores, RunWorker, an_event
from tests.events.receiver import Got, Receiver, new_secret
from tests.operations.rehearsal import eventually


async def _tell(stores: Stores, client: Client, settings: Settings, count: int, **event: str) -> list[str]:
    """Write events as an operation's steps do; their ids."""
    written = [await stores.outbox.append(an_event(number, **event)) for number in range(count)]  # type: ignore[arg-type]
    await wake(client, settings)
    return [one.id for one in written]


async def _state(stores: Stores, name: str, look: Callable[[SubscriberState], bool]) -> SubscriberState:
    async def found() -> SubscriberState | None:
        stored = await stores.subscribers.load(name)
        return stored.state if stored and look(stored.state) else None

    return await eventually(found, f"{name} is not so", patience=300)


async def _ask(client: Client, settings: Settings, request: EventsRequest) -> dict[str, object]:
    found: dict[str, object] = await client.execute_workflow(
        names.EVENTS_REQUEST_WORKFLOW,
        request,
        id=f"labelbridge/events/ask/{settings.temporal.task_queue}/{request.kind}",
        task_queue=settings.temporal.task_queue,
        result_type=dict,
    )
    return found


def _named(settings: Settings) -> str:
    """A subscriber's name that no other test has: deliveries of all tests share one namespace."""
    return settings.temporal.task_queue


def _subscribed(make: MakeSettings, receiver: Receiver, **more: object) -> tuple[Settings, str]:
    settings = make()
    name = _named(settings)
    events = make(webhooks={name: {**receiver.settings, **more}}).events
    return settings.model_copy(update={"events": events}), name


async def test_events_arrive_in_order_and_are_signed_for_the_old_and_the_new_secret(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    async with Receiver() as receiver:
        both = [new_secret(), receiver.secret]
        settings, name = _subscribed(events_settings, receiver, secrets=both)
        stores = await open_stores(settings)
        await stores.outbox.append(an_event())  # before anybody subscribed
        async with worker(settings):
            ids = await _tell(stores, client, settings, 20)
            await receiver.has(lambda r: len(r.got) >= 20)
            state = await _state(stores, name, lambda s: s.cursor == 21)
        assert receiver.ids() == ids
        assert [one.event["data"]["number"] for one in receiver.got] == list(range(20))
        assert [one.event["sequence"] for one in receiver.got] == [f"{n:012d}" for n in range(2, 22)]
        assert (state.delivered, state.waiting, state.dead) == (20, (), 0)
        await _keeps_no_secret_and_rests(client, name, both)


async def _keeps_no_secret_and_rests(client: Client, name: str, secrets: list[str]) -> None:
    handle = client.get_workflow_handle(names.DELIVERY.format(name=name))
    history = (await handle.fetch_history()).to_json()
    assert not any(secret in history or secret.removeprefix("whsec_") in history for secret in secrets)
    description = await handle.describe()
    assert not description.raw_description.pending_activities
    assert '"timerStartedEventAttributes"' not in history


async def test_an_event_that_is_refused_is_tried_again_and_does_not_hold_up_the_others(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    seen: list[int] = []

    def refuse_the_second_until_the_last_has_come(got: Got) -> web.Response:
        seen.append(got.event["data"]["number"])
        return web.Response(status=503 if seen[-1] == 1 and 3 not in seen else 200)

    async with Receiver(answer=refuse_the_second_until_the_last_has_come) as receiver:
        settings, name = _subscribed(events_settings, receiver)
        settings.events.retries = (timedelta(seconds=0.2),) * 300
        stores = await open_stores(settings)
        async with worker(settings):
            ids = await _tell(stores, client, settings, 4)
            await receiver.has(lambda r: set(r.ids()) == set(ids))
            await _state(stores, name, lambda s: not s.waiting and s.delivered == 4)
        assert receiver.ids() == [ids[0], ids[2], ids[3], ids[1]]
        assert set(receiver.ids(answered=range(500, 600))) == {ids[1]}


async def test_an_event_that_is_always_refused_becomes_a_dead_letter_and_a_replay_brings_it(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    status = 500
    async with Receiver(answer=lambda _: web.Response(status=status, text="not today")) as receiver:
        settings, name = _subscribed(events_settings, receiver)
        stores = await open_stores(settings)
        async with worker(settings):
            (dead,) = await _tell(stores, client, settings, 1)
            state = await _state(stores, name, lambda s: s.dead == 1)
            assert (state.waiting, state.delivered, len(receiver.got)) == ((), 0, 4)
            (letter,) = await stores.subscribers.dead_letters(name)
            assert (letter.event.id, letter.attempts, letter.why) == (dead, 4, "500 not today")
            status = 200
            answer = await _ask(client, settings, EventsRequest(kind="replay", subscriber=name))
            assert answer["cursor"] == 0
            await receiver.has(lambda r: r.ids() == [dead])


async def test_410_ends_the_sending_until_a_replay(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    status = 410
    async with Receiver(answer=lambda _: web.Response(status=status)) as receiver:
        settings, name = _subscribed(events_settings, receiver)
        stores = await open_stores(settings)
        async with worker(settings):
            ids = await _tell(stores, client, settings, 3)
            state = await _state(stores, name, lambda s: s.disabled is not None)
            assert len(receiver.got) == 1, "nothing was sent after the 410"
            assert "410" in str(state.disabled)
            status = 200
            await _ask(client, settings, EventsRequest(kind="replay", subscriber=name))
            await receiver.has(lambda r: r.ids() == ids)


async def test_a_subscriber_gets_only_the_types_and_projects_that_it_asked_for(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    async with Receiver() as receiver:
        wanted = {"types": ["io.labelbridge.operation.*"], "projects": ["tick*"]}
        settings, name = _subscribed(events_settings, receiver, **wanted)
        stores = await open_stores(settings)
        async with worker(settings):
            await _tell(stores, client, settings, 3, project="other")
            (ours,) = await _tell(stores, client, settings, 1, project="tickets")
            await _state(stores, name, lambda s: s.cursor == 4)
        assert receiver.ids() == [ours]


async def test_a_receiver_that_comes_back_after_an_outage_gets_all_at_once_and_not_after_the_last_wait(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    """The waits are of a day; four wait, which is the limit, so reading on waits for the probe."""
    away = True
    settings = events_settings()
    name = _named(settings)
    async with Receiver(answer=lambda _: web.Response(status=503 if away else 200)) as receiver:
        found = {"retries": ["P1D"], "waiting_limit": 4, "probe": "PT0.3S"}
        events = events_settings(webhooks={name: receiver.settings}, **found).events
        settings = settings.model_copy(update={"events": events})
        stores = await open_stores(settings)
        async with worker(settings):
            ids = await _tell(stores, client, settings, 9)
            state = await _state(stores, name, lambda s: len(s.waiting) == 4)
            assert state.cursor == 4, "events were read for which there is no place"
            away = False
            await receiver.has(lambda r: set(r.ids()) == set(ids))
            state = await _state(stores, name, lambda s: s.cursor == 9 and not s.waiting)
        assert (state.delivered, state.dead) == (9, 0)


async def test_a_subscriber_taken_out_of_the_settings_ends_and_one_put_back_goes_on_where_it_was(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    async with Receiver() as receiver:
        settings, name = _subscribed(events_settings, receiver)
        stores = await open_stores(settings)
        async with worker(settings):
            first = await _tell(stores, client, settings, 2)
            await _state(stores, name, lambda s: s.delivered == 2)
        without = settings.model_copy(update={"events": events_settings().events})
        handle = client.get_workflow_handle(names.DELIVERY.format(name=name))
        second = await _tell(stores, client, settings, 2)
        async with worker(without):
            await asyncio.wait_for(handle.result(), 60)
        async with worker(settings):
            await _state(stores, name, lambda s: s.delivered == 4)
        assert receiver.ids() == [*first, *second]


async def test_a_test_event_says_what_the_receiver_answered(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, client: Client
) -> None:
    async with Receiver(answer=lambda _: web.Response(status=418)) as receiver:
        settings, name = _subscribed(events_settings, receiver)
        await open_stores(settings)
        async with worker(settings):
            answer = await _ask(client, settings, EventsRequest(kind="test", subscriber=name))
        assert (answer["delivered"], answer["status"]) == (False, 418)
        assert [one.event["type"] for one in receiver.got] == ["io.labelbridge.events.test"]
