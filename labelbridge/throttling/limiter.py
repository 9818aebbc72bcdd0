"""The turnstile in front of each request of one sort to one Language resource.

Prevents three failures: a process that sends what nobody counted; one project's polls that push out those
of all others (projects are served in turn, each one's requests in order); and an effect that waits for its
quota until its deadline has passed, and then is neither sent nor asked for later.
"""

import asyncio
import contextvars
import math
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from labelbridge.azure.transport import remaining
from labelbridge.errors import LabelbridgeError
from labelbridge.throttling.ledger import Ledger
from labelbridge.throttling.settings import Sort

LOOK = (0.25, 10.0)
"""Least and most seconds until a turn looks again whether there is room."""
MOST_WAITING = 20
"""Requests that wait at one turnstile before steps that have not begun are sent away: who waits holds one of
the process's hundred places for activities, and a gate needs one too."""
YOUNG = 2.0
"""Seconds after which a step is not sent away any more, although it asks Language for the first time."""
_at_once: contextvars.ContextVar[bool] = contextvars.ContextVar("labelbridge_at_once", default=False)
_step: contextvars.ContextVar["_Step | None"] = contextvars.ContextVar("labelbridge_step", default=None)


@contextmanager
def at_once() -> Iterator[None]:
    """Let requests inside the block pass without waiting; they are counted."""
    token = _at_once.set(True)
    try:
        yield
    finally:
        _at_once.reset(token)


class _Step:
    """One attempt of a step. Sent away in its middle, it would have to do all again."""

    def __init__(self) -> None:
        self.asked = False
        self._since = time.monotonic()

    @property
    def begun(self) -> bool:
        """True once it has done anything that is worth keeping: asked Language, or worked for a while."""
        return self.asked or time.monotonic() - self._since > YOUNG


@contextmanager
def one_step() -> Iterator[None]:
    """The block is one step: its first request may be sent away at once, the others wait."""
    token = _step.set(_Step())
    try:
        yield
    finally:
        _step.reset(token)


class FairQueue:
    """Waiting requests: projects in turn, each one's in order."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def put(self, key: str, future: asyncio.Future[None]) -> None:
        """Stand in line behind the others of `key`."""
        self._waiting.setdefault(key, deque()).append(future)

    def pop(self) -> asyncio.Future[None] | None:
        """The next that still waits; its project goes to the end of the line. None if nobody waits."""
        while self._waiting:
            key, futures = self._waiting.popitem(last=False)
            still = [future for future in futures if not future.done()]  # whose patience has not ended
            if len(still) > 1:
                self._waiting[key] = deque(still[1:])
            if still:
                return still[0]
        return None

    def __len__(self) -> int:
        """How many still wait."""
        return sum(not future.done() for futures in self._waiting.values() for future in futures)


class Limiter:
    """Lets requests of one sort through as the ledger allows. For one event loop."""

    def __init__(self, ledger: Ledger, sort: Sort) -> None:
        """Nothing was let through yet."""
        self._ledger = ledger
        self._sort = sort
        self._queue = FairQueue()
        self._pump: asyncio.Task[None] | None = None
        self._owed = 0
        self._ahead, self._ahead_until = 0, 0.0
        self._entered: deque[float] = deque()
        self._closed_until = 0.0

    async def enter(self, key: str) -> None:
        """Wait until one request for the project `key` may be sent.

        Raises:
            LabelbridgeError: `throttled`, with when to come back, if it could not be sent in half of the time
                that is left until the effect's deadline (the other half is for the request itself), or if
                it is a step's first and `MOST_WAITING` wait already.
        """
        step = _step.get()
        if step is not None and not step.begun and not _at_once.get() and len(self._queue) >= MOST_WAITING:
            raise self._throttled(self._ledger.seconds_for(self._sort, MOST_WAITING))
        await self._pass(key)
        if step is not None:
            step.asked = True

    async def _pass(self, key: str) -> None:
        if _at_once.get():
            self._owed += 1
            self._start()
            return
        now = time.monotonic()
        self._entered.append(now)
        while self._entered[0] < now - self._ledger.hold:
            self._entered.popleft()
        if self._ahead and now < self._ahead_until and not self._queue:
            self._ahead -= 1
            return
        await self._wait(key)

    async def ready(self) -> None:
        """Wait until a request would be let through, after those that wait already; lets none through."""
        while True:
            grant = await self._ledger.room(self._sort)
            if grant.granted > len(self._queue):
                return
            await asyncio.sleep(min(max(grant.wait, LOOK[0]), LOOK[1]))

    async def pause(self, seconds: float) -> None:
        """Send nothing of this sort for so long, here at once and in all workers as soon as it is written."""
        self._ahead = 0
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
        # In a context of its own: the effect whose request was refused may be at its deadline.
        writing = asyncio.get_running_loop().create_task(
            self._ledger.pause(self._sort, seconds), context=contextvars.Context()
        )
        await asyncio.shield(writing)

    async def _wait(self, key: str) -> None:
        left = remaining()
        patience = None if left is None else max(0.0, left / 2)
        if patience is not None and self._closed_for() >= patience:
            raise self._throttled()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(key, future)
        self._start()
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            raise self._throttled() from None
        finally:
            future.cancel()

    def _start(self) -> None:
        if self._pump is None or self._pump.done():
            # Without the deadline of whoever happens to be the first to wait.
            self._pump = asyncio.get_running_loop().create_task(self._serve(), context=contextvars.Context())

    async def _serve(self) -> None:
        """Hand out what the ledger gives until nobody waits and all is counted."""
        try:
            await self._serve_all()
        except Exception as error:  # a bug: whoever waits must hear of it
            while future := self._queue.pop():
                future.set_exception(error)

    async def _serve_all(self) -> None:
        while (waiting := len(self._queue)) or self._owed:
            if closed := self._closed_for():
                await asyncio.sleep(closed)
                continue
            owed, self._owed = self._owed, 0
            # As many as came lately: with one request for each, the blob would be asked as often as Azure.
            wanted = max(waiting, len(self._entered)) if waiting else 0
            grant = await self._ledger.take(self._sort, wanted, owed)
            if not grant.granted:
                self._closed_until = max(self._closed_until, time.monotonic() + grant.wait)
            elif not self._closed_for():  # else a 429 came meanwhile, and what was granted is not used
                self._hand_out(grant.granted)

    def _hand_out(self, granted: int) -> None:
        while granted and (future := self._queue.pop()):
            future.set_result(None)
            granted -= 1
        self._ahead, self._ahead_until = granted, time.monotonic() + self._ledger.hold

    def _closed_for(self) -> float:
        return max(0.0, self._closed_until - time.monotonic())

    def _throttled(self, seconds: float = 0.0) -> LabelbridgeError:
        seconds = max(1, math.ceil(seconds), math.ceil(self._closed_for()))
        return LabelbridgeError(
            "throttled",
            f"The Language resource's quota ({self._sort.upper()}) has no room for this request yet.",
            retry_after=timedelta(seconds=seconds),
        )
