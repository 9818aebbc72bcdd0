"""Live feeds: one look for all who watch, none when nobody does."""

import asyncio
from collections.abc import AsyncGenerator

from labelbridge.console.live import Feeds, Unsent


class Thing:
    """Something to look at, whose looks are counted and that changes when it is told to."""

    def __init__(self) -> None:
        self.value = "first"
        self.looks = 0
        self.looked = asyncio.Condition()

    async def look(self, key: str, before: str | None) -> str:
        async with self.looked:
            self.looks += 1
            self.looked.notify_all()
        return self.value

    async def is_looked_at_again(self, times: int = 2) -> None:
        async with self.looked:
            wanted = self.looks + times
            await self.looked.wait_for(lambda: self.looks >= wanted)


def feeds_of(thing: Thing) -> Feeds[str, str]:
    return Feeds(thing.look, lambda _: 0.0)


async def first(stream: AsyncGenerator[str, None]) -> str:
    return await anext(stream)


async def test_everybody_who_watches_the_same_thing_shares_its_looks() -> None:
    started, go = asyncio.Event(), asyncio.Event()
    looks = 0

    async def look(key: str, before: str | None) -> str:
        nonlocal looks
        looks += 1
        started.set()
        await go.wait()
        return "seen"

    feeds: Feeds[str, str] = Feeds(look, lambda _: 3600.0)
    streams = [feeds.follow("one") for _ in range(50)]
    waiting = [asyncio.create_task(first(stream)) for stream in streams]
    await started.wait()
    go.set()
    assert await asyncio.gather(*waiting) == ["seen"] * 50
    assert looks == 1
    for stream in streams:
        await stream.aclose()


async def test_a_late_watcher_gets_the_whole_state_at_once() -> None:
    thing = Thing()
    feeds = feeds_of(thing)
    early = feeds.follow("one")
    assert await anext(early) == "first"
    thing.value = "second"
    assert await anext(early) == "second"
    late = feeds.follow("one")
    assert await anext(late) == "second"
    await early.aclose()
    await late.aclose()


async def test_what_did_not_change_is_not_sent_again() -> None:
    thing = Thing()
    stream = feeds_of(thing).follow("one")
    assert await anext(stream) == "first"
    again = asyncio.create_task(first(stream))
    await thing.is_looked_at_again()
    assert not again.done()
    thing.value = "second"
    assert await again == "second"
    await stream.aclose()


async def test_looking_ends_when_the_last_watcher_leaves() -> None:
    thing = Thing()
    feeds = feeds_of(thing)
    one, two = feeds.follow("one"), feeds.follow("one")
    await anext(one)
    await anext(two)
    await one.aclose()
    await thing.is_looked_at_again()
    await two.aclose()
    assert feeds.watched == frozenset()
    before = thing.looks
    for _ in range(20):
        await asyncio.sleep(0)
    assert thing.looks == before


async def test_a_look_that_fails_does_not_end_the_stream() -> None:
    """The look itself reports what it cannot read; this is for a bug in it."""
    outcomes = iter([RuntimeError("a bug"), "seen"])

    async def look(key: str, before: str | None) -> str:
        outcome = next(outcomes, "seen")
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    stream: AsyncGenerator[str, None] = Feeds(look, lambda _: 3600.0, failed_pause=0.0).follow("one")
    assert await anext(stream) == "seen"
    await stream.aclose()


async def test_a_stream_ends_by_itself_so_that_a_session_is_looked_at_again() -> None:
    stream = feeds_of(Thing()).follow("one", seconds=0.05)
    assert [seen async for seen in stream] == ["first"]


def test_a_browser_is_sent_only_parts_that_differ() -> None:
    unsent = Unsent()
    assert unsent.of({"state": "a", "steps": "b"}) == {"state": "a", "steps": "b"}
    assert unsent.of({"state": "a", "steps": "c"}) == {"steps": "c"}
    assert unsent.of({"state": "a", "steps": "c"}) == {}
