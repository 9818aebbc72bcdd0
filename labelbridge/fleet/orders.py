"""What is asked of a fleet, what becomes of each project, and what passes between the steps of the act."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from labelbridge.errors import CATALOGUE, ExitCode
from labelbridge.model import (
    Actor,
    ErrorInfo,
    Model,
    OperationResult,
    ProjectRef,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)

FLEET_ID = r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,79}$"
PAGE = 100
"""Projects, and lines of the report, that the workflow holds at once: the rest is in the record store."""
MOST_PARALLEL = 100

FleetId = Annotated[str, StringConstraints(pattern=FLEET_ID)]
"""The caller's idempotency key; also part of a workflow's id and of blob names."""
FleetRequest = Annotated[SwitchRequest | SyncRequest | TrainRequest, Field(discriminator="kind")]
"""What many projects can be asked at once. What is for ever is asked of one project by its name."""


class FleetOrder(Model):
    """One act on all projects that a filter matches."""

    id: FleetId
    request: FleetRequest
    where: str = Field(default="", max_length=4_000)
    """As `fleet.where` reads it; empty for every project."""
    actor: Actor
    submitted_at: datetime
    max_parallel: int = Field(default=4, ge=1, le=MOST_PARALLEL)
    """Projects at once."""
    at_most: int | None = Field(default=None, ge=0)
    """The number of projects that somebody confirmed: with more of them nothing is begun."""
    stop_after: int | None = Field(default=None, ge=1)
    """Nothing more is begun once so many projects were refused or failed; None: one never stops the rest."""
    wait_for_roles: timedelta = timedelta(0)

    @property
    def digest(self) -> str:
        """What tells this act from another that came with the same key, whoever asked and when."""
        asked = f"{self.request.kind} {self.request.model_dump_json(exclude_defaults=True)}\n{self.where}"
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def request_id(self, project: ProjectRef) -> str:
        """The project's idempotency key: the same in every attempt of this act."""
        return f"fleet/{self.id}/{hashlib.sha256(project.key.encode()).hexdigest()[:16]}"


class FleetOutcome(StrEnum):
    """What became of one project."""

    COMMITTED = "committed"
    ALREADY = "already"
    """It was there before: labeling is in that studio already."""
    LEFT_OUT = "left_out"
    """When its turn came it did not match the filter any more."""
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Nothing is known of its end; `labelbridge status PROJECT` says how it stands."""
    NOT_BEGUN = "not_begun"
    """The act was stopped before its turn came."""


BAD = frozenset({FleetOutcome.REFUSED, FleetOutcome.ROLLED_BACK, FleetOutcome.FAILED})
"""Outcomes that `stop_after` counts."""


class FleetRow(Model):
    """One line of the report."""

    project: ProjectRef
    outcome: FleetOutcome
    error: ErrorInfo | None = None
    operation_id: str | None = None
    epoch: int | None = None
    labels_disabled_seconds: float | None = None
    snapshot: str | None = None
    quarantined: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, project: ProjectRef, operation_id: str, result: OperationResult) -> "FleetRow":
        """The line of an operation that committed."""
        return cls(
            project=project,
            outcome=FleetOutcome.COMMITTED,
            operation_id=operation_id,
            epoch=result.epoch,
            labels_disabled_seconds=result.labels_disabled_seconds,
            snapshot=result.snapshot.id if result.snapshot else None,
            quarantined=result.snapshot.quarantined if result.snapshot else 0,
            started_at=result.started_at,
            ended_at=result.ended_at,
        )

    @classmethod
    def failed(cls, project: ProjectRef, error: ErrorInfo, operation_id: str | None = None) -> "FleetRow":
        """The line of a project that was refused, or whose operation did not commit."""
        return cls(project=project, outcome=_outcome(error), error=_short(error), operation_id=operation_id)


def _outcome(error: ErrorInfo) -> FleetOutcome:
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    kind = CATALOGUE.get(error.code)
    return _BY_EXIT.get(kind.exit_code, FleetOutcome.FAILED) if kind else FleetOutcome.FAILED


def _short(error: ErrorInfo) -> ErrorInfo:
    """Without what only the project's own history needs: a hundred of them pass through the workflow."""
    errors = tuple(finding for finding in error.findings if finding.severity == "error")[:5]
    return error.model_copy(update={"message": error.message[:500], "findings": errors})


_BY_CODE: Mapping[str, FleetOutcome] = {
    "already_active": FleetOutcome.ALREADY,
    "operation_unknown": FleetOutcome.FAILED,
}
_BY_EXIT: Mapping[ExitCode, FleetOutcome] = {
    ExitCode.REFUSED: FleetOutcome.REFUSED,
    ExitCode.USAGE: FleetOutcome.REFUSED,
    ExitCode.ROLLED_BACK: FleetOutcome.ROLLED_BACK,
    ExitCode.CANCELLED: FleetOutcome.CANCELLED,
}


class FleetRunning(Model):
    """A project whose operation was accepted and has not ended."""

    project: ProjectRef
    operation_id: str
    workflow_id: str


class FleetPhase(StrEnum):
    """How far an act is."""

    GATHERING = "gathering"
    RUNNING = "running"
    STOPPING = "stopping"
    """Nothing more is begun; what runs is awaited."""
    ENDED = "ended"


class FleetStatus(Model):
    """How an act stands, or ended. It is also what the record store keeps of it."""

    order: FleetOrder
    phase: FleetPhase
    projects: int = 0
    """Projects that the filter matched when the act began."""
    counts: dict[FleetOutcome, int] = Field(default_factory=dict)
    running: tuple[FleetRunning, ...] = ()
    rows: tuple[FleetRow, ...] = ()
    """Lines that are not in the record store yet."""
    pages: int = 0
    """Pages of the report that are there."""
    stopped: str | None = None
    """Why not all were begun."""
    started_at: datetime
    ended_at: datetime | None = None

    @property
    def done(self) -> int:
        """Projects of which it is known what became of them."""
        return sum(self.counts.values())

    @property
    def bad(self) -> int:
        """Projects that were refused or failed."""
        return sum(self.counts.get(outcome, 0) for outcome in BAD)


class FleetState(Model):
    """Input of the act's workflow: the order, and what a run carries into the next."""

    order: FleetOrder
    started_at: datetime | None = None
    projects: int | None = None
    begun: int = 0
    """Projects whose turn has come, in the order in which they were gathered."""
    counts: dict[FleetOutcome, int] = Field(default_factory=dict)
    running: tuple[FleetRunning, ...] = ()
    rows: tuple[FleetRow, ...] = ()
    pages: int = 0
    stopped: str | None = None
    continue_after: int | None = None
    """Continue as new after so many projects; None: when Temporal suggests it."""


class FleetStop(Model):
    """Begin nothing more."""

    why: str
    running: bool = False
    """Also cancel what runs: undone before its commit, completed after it."""


class FleetGathered(Model):
    """How many projects there are to act on; `ended` if this act was done before."""

    projects: int
    ended: FleetStatus | None = None


class FleetTurn(Model):
    """One project's turn."""

    order: FleetOrder
    project: ProjectRef
    syncs_begun: int | None = None


class FleetLook(Model):
    """What a project's own status says when its turn has come; `row` if there is nothing to ask of it."""

    row: FleetRow | None = None
    syncs_begun: int | None = None


class FleetRange(Model):
    """Projects of the act from `start` on, a page of them."""

    id: FleetId
    start: int


class FleetProjects(Model):
    """Some projects."""

    projects: tuple[ProjectRef, ...]


class FleetAwaited(Model):
    """Operations of which the first end is awaited."""

    running: tuple[FleetRunning, ...]


class FleetEnded(Model):
    """Operations that have ended; none if nothing did for a long time."""

    rows: tuple[FleetRow, ...] = ()


class FleetPageWrite(Model):
    """A page of the report, written once."""

    id: FleetId
    number: int
    rows: tuple[FleetRow, ...]
