"""What workflows hand to activities, and what comes back: small, without labels and without secrets."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from labelbridge.model._nouns import (
    Claim,
    JobRef,
    MergePolicy,
    MergeReport,
    Model,
    ProjectKind,
    ProjectRef,
    Record,
    Side,
    SnapshotRef,
    SplitPolicy,
    StoredRecord,
    Studio,
    Transition,
)
from labelbridge.model._progress import ErrorInfo, ProjectStatus
from labelbridge.model._requests import Accepted, ConnectRequest, ImportRequest, Submission, SyncRequest


class Timing(Model):
    """The margins of the protocol, read from the worker's settings once per operation."""

    effect_deadline: timedelta
    effect_timeout: timedelta
    drain: timedelta
    settle: timedelta
    drain_deadline: timedelta
    look_again: timedelta
    step_patience: timedelta
    poll: timedelta
    role_poll: timedelta
    turns: bool = False
    """Whether steps that begin authoring work take a turn in their Language resource's queue first."""
    turn_patience: timedelta = timedelta(hours=2)
    """`ThrottleSettings.turn_patience`."""


class OperationOrder(Model):
    """The input of every operation workflow."""

    project: ProjectRef
    operation_id: str
    submission: Submission


class Begin(Model):
    """What an operation knows when it begins."""

    timing: Timing
    status: ProjectStatus
    stored: StoredRecord | None = None


class RecordWrite(Model):
    """One compare-and-swap of the record; `etag` None means that there must be none yet."""

    record: Record
    etag: str | None


class Intent(Model):
    """Write the transition into the record, creating the record if this is the first operation."""

    project: ProjectRef
    kind: ProjectKind
    transition: Transition
    etag: str | None


class Withdrawal(Model):
    """Take an operation's transition out of the record, if it is still there."""

    project: ProjectRef
    operation_id: str


class RecordFound(Model):
    """The record, if there is one."""

    stored: StoredRecord | None = None


class ClaimFound(Model):
    """The claim on a labeling job's name, if there is one."""

    claim: Claim | None = None


class GateOrder(Model):
    """Open or shut one gate, then read it back."""

    project: ProjectRef
    studio: Studio
    job: JobRef | None = None
    open: bool
    link: bool = False
    """Language only: let the settings name the labeling job."""
    unlink: bool = False
    """Language only: remove the name of the labeling job."""


class ExportOrder(Model):
    """Export one side's labels as they are after this order, and keep them as a snapshot."""

    project: ProjectRef
    kind: ProjectKind
    studio: Studio
    job: JobRef | None = None
    epoch: int
    allow_quarantine: bool = False
    trained_model: str | None = None
    """Language only: the labels that this model was trained on."""
    whole: bool = False
    """Do all of it in one step, however large it is: for a step that is insisted on."""


class SnapshotOrder(Model):
    """What a snapshot of rows is to be called and to say of itself."""

    project: ProjectRef
    kind: ProjectKind
    side: Side
    epoch: int
    categories: tuple[str, ...] | None = None
    """The project's categories; None stands for those that the rows use."""
    allow_quarantine: bool = True
    sources: dict[str, str] = Field(default_factory=dict)
    """Blobs and jobs that the rows come from, each with its ETag or id."""
    asked_at: datetime | None = None
    """When the export was asked for: every label that was accepted before is in the snapshot."""


class ShardPlan(Model):
    """A conversion of Azure ML's rows that was cut into parts; what is large is in the registry."""

    prefix: str
    """Where the parts are, below `shards/`."""
    keep: SnapshotOrder
    source: str
    """Name of the input, for the quarantine."""
    account: str
    """With `container`: where the documents are."""
    container: str
    datastore: str | None = None
    """The only datastore that rows may name; any if None."""
    bounds: tuple[tuple[int, int], ...] = ()
    """First byte of each part of the input, and the first one after it."""


class ShardOrder(Model):
    """Read one part of a plan."""

    plan: ShardPlan
    number: int


class Exported(Model):
    """Labels that were read: a snapshot, or a plan of parts that are still to be read and joined."""

    snapshot: SnapshotRef | None = None
    shards: ShardPlan | None = None
    catalog: str | None = None
    """ETag of the container's catalog, if this step held it against a listing and left it as that."""


class MergeOrder(Model):
    """Merge what was labeled in Azure ML into the labels that Language had when it was left."""

    project: ProjectRef
    kind: ProjectKind
    epoch: int
    language_left: SnapshotRef | None
    language_now: SnapshotRef
    language_given: tuple[str, ...]
    azureml_left: SnapshotRef | None
    azureml_now: SnapshotRef
    policy: MergePolicy = "active"


class Merge(Model):
    """The merged labels and the report."""

    snapshot: SnapshotRef
    report: MergeReport


class ImportOrder(Model):
    """Give the gated Language project the labels of a snapshot; the gate is carried in the file."""

    project: ProjectRef
    snapshot: str
    template: str
    """Raw blob of the Language project file whose metadata and unknown fields are kept."""
    locked: bool = True
    as_exported: bool = False
    """Import the template as it is (an undo) instead of the snapshot's labels."""
    split: SplitPolicy | None = None
    """How documents are put into Train and Test; None leaves that to the template."""
    test_percent: int = 20
    assigned: str | None = None
    """Snapshot of Language's that says where documents were, for `keep`."""
    catalog: str | None = None
    """See `Exported`: a catalog that still has this ETag needs no other listing in this operation."""


class ImportFile(Model):
    """A project file that was prepared in the registry, ready to be imported."""

    project: ProjectRef
    raw: str


class JobTicket(Model):
    """A job of the Language service that was started."""

    project: ProjectRef
    kind: Literal["import", "train"]
    job_id: str
    attempts: int = 1
    """How many attempts it took to start it: more than one means another job may exist."""


class VerifyOrder(Model):
    """Read the Language project back and compare its labels and its gate."""

    project: ProjectRef
    kind: ProjectKind
    epoch: int
    digest: str
    locked: bool = True


class AssetOrder(Model):
    """Write a snapshot's labels as a labelled data asset in Azure ML's own form, and read it back."""

    project: ProjectRef
    kind: ProjectKind
    job: JobRef
    datastore: str
    container: str
    snapshot: SnapshotRef


class JobOrder(Model):
    """Create the labeling job of a connect."""

    project: ProjectRef
    kind: ProjectKind
    operation_id: str
    request: ConnectRequest
    datastore: str
    container: str
    template: str
    """Raw blob of the project file that names the categories."""


class JobMade(Model):
    """What creating a labeling job left behind."""

    data_asset: str
    instructions_uri: str | None = None


class LabelingJobState(Model):
    """How far a labeling job is."""

    provisioned: bool
    status: str


class TrainOrder(Model):
    """Start training."""

    project: ProjectRef
    model: str
    training_config_version: str
    train_percent: int
    manual: bool = False
    """Train on Train and test on Test as documents are assigned, instead of by `train_percent`."""
    not_before: datetime
    """A job of this model label that is older is not this operation's."""


class TrainingProgress(Model):
    """How far a job of the Language service is."""

    done: bool
    note: str = ""


class TrainingOutcome(Model):
    """What the service says of a finished model."""

    trained_at: datetime
    training_config_version: str
    evaluation: dict[str, float]


class DeployOrder(Model):
    """Deploy a model."""

    project: ProjectRef
    deployment: str
    model: str


class FileOrder(Model):
    """Read an Azure ML JSONL file into a snapshot."""

    project: ProjectRef
    request: ImportRequest


class NewProjectOrder(Model):
    """Create a Language project from a snapshot."""

    project: ProjectRef
    request: ImportRequest
    snapshot: SnapshotRef


class SnapshotLookup(Model):
    """Find a snapshot by id."""

    project: ProjectRef
    id: str


class Attention(Model):
    """From an operation to its entity: it needs a person, or (without `why`) does not any more."""

    operation_id: str
    why: ErrorInfo | None = None


class TrainingsToCancel(Model):
    """The training jobs of a model that a terminated operation may have left running."""

    project: ProjectRef
    model: str
    since: datetime
    """Older jobs are not its own."""


class LedgerEntry(Model):
    """What a request id was answered."""

    accepted: Accepted | None = None
    refused: ErrorInfo | None = None
    digest: str = ""
    """Of the request: the same id with another one is refused."""


class Queued(Model):
    """An accepted request that waits its turn."""

    operation_id: str
    submission: Submission
    accepted_at: datetime | None = None
    """None for a recovery, which does not wait, and for what a version before this one accepted."""


class BegunSync(Model):
    """A sync that has begun: it serves every caller who asked before that."""

    number: int
    accepted: Accepted
    request: SyncRequest


class EntityState(Model):
    """The input of a project's entity, and what it carries when it continues as new."""

    project: ProjectRef
    queue: tuple[Queued, ...] = ()
    later: tuple[Submission, ...] = ()
    """Requests that came durably while the project could not be looked at."""
    ledger: dict[str, LedgerEntry] = Field(default_factory=dict)
    next_number: int = 1
    syncs_begun: int = 0
    recent_syncs: tuple[BegunSync, ...] = ()
    continue_after: int | None = None
    """Continue as new after this many requests; None leaves it to the server's suggestion."""
