"""Telling: what an operation's steps write into the outbox, and the steps that deliver it."""

from datetime import UTC, datetime
from uuid import uuid4

from temporalio import activity

from labelbridge.errors import LabelbridgeError
from labelbridge.events import event
from labelbridge.events.delivery import Delivery
from labelbridge.events.event import Event, EventType, event_id
from labelbridge.events.orders import DeliveryOrder, EventsRequest, PersonNeeded, Round
from labelbridge.events.outbox import Outbox
from labelbridge.events.subscribers import SubscriberState
from labelbridge.events.waking import wake
from labelbridge.events.webhook import Attempt
from labelbridge.latest import LatestLabels, Markers, snapshot_path
from labelbridge.model import AuditEntry, OperationKind, Outcome
from labelbridge.model.steps import OperationOrder
from labelbridge.registry import Registry
from labelbridge.settings import Settings


class Announcer:
    """Writes events and the marker of the latest labels; used by the steps that write the record.

    Everything here may be repeated: an event's id comes from its operation, a marker never goes back.
    """

    def __init__(self, registry: Registry, outbox: Outbox, markers: Markers, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._registry = registry
        self._outbox = outbox
        self._markers = markers
        self._settings = settings

    async def begun(self, order: OperationOrder) -> None:
        """An operation has begun."""
        kind = OperationKind(order.submission.request.kind)
        actor, now = order.submission.actor, datetime.now(UTC)
        await self.tell(event.started(order.project, order.operation_id, kind, actor, now))

    async def ended(self, entry: AuditEntry) -> None:
        """An operation has ended: the marker, then the events."""
        latest, synced = await self._latest(entry), None
        if latest is not None and await self._markers.advance(entry.project, latest) == latest:
            synced = latest
        await self.tell(*event.events_of(entry, synced))

    async def tell(self, *events: Event | None) -> None:
        """Write events, in this order, and wake the deliveries."""
        written = [await self._outbox.append(one) for one in events if one is not None]
        if written and self._settings.events.subscribers:
            await wake(activity.client(), self._settings)

    async def _latest(self, entry: AuditEntry) -> LatestLabels | None:
        """What the marker is to say, if the operation carried the active studio's labels."""
        result = entry.result
        if entry.outcome is not Outcome.COMMITTED or result is None or result.snapshot is None:
            return None
        if entry.kind is OperationKind.TRAIN and not (result.model and result.model.labels == "latest"):
            return None
        if entry.kind not in (OperationKind.SYNC, OperationKind.TRAIN, OperationKind.SWITCH):
            return None
        snapshot, given = result.snapshot, result.snapshot.id
        if entry.kind is OperationKind.SWITCH and result.merge is not None:
            given = result.merge.snapshot  # what Language holds after the way back
        source, documents, labels = snapshot.source, snapshot.documents, snapshot.labels
        if given != snapshot.id:
            manifest = await self._registry.read_manifest(entry.project, given)
            if manifest is None:
                raise LabelbridgeError("not_yet", f"The manifest of {given} is not visible yet.")
            source, documents, labels = "merged", int(manifest["documents"]), int(manifest["labels"])
        return LatestLabels(
            project=entry.project.key,
            snapshot=given,
            sha256=given,
            path=snapshot_path(entry.project, given),
            source=source,
            documents=documents,
            labels=labels,
            quarantined=snapshot.quarantined,
            epoch=entry.epoch,
            taken_at=snapshot.taken_at,
            operation=entry.operation_id,
            carried_at=entry.ended_at,
        )


class EventsOut:
    """The steps of the deliveries."""

    def __init__(self, announcer: Announcer, delivery: Delivery, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._announcer = announcer
        self._delivery = delivery
        self._settings = settings

    @activity.defn(name="deliver_events")
    async def deliver_events(self, order: DeliveryOrder) -> Round:
        """Tell a subscriber what it was not told. May run twice: receivers know events by their id."""
        return await self._delivery.look(order.subscriber)

    @activity.defn(name="announce_person_needed")
    async def announce_person_needed(self, needed: PersonNeeded) -> None:
        """Tell that an operation waits for a person. May run twice: its id comes from operation and code."""
        now = datetime.now(UTC)
        await self._announcer.tell(
            event.person_needed(needed.project, needed.operation_id, needed.kind, needed.error, now)
        )

    @activity.defn(name="rewind_subscriber")
    async def rewind_subscriber(self, request: EventsRequest) -> SubscriberState:
        """Let a subscriber be told again from a place on. May run twice: it is the same place."""
        state = await self._delivery.rewind(request.subscriber, request.cursor)
        await wake(activity.client(), self._settings, request.subscriber)
        return state

    @activity.defn(name="test_subscriber")
    async def test_subscriber(self, request: EventsRequest) -> Attempt:
        """Send a test event, past the outbox. May run twice: it has no effect but to arrive."""
        test = Event(
            id=event_id("test", uuid4().hex),
            source="/labelbridge",
            type=EventType.TEST.value,
            subject=request.subscriber,
            time=datetime.now(UTC),
            data={"subscriber": request.subscriber},
        )
        return await self._delivery.test(request.subscriber, test)
