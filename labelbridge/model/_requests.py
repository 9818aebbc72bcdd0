"""What can be asked of a project, and the entity's answer."""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from labelbridge.model._nouns import (
    Actor,
    BlobRef,
    DriftPolicy,
    JobRef,
    MergePolicy,
    Model,
    Name,
    ProjectKind,
    SplitPolicy,
    Studio,
)
from labelbridge.model._places import ACCOUNT_NAME, CONTAINER_NAME

AccountName = Annotated[str, StringConstraints(pattern=ACCOUNT_NAME)]
"""Storage account, by Azure's naming rule; it becomes a host's name, so nothing else may get into it."""
ContainerName = Annotated[str, StringConstraints(pattern=CONTAINER_NAME, max_length=63)]


class _IntoLanguage(Model):
    """How labels go into Language."""

    policy: MergePolicy = "active"
    """Decides documents that both studios changed."""
    split: SplitPolicy | None = None
    """`service` puts all documents into Train, since Language splits only those; `keep` leaves them where
    they were in Language and puts new ones into Test by a hash of their name; None changes nothing."""
    test_percent: int = Field(default=20, ge=0, le=99)
    """With `keep`: share of the new documents that go into Test."""


class ConnectRequest(Model):
    """Create a labeling job for the project and link the two, for ever."""

    kind: Literal["connect"] = "connect"
    job: JobRef
    datastore: str | None = None
    """Datastore that reaches the project's container; found by container if None."""
    instructions: str | None = Field(default=None, max_length=65_536)
    vendor: str | None = None


class SwitchRequest(_IntoLanguage):
    """Move the right to label to the other studio, and the labels with it.

    Policy and split concern the way back to Language only.
    """

    kind: Literal["switch"] = "switch"
    to: Studio
    allow_quarantine: bool = False
    """Go on although some rows cannot be read; they stay in the quarantine file."""


class SyncRequest(_IntoLanguage):
    """Bring Language up to date with the active studio; returns the snapshot of its labels."""

    kind: Literal["sync"] = "sync"
    allow_quarantine: bool = False
    merge: bool = False
    """Give Language the merge of both studios' labels, as a switch back would, instead of only the active's."""


class TrainRequest(Model):
    """Train a model on named labels: `latest`, `as-is`, or the id of a snapshot."""

    kind: Literal["train"] = "train"
    model: Name
    labels: str = Field(default="latest", pattern=r"^(latest|as-is|[0-9a-f]{64})$")
    training_config_version: str = "latest"
    train_percent: int = Field(default=80, ge=1, le=99)
    split: SplitPolicy | None = None
    """`keep` trains on Train and tests on Test as documents are assigned in Language; else Language splits
    what is in Train by `train_percent`, and with `service` a delivery puts all documents there first."""
    deployment: Name | None = None
    allow_quarantine: bool = False


class ImportRequest(Model):
    """Make a new project from an Azure ML JSONL file whose documents are already in a container."""

    kind: Literal["import"] = "import"
    source: BlobRef
    account: AccountName
    container: ContainerName
    project_kind: ProjectKind
    language: str
    datastore: str | None = None
    """Only rows of this datastore are taken; any datastore if None."""
    description: str = ""
    allow_quarantine: bool = False


class DisconnectRequest(_IntoLanguage):
    """End the connection for ever. With Azure ML active the fate of its labels must be said."""

    kind: Literal["disconnect"] = "disconnect"
    labels: Literal["sync", "discard"] | None = None
    allow_quarantine: bool = False


class RecoverRequest(Model):
    """Finish or undo what a terminated operation left behind."""

    kind: Literal["recover"] = "recover"
    terminated: str | None = None
    """The operation that was seen to be terminated; None if only the record tells of it."""
    model: Name | None = None
    """The model that a terminated training was to make: its job is cancelled."""
    since: datetime | None = None
    """When that training was asked for; older jobs are not its own."""


class ReconcileRequest(Model):
    """Compare the project with its record, and put right or report what differs."""

    kind: Literal["reconcile"] = "reconcile"
    policy: DriftPolicy | None = None
    """`close` puts right all that can be; `report` changes nothing; None: as the worker's settings say."""


Request = Annotated[
    ConnectRequest
    | SwitchRequest
    | SyncRequest
    | TrainRequest
    | ImportRequest
    | DisconnectRequest
    | RecoverRequest
    | ReconcileRequest,
    Field(discriminator="kind"),
]


class Submission(Model):
    """A request on its way to the project's entity. `request_id` is the caller's idempotency key."""

    request_id: str = Field(min_length=1, max_length=200)
    actor: Actor
    submitted_at: datetime
    wait_for_roles: timedelta = timedelta(0)
    """How long the preflight may wait for a role assignment that is not there yet."""
    syncs_begun: int | None = None
    """For a sync: how many had begun when it was asked for. Any that began later serves it too."""
    fleet: str | None = None
    """Id of the fleet act that this request is part of; the audit trail names it."""
    trace: str | None = None
    """W3C traceparent of the span that asked, if the caller traces: the operation's spans belong to it."""
    request: Request

    @property
    def digest(self) -> str:
        """What tells this request from another that came with the same key, whoever asked and when.

        Only what differs from the defaults counts: a caller of a newer version, whose requests have more
        fields, may repeat what an older one asked.
        """
        said = self.request.model_dump_json(exclude_defaults=True)
        return hashlib.sha256(f"{self.request.kind} {said}".encode()).hexdigest()[:16]


class Accepted(Model):
    """The entity's answer to a submission: which operation will do it."""

    operation_id: str
    workflow_id: str
    joined: bool = False
    """True if a sync that somebody else asked for does this one too."""
