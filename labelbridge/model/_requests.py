"""What can be asked of a project, and the entity's answer."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from labelbridge.model._nouns import Actor, BlobRef, JobRef, Model, Name, ProjectKind, Studio


class ConnectRequest(Model):
    """Create a labeling job for the project and link the two, for ever."""

    kind: Literal["connect"] = "connect"
    job: JobRef
    datastore: str | None = None
    """Datastore that reaches the project's container; found by container if None."""
    instructions: str | None = Field(default=None, max_length=65_536)
    vendor: str | None = None


class SwitchRequest(Model):
    """Move the right to label to the other studio, and the labels with it."""

    kind: Literal["switch"] = "switch"
    to: Studio
    allow_quarantine: bool = False
    """Go on although some rows cannot be read; they stay in the quarantine file."""


class SyncRequest(Model):
    """Bring Language up to date with the active studio; returns the snapshot of its labels."""

    kind: Literal["sync"] = "sync"
    allow_quarantine: bool = False


class TrainRequest(Model):
    """Train a model on named labels: `latest`, `as-is`, or the id of a snapshot."""

    kind: Literal["train"] = "train"
    model: Name
    labels: str = Field(default="latest", pattern=r"^(latest|as-is|[0-9a-f]{64})$")
    training_config_version: str = "latest"
    train_percent: int = Field(default=80, ge=1, le=99)
    deployment: Name | None = None
    allow_quarantine: bool = False


class ImportRequest(Model):
    """Make a new project from an Azure ML JSONL file whose documents are already in a container."""

    kind: Literal["import"] = "import"
    source: BlobRef
    account: str
    container: str
    project_kind: ProjectKind
    language: str
    datastore: str | None = None
    """Only rows of this datastore are taken; any datastore if None."""
    description: str = ""
    allow_quarantine: bool = False


class DisconnectRequest(Model):
    """End the connection for ever. With Azure ML active the fate of its labels must be said."""

    kind: Literal["disconnect"] = "disconnect"
    labels: Literal["sync", "discard"] | None = None
    allow_quarantine: bool = False


class RecoverRequest(Model):
    """Finish or undo what a terminated operation left behind."""

    kind: Literal["recover"] = "recover"


Request = Annotated[
    ConnectRequest
    | SwitchRequest
    | SyncRequest
    | TrainRequest
    | ImportRequest
    | DisconnectRequest
    | RecoverRequest,
    Field(discriminator="kind"),
]


class Submission(Model):
    """A request on its way to the project's entity. `request_id` is the caller's idempotency key."""

    request_id: str = Field(min_length=1, max_length=200)
    actor: Actor
    submitted_at: datetime
    wait_for_roles: timedelta = timedelta(0)
    """How long the preflight may wait for a role assignment that is not there yet."""
    request: Request


class Accepted(Model):
    """The entity's answer to a submission: which operation will do it."""

    operation_id: str
    workflow_id: str
    joined: bool = False
    """True if a queued sync of somebody else does this one too."""
