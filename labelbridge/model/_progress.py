"""What an operation says of itself: findings, timeline, result, error, audit."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from labelbridge.model._nouns import (
    Actor,
    Drift,
    JobRef,
    MergeReport,
    Model,
    ModelRecord,
    OperationKind,
    ProjectKind,
    ProjectRef,
    Record,
    SnapshotRef,
    Studio,
)
from labelbridge.model._requests import Request


class RunningOperation(Model):
    """Which operation runs, who asked for it, since when."""

    operation_id: str
    workflow_id: str
    kind: OperationKind
    actor: Actor
    started_at: datetime


class WaitingOperation(Model):
    """An accepted operation that has not begun."""

    operation_id: str
    kind: OperationKind


class Severity(StrEnum):
    """`error` stops an operation, `warning` does not."""

    ERROR = "error"
    WARNING = "warning"
    OK = "ok"


class Finding(Model):
    """One thing that the preflight looked at."""

    code: str
    severity: Severity
    message: str
    command: str | None = None
    """The exact command that mends it, if one does."""
    waitable: bool = False
    """True for a role that may only need time to propagate."""


class ErrorInfo(Model):
    """An error as it travels: a stable code, what happened, what to do (see `errors.py`)."""

    code: str
    message: str
    remedy: str = ""
    data: dict[str, str] = Field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class Preflight(Model):
    """All findings of one look, and the facts that the operation needs later."""

    findings: tuple[Finding, ...]
    kind: ProjectKind | None = None
    container: str | None = None
    datastore: str | None = None
    documents: int = 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the operation."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)


class PreflightLook(Model):
    """What a preflight is asked to look at."""

    project: ProjectRef
    actor: Actor
    request: Request
    record: Record | None = None


class StepState(StrEnum):
    """State of one step of a running operation."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


class StepProgress(Model):
    """One line of an operation's timeline."""

    name: str
    state: StepState
    note: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Progress(Model):
    """Live timeline of an operation, answered by the operation's `progress` query."""

    operation_id: str
    kind: OperationKind
    actor: Actor
    steps: tuple[StepProgress, ...]
    attention: ErrorInfo | None = None
    """Why the operation needs a person: it goes on asking, slowly, until that is mended."""


class OperationResult(Model):
    """How a committed operation ended. One that rolled back fails with an `ErrorInfo` instead."""

    operation_id: str
    kind: OperationKind
    active: Studio
    epoch: int
    snapshot: SnapshotRef | None = None
    """Labels of the side that was exported; of the active studio for a sync."""
    merge: MergeReport | None = None
    model: ModelRecord | None = None
    labels_disabled_seconds: float | None = None
    """From the gate of the source read back shut to the gate of the target read back open."""
    drift: tuple[Drift, ...] = ()
    """Reconcile only: each difference that was found, and what became of it."""
    notes: tuple[str, ...] = ()
    started_at: datetime
    ended_at: datetime


class Outcome(StrEnum):
    """How an operation ended."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class AuditEntry(Model):
    """One line of the audit trail: an operation that ended, by whom, and how."""

    operation_id: str
    project: ProjectRef
    kind: OperationKind
    actor: Actor
    outcome: Outcome
    epoch: int
    active: Studio
    started_at: datetime
    ended_at: datetime
    result: OperationResult | None = None
    error: ErrorInfo | None = None
    notes: tuple[str, ...] = ()
    """What people should know of it: snapshots of labels made where none should be, warnings."""


class GateState(Model):
    """Both gates as read at one moment. None: the studio has no such project or job."""

    language_open: bool | None
    azureml_open: bool | None


class ProjectStatus(Model):
    """What the entity and the record say of a project now."""

    project: ProjectRef
    known: bool
    """Language has a project of this name."""
    kind: ProjectKind | None = None
    connected: bool = False
    job: JobRef | None = None
    active: Studio = Studio.LANGUAGE
    since: datetime | None = None
    """When the active studio was last changed, or the project connected; None if neither ever was."""
    epoch: int = 0
    retired: tuple[JobRef, ...] = ()
    running: RunningOperation | None = None
    queued: tuple[WaitingOperation, ...] = ()
    interrupted: str | None = None
    """Operation whose transition stands in the record; with nothing running it must be recovered."""
    attention: ErrorInfo | None = None
    """Why somebody must look: what the running operation, or the entity itself, cannot do."""
    drift: tuple[Drift, ...] = ()
    """Differences from the record that the last reconciliation left."""
    auto_sync: str | None = None
    """When it is synced by itself, as `labelbridge policy` says it; None if nobody looked."""
    last_sync: SnapshotRef | None = None
    models: tuple[ModelRecord, ...] = ()

    @classmethod
    def of(cls, project: ProjectRef, record: Record | None, *, known: bool) -> "ProjectStatus":
        """A project's status as its record says; `known` as Language says."""
        if record is None:
            return cls(project=project, known=known)
        return cls(
            project=project,
            known=known,
            kind=record.kind,
            connected=record.connection is not None,
            job=record.connection.job if record.connection else None,
            active=record.active,
            since=record.active_since or (record.connection.connected_at if record.connection else None),
            epoch=record.epoch,
            retired=record.retired,
            interrupted=record.transition.operation_id if record.transition else None,
            drift=record.drift,
            last_sync=record.last_sync,
            models=record.models,
        )


class ProjectSummary(Model):
    """One line of the fleet: what a project's entity publishes in its memo whenever that changes.

    Small, because a list of a thousand projects carries a thousand of them.
    """

    project: ProjectRef
    known: bool = True
    kind: ProjectKind | None = None
    connected: bool = False
    job: JobRef | None = None
    active: Studio = Studio.LANGUAGE
    since: datetime | None = None
    epoch: int = 0
    running: RunningOperation | None = None
    interrupted: str | None = None
    attention: ErrorInfo | None = None
    drift: int = 0
    """How many differences from the record the last reconciliation left."""
    last_sync: SnapshotRef | None = None
    last_model: ModelRecord | None = None

    @classmethod
    def of(cls, status: ProjectStatus) -> "ProjectSummary":
        """The summary of a status."""
        return cls(
            project=status.project,
            known=status.known,
            kind=status.kind,
            connected=status.connected,
            job=status.job,
            active=status.active,
            since=status.since,
            epoch=status.epoch,
            running=status.running,
            interrupted=status.interrupted,
            attention=status.attention,
            drift=len(status.drift),
            last_sync=status.last_sync,
            last_model=status.models[-1] if status.models else None,
        )
