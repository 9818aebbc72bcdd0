"""The keys of this process: fetched once, kept, fetched again when they are due or a payload needs another.

Prevents three failures: a worker that must be restarted for each rotation (a payload of a new key makes it
look again at once), a stranger who makes us ask the vault without end by inventing key ids, and work that
stands still while the vault is away (the keys that are known serve on).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import timedelta

from labelbridge.encryption.keys import KeyRing
from labelbridge.errors import LabelbridgeError

# Not structlog: on the command line, which configures none, it would write among the data on stdout.
log = logging.getLogger(__name__)

Load = Callable[[KeyRing | None], Awaitable[KeyRing]]
"""Fetches the ring; is given the one before, whose keys need no second fetch."""
_FAILURE_PAUSE = 10.0
"""Seconds after a fetch that failed before the next one that is merely due."""


class Keys:
    """One source of keys, for one event loop."""

    def __init__(
        self,
        load: Load,
        *,
        refresh: timedelta,
        unknown_key_pause: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is fetched until it is needed; times as in `EncryptionSettings`."""
        self._load = load
        self._refresh = refresh.total_seconds()
        self._pause = unknown_key_pause.total_seconds()
        self._clock = clock
        self._ring: KeyRing | None = None
        self._due = self._asked = float("-inf")
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None

    async def ring(self) -> KeyRing:
        """The keys. The first call fetches them; later ones never wait.

        Raises:
            LabelbridgeError: `encryption_keys_unavailable`, `settings_invalid`.
        """
        if self._ring is None:
            async with self._lock:
                if self._ring is None:
                    await self._fetch()
        elif self._clock() >= self._due and (self._running is None or self._running.done()):
            self._due = self._clock() + _FAILURE_PAUSE
            # In a context of its own: whoever happens to come first may have an effect's deadline in theirs.
            self._running = asyncio.create_task(self._fetch_beside(), context=Context())
        assert self._ring is not None
        return self._ring

    async def key(self, key_id: str) -> bytes:
        """The key with this id; an unknown one makes us look again, not oftener than the pause says.

        Raises:
            LabelbridgeError: `encryption_key_unknown` names the id; else as `ring`.
        """
        ring = await self.ring()
        if key_id not in ring.keys:
            ring = await self._look_again(key_id, ring)
        try:
            return ring.keys[key_id]
        except KeyError:
            raise LabelbridgeError(
                "encryption_key_unknown",
                f"A payload is encrypted with the key {key_id!r}; this process has {_named(ring)}.",
                data={"key": key_id},
            ) from None

    async def _look_again(self, key_id: str, seen: KeyRing) -> KeyRing:
        async with self._lock:
            # While we waited for the lock somebody else may have fetched it, or looked in vain.
            if self._ring is seen and self._clock() - self._asked >= self._pause:
                self._asked = self._clock()
                log.info("encryption_key_looked_for: %r", key_id)
                await self._try()
            assert self._ring is not None
            return self._ring

    async def _fetch_beside(self) -> None:
        async with self._lock:
            await self._try()

    async def _try(self) -> None:
        """Fetch; what is known serves on if that fails."""
        try:
            await self._fetch()
        except LabelbridgeError as error:
            log.warning("encryption_keys_not_refreshed: %s", error)

    async def _fetch(self) -> None:
        before, found = self._ring, await self._load(self._ring)
        self._ring, self._due = found, self._clock() + self._refresh
        if before is None or (before.active, set(before.keys)) != (found.active, set(found.keys)):
            log.info("encryption_keys: active %r, all %s", found.active, _named(found))


def _named(ring: KeyRing) -> str:
    return ", ".join(repr(name) for name in sorted(ring.keys))
