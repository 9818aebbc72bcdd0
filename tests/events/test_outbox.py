"""The outbox: one order, no gaps, nothing twice, whoever writes at once and whatever answers are lost."""

import asyncio
import random
from typing import Any

import pytest

from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.events.event import Event
from labelbridge.events.outbox import Outbox, cursor
from tests.events.conftest import MakeSettings, OpenStores, an_event


class ForgetfulBlobs:
    """Real blobs whose answers to `create` are lost now and then, after the effect: no service can be
    told to do that at will."""

    def __init__(self, blobs: Blobs, seed: int) -> None:
        self._blobs = blobs
        self._chance = random.Random(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    async def create(self, container: str, name: str, data: bytes) -> str | None:
        written = await self._blobs.create(container, name, data)
        if self._chance.random() < 0.2:
            raise LabelbridgeError("unavailable", "the answer was lost")
        return written


async def _insist(outbox: Outbox, event: Event) -> Event:
    """What Temporal does with a step that fails in passing."""
    while True:
        try:
            return await outbox.append(event)
        except LabelbridgeError as error:
            if error.final:
                raise


async def test_events_of_many_writers_get_one_place_each_without_gaps_and_a_reader_misses_none(
    events_settings: MakeSettings, open_stores: OpenStores, session: AzureSession
) -> None:
    settings = events_settings()
    stores = await open_stores(settings)
    blobs, container = session.blobs(settings.registry.account), settings.registry.container
    outboxes = [Outbox(ForgetfulBlobs(blobs, seed), container) for seed in range(4)]  # type: ignore[arg-type]
    written = [[an_event(number) for number in range(5)] for _ in outboxes]

    async def write(outbox: Outbox, other: Outbox, events: list[Event]) -> None:
        for event in events:  # the step runs twice at once: a worker that was given up, and its successor
            first, second = await asyncio.gather(_insist(outbox, event), _insist(other, event))
            assert first.sequence == second.sequence

    seen: list[Event] = []

    async def follow(total: int) -> None:
        while len(seen) < total:
            seen.extend(await stores.outbox.read(seen[-1].cursor if seen else 0, 5))

    others = [*outboxes[1:], outboxes[0]]
    writing = [write(a, b, events) for a, b, events in zip(outboxes, others, written, strict=True)]
    await asyncio.gather(follow(20), *writing)
    assert [event.cursor for event in seen] == list(range(1, 21))
    assert sorted(event.id for event in seen) == sorted(event.id for one in written for event in one)
    for events in written:  # of one writer: in the order in which it wrote
        ours = {event.id for event in events}
        assert [event.id for event in seen if event.id in ours] == [event.id for event in events]
    assert await stores.outbox.tail() == 20
    assert await stores.outbox.read(20, 5) == ()


class HastyBlobs:
    """Real blobs for a step that is cut off at its third attempt to take a place."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    async def create(self, container: str, name: str, data: bytes) -> str | None:
        if "/log/" in name:
            self._tries += 1
            if self._tries % 3 == 0:
                raise LabelbridgeError("unavailable", "cut off at the deadline")
        return await self._blobs.create(container, name, data)


async def test_a_step_that_is_cut_off_again_and_again_gets_further_each_time(
    events_settings: MakeSettings, open_stores: OpenStores, session: AzureSession
) -> None:
    settings = events_settings()
    stores = await open_stores(settings)
    blobs, container = session.blobs(settings.registry.account), settings.registry.container
    hasty = Outbox(HastyBlobs(blobs), container)  # type: ignore[arg-type]
    late = an_event()
    await hasty._intend(late)  # the end at that moment is the start of the log
    for number in range(60):
        await stores.outbox.append(an_event(number))
    assert (await _insist(hasty, late)).cursor == 61
    assert (await _insist(hasty, late)).cursor == 61


async def test_the_end_is_found_by_a_process_that_has_seen_nothing_and_after_old_events_were_deleted(
    events_settings: MakeSettings, open_stores: OpenStores, session: AzureSession
) -> None:
    settings = events_settings()
    stores = await open_stores(settings)
    assert await stores.outbox.tail() == 0
    for number in range(11):
        await stores.outbox.append(an_event(number))
    blobs, container = session.blobs(settings.registry.account), settings.registry.container
    assert await Outbox(blobs, container).tail() == 11
    for blob in (await blobs.list(container, "events/log/"))[:4]:
        await blobs.delete(container, blob.name)
    fresh = Outbox(blobs, container)
    assert await fresh.tail() == 11
    assert (await fresh.append(an_event(11))).sequence == "000000000012"


def test_a_cursor_is_a_number() -> None:
    assert cursor("0") == 0
    assert cursor("000000000042") == 42
    for wrong in ("", "-1", "x", "1.5", "9" * 13):
        with pytest.raises(LabelbridgeError) as caught:
            cursor(wrong)
        assert caught.value.code == "input_invalid"
