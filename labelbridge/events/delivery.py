"""One look at one subscriber: what waits and is due, then what is new; each event tried at least once.

Prevents three failures: an event that a crash between sending and noting loses (the note comes after the
sending, so it is sent again), one broken event that holds up all others (it waits by itself), and a
receiver that was away for a day and then has to wait for the last retry's day to end (see `_probe`).
"""

import time
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.events.event import Event
from labelbridge.events.orders import Round
from labelbridge.events.outbox import Outbox
from labelbridge.events.settings import EventSettings, Subscriber, TopicSettings, WebhookSettings
from labelbridge.events.subscribers import DeadLetter, StoredState, Subscribers, SubscriberState, Waiting
from labelbridge.events.webhook import Attempt, Webhooks
from labelbridge.settings import Settings
from labelbridge.telemetry.counting import counting

_BATCH = 64
"""New events in one look."""
_NOTE_EVERY = 16
"""Events that are sent before the state is written: at most so many are sent twice after a crash."""
_ROUND = 20.0
"""Seconds after which a look ends, so that a worker can be replaced."""
_WHY = 300
"""Characters of a reason that are kept."""


class Delivery:
    """Delivers the outbox to subscribers."""

    def __init__(
        self, session: AzureSession, outbox: Outbox, subscribers: Subscribers, settings: Settings
    ) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._outbox = outbox
        self._subscribers = subscribers
        self._settings = settings

    async def look(self, name: str) -> Round:
        """Try what is due for one subscriber; may be repeated, then events are sent again."""
        subscriber = self._settings.events.subscribers.get(name)
        if subscriber is None:
            return Round(gone=True)
        stored = await self.registered(name)
        if stored.state.disabled:
            return Round()
        async with Webhooks(self._settings.events, self._settings.ca_bundle) as webhooks:
            look = _Look(self, subscriber, stored, webhooks)
            try:
                return await look.round()
            except LabelbridgeError as error:
                if error.code != "record_conflict":
                    raise
                return Round(more=True)  # a replay, or a worker that was given up and still lives

    async def registered(self, name: str) -> StoredState:
        """The subscriber's state; one that is new is told what comes from now on."""
        return await self._subscribers.load(name) or await self._subscribers.register(
            name, await self._outbox.tail()
        )

    async def rewind(self, name: str, place: int) -> SubscriberState:
        """Let a subscriber be told again everything after a place; ends its being disabled.

        Raises:
            LabelbridgeError: `subscriber_unknown`; `input_invalid` for a place after the outbox's end.
        """
        self._known(name)
        tail = await self._outbox.tail()
        if place > tail:
            raise LabelbridgeError("input_invalid", f"The outbox ends at {tail}; {place} is after that.")
        while True:
            stored = await self.registered(name)
            waiting = tuple(one for one in stored.state.waiting if one.place <= place)
            changes = {"cursor": place, "waiting": waiting, "disabled": None}
            try:
                return (
                    await self._subscribers.save(stored.state.model_copy(update=changes), stored.etag)
                ).state
            except LabelbridgeError as error:
                if error.code != "record_conflict":
                    raise

    async def test(self, name: str, event: Event) -> Attempt:
        """Send one event to a subscriber, past the outbox, and say what it answered."""
        subscriber = self._known(name)
        async with Webhooks(self._settings.events, self._settings.ca_bundle) as webhooks:
            return await self.attempt(subscriber, event, webhooks)

    async def attempt(self, subscriber: Subscriber, event: Event, webhooks: Webhooks) -> Attempt:
        """Try once."""
        if isinstance(subscriber, WebhookSettings):
            return await webhooks.send(subscriber, event)
        assert isinstance(subscriber, TopicSettings)
        began = time.monotonic()
        try:
            await self._session.topic(subscriber.endpoint).send(
                id=event.id,
                source=event.source,
                type=event.type,
                subject=event.subject,
                time=event.time,
                data=event.data,
                extensions={"sequence": event.sequence} if event.sequence else {},
            )
        except LabelbridgeError as error:
            return Attempt(delivered=False, why=str(error), retry_after=error.retry_after)
        return Attempt(delivered=True, seconds=round(time.monotonic() - began, 3))

    def _known(self, name: str) -> Subscriber:
        subscriber = self._settings.events.subscribers.get(name)
        if subscriber is None:
            raise LabelbridgeError("subscriber_unknown", f"The workers have no subscriber {name!r}.")
        return subscriber

    # What a look uses.

    @property
    def events(self) -> EventSettings:
        """The settings of events."""
        return self._settings.events

    @property
    def outbox(self) -> Outbox:
        """Where events are read."""
        return self._outbox

    @property
    def subscribers(self) -> Subscribers:
        """Where states are kept."""
        return self._subscribers


class _Look:
    """One look; its state is written every few events and at its end."""

    def __init__(
        self, delivery: Delivery, subscriber: Subscriber, stored: StoredState, webhooks: Webhooks
    ) -> None:
        self._delivery = delivery
        self._subscriber = subscriber
        self._stored = stored
        self._webhooks = webhooks
        self._state = stored.state
        self._unsaved = 0
        self._ends = time.monotonic() + _ROUND

    async def round(self) -> Round:
        more = await self._due() or await self._new()
        await self._save()
        if more or self._state.disabled:
            return Round(more=more and not self._state.disabled)
        if not self._state.waiting:
            return Round()
        due = min(one.due for one in self._state.waiting)
        pause = max(timedelta(0), due - datetime.now(UTC))
        return Round(pause=min(pause, self._delivery.events.probe) if self._full else pause)

    @property
    def _full(self) -> bool:
        return len(self._state.waiting) >= self._delivery.events.waiting_limit

    @property
    def _over(self) -> bool:
        return time.monotonic() > self._ends or self._state.disabled is not None

    async def _due(self) -> bool:
        """Try what waits and is due, oldest first; True if time ended it."""
        if self._full:
            await self._probe()
        now = datetime.now(UTC)
        for one in sorted(self._state.waiting, key=lambda waiting: waiting.place):
            if self._over:
                return True
            if one.due <= now:
                await self._again(one)
        return False

    async def _again(self, one: Waiting, *, counts: bool = True) -> bool:
        found = await self._delivery.outbox.read(one.place - 1, 1)
        self._forget(one)
        return not found or await self._try(found[0], one.failures if counts else one.failures - 1)

    async def _probe(self) -> None:
        """The receiver seems to be away: try the oldest, uncounted; if it is back, try all that wait.

        Otherwise the events that were set aside would be due only as their own schedules say, up to a day
        after the receiver came back, and as long as they fill the places nothing new would be read.
        """
        oldest = min(self._state.waiting, key=lambda waiting: waiting.place)
        if await self._again(oldest, counts=False):
            now = datetime.now(UTC)
            waiting = tuple(one.model_copy(update={"due": now}) for one in self._state.waiting)
            self._change(waiting=waiting)

    async def _new(self) -> bool:
        """Try new events; True if there may be more of them."""
        events = await self._delivery.outbox.read(self._state.cursor, _BATCH)
        for event in events:
            if self._over:
                return True
            if self._full:
                return False
            if self._wanted(event):
                await self._try(event, 0)
            self._change(cursor=event.cursor)
            await self._save_some()
        return len(events) == _BATCH

    def _wanted(self, event: Event) -> bool:
        subscriber = self._subscriber
        project = str(event.data.get("project", {}).get("name", ""))
        return _matches(event.type, subscriber.types) and _matches(project, subscriber.projects)

    async def _try(self, event: Event, failures: int) -> bool:
        attempt = await self._delivery.attempt(self._subscriber, event, self._webhooks)
        counting().event_delivery(delivered=attempt.delivered)
        if attempt.delivered:
            now = datetime.now(UTC)
            self._change(delivered=self._state.delivered + 1, delivered_at=now, why="")
        else:
            await self._failed(event, failures + 1, attempt)
        self._unsaved += 1
        await self._save_some()
        return attempt.delivered

    async def _failed(self, event: Event, failures: int, attempt: Attempt) -> None:
        now, why, retries = datetime.now(UTC), attempt.why[:_WHY], self._delivery.events.retries
        self._change(why=why)
        if attempt.gone:
            self._change(disabled=f"{now:%Y-%m-%d %H:%M} the receiver answered {why}")
        if failures > len(retries):
            letter = DeadLetter(
                subscriber=self._state.name, event=event, attempts=failures, why=why, given_up_at=now
            )
            await self._delivery.subscribers.bury(letter)
            counting().dead_letter()
            self._change(dead=self._state.dead + 1)
            return
        pause = retries[failures - 1]
        if attempt.retry_after is not None:
            pause = max(pause, min(attempt.retry_after, retries[-1]))
        waiting = Waiting(place=event.cursor, failures=failures, due=now + pause, why=why)
        self._change(waiting=(*self._state.waiting, waiting))

    def _forget(self, one: Waiting) -> None:
        self._change(waiting=tuple(other for other in self._state.waiting if other.place != one.place))

    def _change(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)

    async def _save_some(self) -> None:
        if self._unsaved >= _NOTE_EVERY:
            await self._save()

    async def _save(self) -> None:
        self._unsaved = 0
        if self._state != self._stored.state:
            self._stored = await self._delivery.subscribers.save(self._state, self._stored.etag)


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)
