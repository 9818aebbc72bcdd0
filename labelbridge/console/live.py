"""Live pages: one look serves everybody who watches the same thing, for as long as somebody does.

Prevents a hundred open tabs from asking a hundred times, and a closed tab from asking for ever. A stream
begins with the whole state, so a browser that reconnects is right at once and nothing is remembered for
it; it ends by itself after a while, so that a session that has ended is noticed by the next connection.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")

STREAM_SECONDS = 600.0
"""A stream ends after this; the browser connects again, which checks the person's session anew."""
FAILED_PAUSE = 5.0
"""Seconds to wait after a look that failed unforeseen."""


class Feed(Generic[S]):
    """Looks at one thing again and again while somebody watches."""

    def __init__(
        self,
        look: Callable[[S | None], Awaitable[S]],
        pause: Callable[[S], float],
        failed_pause: float = FAILED_PAUSE,
    ) -> None:
        """`look` gets what was seen last; `pause` says how many seconds to wait after a look."""
        self._look = look
        self._pause = pause
        self._failed_pause = failed_pause
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.seen: S | None = None
        self.version = 0
        self.watchers = 0

    def enter(self) -> None:
        """Somebody more watches."""
        self.watchers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def leave(self) -> None:
        """Somebody watches no more; the last one ends the looking."""
        self.watchers -= 1
        if self.watchers == 0 and self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def next(self, version: int) -> tuple[int, S]:
        """What is seen once its version is newer than `version`; 0 asks for anything."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.version > version)
            assert self.seen is not None
            return self.version, self.seen

    async def _run(self) -> None:
        while True:
            try:
                seen = await self._look(self.seen)
            except Exception:
                log.exception("live_look_failed")
                await asyncio.sleep(self._failed_pause)
                continue
            if seen != self.seen or self.version == 0:
                async with self._changed:
                    self.seen, self.version = seen, self.version + 1
                    self._changed.notify_all()
            await asyncio.sleep(self._pause(seen))


class Feeds(Generic[K, S]):
    """The feeds that somebody watches, by key."""

    def __init__(
        self,
        look: Callable[[K, S | None], Awaitable[S]],
        pause: Callable[[S], float],
        failed_pause: float = FAILED_PAUSE,
    ) -> None:
        """See `Feed`; `look` also gets the key."""
        self._look = look
        self._pause = pause
        self._failed_pause = failed_pause
        self._feeds: dict[K, Feed[S]] = {}

    @property
    def watched(self) -> frozenset[K]:
        """What is looked at now."""
        return frozenset(self._feeds)

    async def follow(self, key: K, *, seconds: float = STREAM_SECONDS) -> AsyncGenerator[S, None]:
        """What is seen now, then whenever it changes, until `seconds` have passed."""
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(
                lambda before: self._look(key, before), self._pause, self._failed_pause
            )
        feed.enter()
        ends = time.monotonic() + seconds
        version = 0
        try:
            while (left := ends - time.monotonic()) > 0:
                try:
                    version, seen = await asyncio.wait_for(feed.next(version), left)
                except TimeoutError:
                    return
                yield seen
        finally:
            if feed.watchers == 1:
                self._feeds.pop(key, None)
            await feed.leave()


class Unsent:
    """Which parts of a page differ from what this browser was sent."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._sent: dict[str, str] = {}

    def of(self, parts: dict[str, str]) -> dict[str, str]:
        """The parts that are new, which count as sent from now on."""
        new = {name: text for name, text in parts.items() if self._sent.get(name) != text}
        self._sent.update(new)
        return new
