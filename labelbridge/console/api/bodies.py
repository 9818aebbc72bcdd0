"""What the API takes and gives beside the nouns themselves.

Prevents a request whose misspelt field is ignored: bodies are the model's requests, but they take no
field that they do not know; and what cannot be undone is confirmed with the project's name, as on the
command line.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.orders import MOST_PARALLEL, FleetRequest
from labelbridge.model import (
    Actor,
    AuditEntry,
    ConnectRequest,
    DisconnectRequest,
    ErrorInfo,
    ImportRequest,
    Model,
    OperationKind,
    OperationResult,
    Outcome,
    Preflight,
    ProjectStatus,
    ReconcileRequest,
    RunningOperation,
    StepProgress,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
    WaitingOperation,
)

_WORKSPACE = (
    "/subscriptions/5b1c1f4e-0d0a-4d5e-9a51-2f6f3d0c7a10/resourceGroups/labeling"
    "/providers/Microsoft.MachineLearningServices/workspaces/contoso-ml"
)
Confirm = Annotated[
    str, Field(description="The project's name: this cannot be undone.", examples=["tickets"])
]


def _strictly(example: JsonDict) -> ConfigDict:
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [example]})


class Connect(ConnectRequest):
    """Create a labeling job for the project and link the two, for ever."""

    model_config = _strictly(
        {
            "job": {"workspace": _WORKSPACE, "name": "tickets-1"},
            "instructions": "Mark every product name.",
            "confirm": "tickets",
        }
    )
    confirm: Confirm


class Switch(SwitchRequest):
    """Move the right to label to the other studio, and the labels with it."""

    model_config = _strictly({"to": "azureml"})


class Sync(SyncRequest):
    """Bring Language up to date with the active studio."""

    model_config = _strictly({"merge": False})


class Train(TrainRequest):
    """Train a model on named labels."""

    model_config = _strictly({"model": "tickets-7", "labels": "latest", "deployment": "production"})


class Import(ImportRequest):
    """Make a new project from an Azure ML JSONL file that `/api/v1/uploads` took."""

    model_config = _strictly(
        {
            "source": {"account": "records", "container": "labelbridge", "name": f"uploads/{'0' * 64}.jsonl"},
            "account": "contosodata",
            "container": "tickets",
            "project_kind": "CustomEntityRecognition",
            "language": "en-us",
        }
    )


class Disconnect(DisconnectRequest):
    """End the connection for ever."""

    model_config = _strictly({"labels": "sync", "confirm": "tickets"})
    confirm: Confirm


class Reconcile(ReconcileRequest):
    """Compare the project with its record, and put right or report what differs."""

    model_config = _strictly({"policy": "report"})


def confirmed(project: str, typed: str) -> None:
    """Raise `not_confirmed` unless the project's name was typed."""
    if typed != project:
        raise LabelbridgeError(
            "not_confirmed", f"`confirm` must be {project!r}.", remedy="Give the project's name as `confirm`."
        )


Looked = Annotated[
    ConnectRequest | SwitchRequest | SyncRequest | TrainRequest | ImportRequest | DisconnectRequest,
    Field(discriminator="kind"),
]


class Look(Model):
    """The request whose needs are to be looked at."""

    model_config = _strictly({"request": {"kind": "switch", "to": "azureml"}})
    request: Looked


NO_WAIT = timedelta(0)


class FleetAct(Model):
    """One request to every project that a filter matches."""

    model_config = _strictly(
        {
            "request": {"kind": "switch", "to": "azureml"},
            "where": "active=language and workspace=emea",
            "max_parallel": 8,
            "confirm": 40,
        }
    )
    request: FleetRequest
    where: str = Field(default="", max_length=4_000, description="As `labelbridge list --where` reads it.")
    max_parallel: int = Field(default=4, ge=1, le=MOST_PARALLEL, description="Projects at once.")
    stop_after: int | None = Field(
        default=None, ge=1, description="Begin nothing more once so many were refused or failed."
    )
    confirm: int = Field(ge=1, description="How many projects match: with another number nothing is begun.")


class FleetAsked(Model):
    """Where to look for the act."""

    id: str
    location: str


class PlannedStep(Model):
    """One step of a plan."""

    number: int
    name: str
    effect: str
    undo: str


class DryRun(Model):
    """What a request would do now; as `--dry-run` prints it."""

    steps: tuple[PlannedStep, ...]
    refusal: ErrorInfo | None
    """Why the request is not legal now; then nothing else was looked at."""
    preflight: Preflight | None


class Asked(Model):
    """Where to look for the operation that does what was asked."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "operation_id": "000042-switch-1a2b3c4d",
                    "joined": False,
                    "key": "nightly-2026-03-01",
                    "location": "/api/v1/projects/tickets/operations/000042-switch-1a2b3c4d",
                }
            ]
        },
    )
    operation_id: str
    joined: bool
    """True if a sync that somebody else asked for does this one too."""
    key: str
    """The idempotency key; the one given, or one made for this request."""
    location: str


class OperationState(StrEnum):
    """How an operation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Operation(Model):
    """One operation: its live steps while it runs, its result or error once it has ended."""

    operation_id: str
    kind: OperationKind
    state: OperationState
    actor: Actor | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    steps: tuple[StepProgress, ...] = ()
    attention: ErrorInfo | None = None
    """Why it needs a person."""
    result: OperationResult | None = None
    error: ErrorInfo | None = None

    @classmethod
    def ended(cls, entry: AuditEntry) -> Self:
        """As the audit trail has it."""
        return cls(
            operation_id=entry.operation_id,
            kind=entry.kind,
            state=OperationState(Outcome(entry.outcome).value),
            actor=entry.actor,
            started_at=entry.started_at,
            ended_at=entry.ended_at,
            result=entry.result,
            error=entry.error,
        )

    @classmethod
    def running(cls, status: ProjectStatus, running: RunningOperation) -> Self:
        """As its entity has it."""
        return cls(
            operation_id=running.operation_id,
            kind=running.kind,
            state=OperationState.RUNNING,
            actor=running.actor,
            started_at=running.started_at,
            attention=status.attention,
        )

    @classmethod
    def queued(cls, waiting: WaitingOperation) -> Self:
        """One that has not begun."""
        return cls(operation_id=waiting.operation_id, kind=waiting.kind, state=OperationState.QUEUED)
