"""What the workflows of events hand to activities, and what comes back: names and times, no secrets."""

from datetime import timedelta
from typing import Literal

from labelbridge.model import Actor, ErrorInfo, Model, OperationKind, ProjectRef


class DeliveryOrder(Model):
    """Tell one subscriber what it was not told yet."""

    subscriber: str


class Round(Model):
    """How one look at a subscriber ended."""

    more: bool = False
    """There is more to do at once."""
    gone: bool = False
    """The worker's settings have no such subscriber."""
    pause: timedelta | None = None
    """Until the next event that waits is due; None: only new events give work."""


class EventsRequest(Model):
    """What a person asks of the deliveries."""

    kind: Literal["replay", "test"]
    subscriber: str
    cursor: int = 0
    """Replay: everything after this place is told again."""


class PersonNeeded(Model):
    """An operation cannot go on until somebody mends something."""

    project: ProjectRef
    operation_id: str
    kind: OperationKind
    error: ErrorInfo


class ExportSeen(Model):
    """A label export that Event Grid told of."""

    job: str
    """Name of the labeling job, from the blob's path."""
    account: str
    container: str
    path: str


class AutoSync(Model):
    """Look whether a project's policy wants a sync now."""

    project: ProjectRef
    key: str | None = None
    """Idempotency key of the sync; that of the looking workflow if None."""
    export: ExportSeen | None = None
    """What is the reason; None: its Schedule."""


class AutoSyncOutcome(Model):
    """What became of an `AutoSync`."""

    outcome: Literal["off", "ours", "busy", "started", "refused"]
    """`off`: the policy does not want it; `ours`: Labelbridge made that export itself; `busy`: an operation
    runs that may have made it, look again later."""
    operation_id: str | None = None
    actor: Actor | None = None
    why: str = ""
