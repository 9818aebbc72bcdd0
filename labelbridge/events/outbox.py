"""The outbox: every event of a registry, in one order, in Blob.

Prevents two failures of outboxes with several writers: a reader who passes a place that is filled only
later, and an event that is lost, or written twice, because its writer died in the middle.

The order is a log of numbered blobs, `events/log/000000000001.json` and so on. Place N+1 is created, with
`If-None-Match: *`, only by a writer who knows that place N is filled, so there are no gaps: whoever has
read up to N has read all that there will ever be up to N. No clock is compared and no lock is held.

An event is first written to a blob of its own id with the log's end at that moment. Whoever repeats the
step finds it, and looks at every place from there on until it meets the event or a free place; two who
do so at once meet each other. So an event has one place, however often its step is repeated.
"""

import asyncio
import itertools
import math
import time

from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.events.event import Event
from labelbridge.forms import parsed
from labelbridge.model import Model

DIGITS = 12
_LOG = "events/log/"
_READ_AT_ONCE = 8
_REMEMBERED = 1000
_RECENT = 2.0
"""Seconds after an append of its own in which a process does not look for the end again. Any place that is
filled may be an event's start, it only costs a request for each place that others filled since."""


class _Intent(Model):
    """An event on its way to its place, which is after `tail`."""

    tail: int
    event: Event


class Outbox:
    """The events of one registry. One per process: appends of a process wait for each other."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """`blobs` and `container` are the registry's."""
        self._blobs = blobs
        self._container = container
        self._known = 0
        """A place that is filled; 0 while none is known."""
        self._filled_at = -math.inf
        """When this process last filled it, on the monotonic clock."""
        self._looked: dict[str, int] = {}
        """Event on its way -> the first place that was not looked at yet."""
        self._turn = asyncio.Lock()

    async def append(self, event: Event) -> Event:
        """Give an event its place; returns it as it stands there, with its `sequence`.

        May be repeated, also by two at once: the first that was written under this id stays.
        """
        async with self._turn:
            intent = await self._intend(event)
            place = max(intent.tail + 1, self._looked.get(event.id, 0))
            while True:
                placed = intent.event.model_copy(update={"sequence": f"{place:0{DIGITS}d}"})
                if await self._blobs.create(self._container, _name(place), placed.encoded()) is not None:
                    self._known, self._filled_at = max(self._known, place), time.monotonic()
                    self._looked.pop(event.id, None)
                    return placed
                passed = await self._filled_from(place)
                if not passed:
                    raise LabelbridgeError("unavailable", f"Event {place} exists and cannot be read yet.")
                for standing in passed:
                    if standing.id == event.id:
                        self._looked.pop(event.id, None)
                        return standing
                place += len(passed)
                self._remember(event.id, place)

    def _remember(self, event_id: str, place: int) -> None:
        """Where to look on: a step that is cut off at its deadline must get further when it is repeated."""
        self._looked[event_id] = place
        while len(self._looked) > _REMEMBERED:
            del self._looked[next(iter(self._looked))]

    async def _filled_from(self, place: int) -> list[Event]:
        """The next few events from a place on, up to the first free one."""
        found = await asyncio.gather(*(self._at(place + ahead) for ahead in range(_READ_AT_ONCE)))
        filled = itertools.takewhile(lambda one: one is not None, found)
        return [event for event in filled if event is not None]

    async def read(self, after: int, limit: int) -> tuple[Event, ...]:
        """At most `limit` events that follow the place `after`, in order; empty at the end."""
        found: list[Event] = []
        while len(found) < limit:
            first = after + len(found) + 1
            places = range(first, first + min(_READ_AT_ONCE, limit - len(found)))
            for event in await asyncio.gather(*(self._at(place) for place in places)):
                if event is None:
                    return tuple(found)
                found.append(event)
        return tuple(found)

    async def tail(self) -> int:
        """The last place that is filled; 0 if there is none.

        From a place that is known to be filled, by steps that double and then by halves: there are no
        gaps. A few requests while this process follows the log, some forty for the first look at a million.
        """
        low, step = self._known or await self._oldest(), 1
        if low == 0:
            return 0
        while await self._filled(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            if await self._filled(middle):
                low = middle
            else:
                high = middle
        self._known = max(self._known, low)
        return low

    async def _intend(self, event: Event) -> _Intent:
        name = f"events/intents/{event.id}.json"
        recent = time.monotonic() - self._filled_at < _RECENT
        intent = _Intent(tail=self._known if recent else await self.tail(), event=event)
        if await self._blobs.create(self._container, name, intent.model_dump_json().encode()) is not None:
            return intent
        content = await self._blobs.read(self._container, name)
        if content is None:
            raise LabelbridgeError("unavailable", f"The event {event.id} exists and cannot be read yet.")
        return parsed(_Intent, content.data, name)

    async def _oldest(self) -> int:
        """The first place; others than 1 if old events were deleted."""
        async for blob in self._blobs.each(self._container, _LOG):
            return int(blob.name.removeprefix(_LOG).removesuffix(".json"))
        return 0

    async def _filled(self, place: int) -> bool:
        return await self._blobs.exists(self._container, _name(place))

    async def _at(self, place: int) -> Event | None:
        content = await self._blobs.read(self._container, _name(place))
        return None if content is None else parsed(Event, content.data, _name(place))


def cursor(text: str) -> int:
    """A place in the outbox as people give it.

    Raises:
        LabelbridgeError: `input_invalid` if it is no number.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise LabelbridgeError("input_invalid", f"{text!r} is no cursor: give an event's `sequence`, or 0.")
    return int(text)


def _name(place: int) -> str:
    return f"{_LOG}{place:0{DIGITS}d}.json"
