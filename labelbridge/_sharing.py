"""Callers of one process who ask for the same at the same time, and share one asking.

Prevents a thousand waiters of one sync from asking for it a thousand times. What is shared begins only
after each of those who share it asked, so nobody gets what is older than their question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Sharing(Generic[T]):
    """One asking at a time for each key; who comes while one is under way shares the next."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def ask(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result of a `work` that begins after this call; whose `work` it is does not matter.

        A caller who is cancelled leaves it to the others.
        """
        task = self._next.get(key)
        if task is None:
            task = asyncio.create_task(self._in_turn(key, work))
            task.add_done_callback(_heard)
            self._next[key] = task
        return await asyncio.shield(task)

    async def _in_turn(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        own = self._next[key]
        while running := self._running.get(key):
            await asyncio.wait([running])
        self._running[key] = own
        del self._next[key]
        try:
            return await work()
        finally:
            del self._running[key]


def _heard(task: asyncio.Task[T]) -> None:
    """A failure that all who shared it no longer wait for is nobody's."""
    if not task.cancelled():
        task.exception()
