"""What each subscriber was told: one blob each, changed by compare-and-swap.

Prevents a subscriber who is forgotten with Temporal's memory: the place up to which it was told, the events
that wait for another attempt and the dead letters are in Blob, and a workflow only says when to look.
"""

from datetime import datetime

from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.events.event import Event
from labelbridge.events.outbox import DIGITS
from labelbridge.forms import parsed
from labelbridge.model import Model
from labelbridge.stored import segment

_FOLDER = "events/subscribers/"


class Waiting(Model):
    """An event that was tried in vain and will be tried again."""

    place: int
    failures: int
    due: datetime
    why: str


class DeadLetter(Model):
    """An event that was given up for one subscriber."""

    subscriber: str
    event: Event
    attempts: int
    why: str
    given_up_at: datetime


class SubscriberState(Model):
    """How far one subscriber is."""

    name: str
    cursor: int
    """Every event up to this place was tried at least once, or is not for this subscriber."""
    waiting: tuple[Waiting, ...] = ()
    delivered: int = 0
    dead: int = 0
    disabled: str | None = None
    """Why nothing is sent any more (the receiver answered 410); a replay begins again."""
    delivered_at: datetime | None = None
    why: str = ""
    """Why the last attempt failed; empty after one that succeeded."""


class StoredState(Model):
    """A state together with the ETag that the next write must match."""

    state: SubscriberState
    etag: str


class Subscribers:
    """The states of all subscribers of a registry."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """`blobs` and `container` are the registry's."""
        self._blobs = blobs
        self._container = container

    async def register(self, name: str, cursor: int) -> StoredState:
        """The subscriber's state; a new one is told what comes after `cursor`."""
        data = SubscriberState(name=name, cursor=cursor).model_dump_json(indent=1).encode()
        await self._blobs.create(self._container, _blob(name), data)
        found = await self.load(name)
        if found is None:
            raise LabelbridgeError("unavailable", f"The state of {name} exists and cannot be read yet.")
        return found

    async def load(self, name: str) -> StoredState | None:
        """A subscriber's state, or None if it was never registered."""
        blob = _blob(name)
        content = await self._blobs.read(self._container, blob)
        if content is None:
            return None
        return StoredState(state=parsed(SubscriberState, content.data, blob), etag=content.etag)

    async def save(self, state: SubscriberState, etag: str) -> StoredState:
        """Replace the state that has `etag`; `record_conflict` if somebody else changed it."""
        data = state.model_dump_json(indent=1).encode()
        written = await self._blobs.replace(self._container, _blob(state.name), data, etag)
        return StoredState(state=state, etag=written)

    async def all(self) -> tuple[SubscriberState, ...]:
        """All states, by name."""
        found = []
        for blob in await self._blobs.list(self._container, _FOLDER):
            stored = await self.load(blob.name.removeprefix(_FOLDER).removesuffix(".json"))
            if stored is not None:
                found.append(stored.state)
        return tuple(found)

    async def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter; the first of an event stays."""
        name = f"{_dead(letter.subscriber)}{letter.event.cursor:0{DIGITS}d}.json"
        await self._blobs.create(self._container, name, letter.model_dump_json(indent=1).encode())

    async def dead_letters(self, name: str) -> tuple[DeadLetter, ...]:
        """A subscriber's dead letters, in the order of their events."""
        found = []
        for blob in await self._blobs.list(self._container, _dead(name)):
            content = await self._blobs.read(self._container, blob.name)
            if content is not None:
                found.append(parsed(DeadLetter, content.data, blob.name))
        return tuple(found)


def _dead(name: str) -> str:
    return f"events/dead/{segment(name)}/"


def _blob(name: str) -> str:
    return f"{_FOLDER}{segment(name)}.json"
