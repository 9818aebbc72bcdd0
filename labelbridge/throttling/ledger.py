"""What all workers together ask of one Language resource: one blob, changed by compare-and-swap.

Prevents two workers who each keep the limit and together ask twice of it, and a `Retry-After` that only
the worker heeds which got it. Who wants to send takes from the blob first; a write under the ETag of what
was read is also the proof that no other worker took or paused meanwhile.

The blob may be lost, and Blob may be down: then this process counts by itself until it is back. A limit is
no reason to stop.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import structlog
from pydantic import BaseModel, ValidationError

from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.throttling.settings import Sort, ThrottleSettings
from labelbridge.throttling.window import Grant, Window

log = structlog.get_logger(__name__)

FOLDER = "throttle/"
"""Blobs of this name's start are the resources that workers know."""
PATIENCE = 4.0
"""Seconds that one look at the blob may take before this process counts by itself."""
ALONE = 5.0
"""Seconds for which it then does."""
MOST_SWAPS = 20
"""Tries to write before others; as many workers at once are not expected."""

T = TypeVar("T")


class Taken(BaseModel):
    """The blob. `resource` is for people: names of blobs hold its hash."""

    resource: str
    post: Window = Window()
    get: Window = Window()

    def of(self, sort: Sort) -> Window:
        """The window of one sort."""
        return self.post if sort == "post" else self.get


class Ledger:
    """The shared count of one resource."""

    def __init__(
        self,
        resource: str,
        key: str,
        blobs: Blobs,
        container: str,
        settings: ThrottleSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`key` is `ProjectRef.resource_key`; `container` is the registry's."""
        self._resource = resource
        self._name = blob_name(key)
        self._blobs = blobs
        self._container = container
        self._settings = settings
        self._clock = clock
        self._seen = Taken(resource=resource)
        self._etag: str | None = None
        self._current = False
        """Whether `_seen` may be written under `_etag` without reading first."""
        self._alone_until = 0.0
        self._lock = asyncio.Lock()
        """Both sorts are in one blob: this process changes it for one after the other."""

    async def meet(self) -> None:
        """Make the blob unless it is there: other workers find the resource by it.

        Raises:
            LabelbridgeError: of the blob service.
        """
        await self._blobs.create(self._container, self._name, _dumped(Taken(resource=self._resource)))

    async def take(self, sort: Sort, wanted: int, owed: int = 0) -> Grant:
        """Take up to `wanted` requests for all workers; see `Window.take`."""
        limit, span = self._settings.limit(sort), self._settings.span

        def change(taken: Taken) -> tuple[Grant, bool]:
            grant = taken.of(sort).take(self._clock(), limit, span, wanted=wanted, owed=owed)
            return grant, bool(grant.granted or owed)

        return await self._change(change)

    async def pause(self, sort: Sort, seconds: float) -> None:
        """Let no worker send requests of this sort for so long."""

        def change(taken: Taken) -> tuple[None, bool]:
            before = taken.of(sort).until
            taken.of(sort).pause(self._clock(), seconds)
            return None, taken.of(sort).until != before

        await self._change(change)

    async def room(self, sort: Sort) -> Grant:
        """How many requests could be taken now, by all workers; takes none."""
        async with self._lock:
            self._current = False
            await self._shared(self._read)
        return self._seen.of(sort).room(self._clock(), self._settings.limit(sort), self._settings.span)

    @property
    def hold(self) -> float:
        """Seconds for which requests that were taken ahead may be sent."""
        return self._settings.hold

    def seconds_for(self, sort: Sort, requests: int) -> float:
        """How long so many requests take at the limit's pace."""
        return requests * self._settings.span / max(1, self._settings.limit(sort))

    async def _change(self, change: Callable[[Taken], tuple[T, bool]]) -> T:
        """Apply `change` to what all see; its second answer says whether there is anything to write."""
        async with self._lock:
            for _ in range(MOST_SWAPS):
                if not self._current and await self._shared(self._read) is None:
                    break
                fresh = self._seen.model_copy(deep=True)
                answer, writes = change(fresh)
                if not writes:
                    if not self._current:
                        return answer
                    self._current = False  # it was read a while ago: others may have changed it
                    continue
                written = await self._shared(partial(self._write, _dumped(fresh)))
                if written is None:
                    break
                if written:
                    self._seen = fresh
                    return answer
                await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - no secret
            self._current = False
            return change(self._seen)[0]

    async def _read(self) -> bool:
        found = await self._blobs.read(self._container, self._name)
        self._etag = found.etag if found else None
        self._seen = self._parsed(found.data) if found else Taken(resource=self._resource)
        return True

    async def _write(self, data: bytes) -> bool:
        """Write under the ETag that was read. A lost answer counts what it wrote twice, never not at all."""
        self._current = False
        if self._etag is None:
            self._etag = await self._blobs.create(self._container, self._name, data)
        else:
            try:
                self._etag = await self._blobs.replace(self._container, self._name, data, self._etag)
            except LabelbridgeError as error:
                if error.code != "record_conflict":
                    raise
                return False
        self._current = self._etag is not None
        return self._current

    async def _shared(self, work: Callable[[], Awaitable[bool]]) -> bool | None:
        """What `work` on the blob gives; None if the blob cannot be used now."""
        if time.monotonic() < self._alone_until:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await work()
        except (LabelbridgeError, TimeoutError) as error:
            self._alone_until = time.monotonic() + ALONE
            self._current = False
            log.warning("throttle_not_shared", resource=self._resource, reason=str(error) or "no answer")
            return None

    def _parsed(self, data: bytes) -> Taken:
        try:
            return Taken.model_validate_json(data)
        except ValidationError:  # whatever stands there, it is only a count
            log.warning("throttle_unreadable", blob=self._name)
            return Taken(resource=self._resource)


def blob_name(key: str) -> str:
    """Blob of the resource of this key."""
    return f"{FOLDER}{quote(key, safe='')}.json"


def _dumped(taken: Taken) -> bytes:
    return taken.model_dump_json().encode()
