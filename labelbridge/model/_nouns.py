"""The nouns of Labelbridge: what a request, a record, a snapshot and a result are.

Every model is frozen. It loads what an older version wrote, so each field that is added has a default;
and it keeps the fields that only a newer version knows, also when it is written again, so that in a rolling
upgrade nothing is lost (docs/versioning.md). This module imports no Azure, no Temporal and does no I/O,
so workflow code may import it.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from labelbridge.model._places import account_name, arm_id, blob_path, container_name

PROJECT_NAME = r"^[A-Za-z0-9_.\-]{1,50}$"
"""Names of projects, models and deployments (Language service limits)."""
JOB_NAME = r"^[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}$"
"""Id of an Azure ML labeling job (labelingJobs, 2024-04-01-preview)."""

Name = Annotated[str, StringConstraints(pattern=PROJECT_NAME)]
JobName = Annotated[str, StringConstraints(pattern=JOB_NAME)]


class Model(BaseModel):
    """Base of every noun: immutable, and keeps fields that only a newer version knows."""

    model_config = ConfigDict(frozen=True, extra="allow")


def unknown_fields(model: BaseModel) -> tuple[str, ...]:
    """Names of the fields, in it and below, that this version does not know."""
    found = list(model.model_extra or ())
    for name, value in model:
        if isinstance(value, BaseModel):
            found += [f"{name}.{one}" for one in unknown_fields(value)]
    return tuple(found)


class Studio(StrEnum):
    """Where people label."""

    LANGUAGE = "language"
    AZUREML = "azureml"

    @property
    def other(self) -> "Studio":
        """The studio that is gated while this one is active."""
        return Studio.AZUREML if self is Studio.LANGUAGE else Studio.LANGUAGE

    @property
    def display_name(self) -> str:
        """The name people know it by."""
        return "Language Studio" if self is Studio.LANGUAGE else "Azure ML"


class ProjectKind(StrEnum):
    """`projectKind` of the Language authoring API."""

    SINGLE_LABEL = "CustomSingleLabelClassification"
    MULTI_LABEL = "CustomMultiLabelClassification"
    ENTITIES = "CustomEntityRecognition"


class OffsetUnit(StrEnum):
    """How Azure ML spans are counted; Azure does not publish it, so it is a setting."""

    UTF16 = "utf16"
    CODEPOINT = "codepoint"
    AUTO = "auto"


class OperationKind(StrEnum):
    """What can be done to a project. `recover` is started by Labelbridge itself, `reconcile` mostly."""

    CONNECT = "connect"
    SWITCH = "switch"
    SYNC = "sync"
    TRAIN = "train"
    IMPORT = "import"
    DISCONNECT = "disconnect"
    RECOVER = "recover"
    RECONCILE = "reconcile"


def arm_name(resource_id: str) -> str:
    """The last segment of an ARM id: the resource's own name."""
    return resource_id.rstrip("/").rsplit("/", 1)[-1]


def same_resource(a: str, b: str) -> bool:
    """ARM ids compare case-insensitively."""
    return a.rstrip("/").casefold() == b.rstrip("/").casefold()


def resource_key(resource_id: str) -> str:
    """Identity of a Language resource in names, e.g. `contoso-1a2b3c4d`, from its ARM id."""
    digest = hashlib.sha256(resource_id.casefold().encode()).hexdigest()[:8]
    return f"{arm_name(resource_id).lower()}-{digest}"


class ProjectRef(Model):
    """Names one Language project: the ARM id of its resource, and its name."""

    language_resource: str
    name: Name

    _check = field_validator("language_resource")(arm_id)

    @property
    def key(self) -> str:
        """Identity used in workflow ids and blob paths, e.g. `contoso-1a2b3c4d.tickets`.

        Account names are unique only within a resource group, hence the hash of the whole id.
        """
        return f"{self.resource_key}.{self.name}"

    @property
    def resource_key(self) -> str:
        """Identity of the Language resource in names, e.g. `contoso-1a2b3c4d`."""
        return resource_key(self.language_resource)

    @property
    def workflow_id(self) -> str:
        """Id of the project's entity workflow."""
        return f"labelbridge/{self.key}"


class JobRef(Model):
    """Names one Azure ML labeling job: the ARM id of its workspace, and the job's name."""

    workspace: str
    name: JobName

    _check = field_validator("workspace")(arm_id)

    @property
    def resource_id(self) -> str:
        """ARM id of the labeling job."""
        return f"{self.workspace}/labelingJobs/{self.name}"

    @property
    def claim_key(self) -> str:
        """Blob name of the job's claim, case-folded because ARM ids are case-insensitive."""
        digest = hashlib.sha256(self.workspace.casefold().encode()).hexdigest()[:16]
        return f"claims/{arm_name(self.workspace).lower()}-{digest}/{self.name.casefold()}.json"


class Actor(Model):
    """Who asked: the Entra object id whose roles are checked, and a name for people."""

    object_id: str
    name: str = ""


OURSELVES = Actor(object_id="labelbridge", name="labelbridge")
"""Who asks where nobody did: recoveries and what the schedule finds."""


class BlobRef(Model):
    """One blob: storage account name, container, blob name. None of them leads out of where it stands."""

    account: str
    container: str
    name: str

    _account = field_validator("account")(account_name)
    _container = field_validator("container")(container_name)
    _name = field_validator("name")(blob_path)


Side = Literal["language", "azureml", "merged", "imported"]
"""Where the labels of a snapshot came from."""
MergePolicy = Literal["active", "refuse", "union"]
"""What decides a document that both sides changed: the active studio's labels, nobody, or (multi-label
only) the classes of both."""
SplitPolicy = Literal["service", "keep"]
"""Who puts documents into Train and Test: Language by chance, or they keep what they had in Language."""


class SnapshotRef(Model):
    """Points at an immutable copy of all labels of one side; the labels never enter history.

    `id` is the sha256 (hex) of the canonical content. `source` is the studio the labels came from,
    or `merged`. `raw` is the blob with the Language project file as it was exported, if any: what
    an undo imports again.
    """

    id: str
    source: Side
    digest: str
    """sha256 (hex) of the labels alone, without Train/Test or categories: equal labels, equal digest."""
    epoch: int
    documents: int
    labels: int
    quarantined: int = 0
    quarantine: str | None = None
    raw: str | None = None
    taken_at: datetime
    """Just before the export was asked for: labels that were accepted before this are in it."""


class MergeReport(Model):
    """What a delivery did with two sides' labels, and where both originals are."""

    snapshot: str
    """Id of the snapshot that was delivered."""
    taken: int = 0
    """Documents whose labels came from the side that is being left."""
    kept: int = 0
    """Documents whose labels stayed those of the side that is being opened."""
    cleared: tuple[str, ...] = ()
    """Documents that the side being left had labelled before and has no labels for now (the first 100)."""
    cleared_count: int = 0
    conflicts: tuple[str, ...] = ()
    """Documents that both sides changed; the side being left won. The other value is in an original.

    The first 100.
    """
    conflict_count: int = 0
    originals: tuple[str, ...] = ()
    """Ids of the snapshots of both sides as they were before."""
    policy: MergePolicy = "active"
    report: str | None = None
    """Blob with every conflict and all its values (JSONL, one document a line), if there are any."""


class ModelRecord(Model):
    """A trained model and the snapshot it was trained on (read back from the service)."""

    label: str
    snapshot: str
    labels: str
    """What the caller asked for: `latest`, `as-is` or a snapshot id."""
    trained_at: datetime
    training_config_version: str = ""
    evaluation: dict[str, float] = Field(default_factory=dict)
    """Micro and macro figures of the service's evaluation summary, each 0 to 1."""
    deployment: str | None = None


class Connection(Model):
    """The permanent one-to-one link of a project and a labeling job."""

    job: JobRef
    datastore: str
    container: str
    data_asset: str
    vendor: str | None = None
    """Recorded only: ARM has no field for a vendor company."""
    instructions_uri: str | None = None
    connected_at: datetime
    connected_by: Actor


class Phase(StrEnum):
    """How far a transition is. Up to DELIVERING it can be undone; from COMMITTED it goes forward."""

    GATING = "gating"
    DRAINING = "draining"
    DELIVERING = "delivering"
    COMMITTED = "committed"


class Transition(Model):
    """An operation in progress, described so that it can be finished or undone from the record alone."""

    operation_id: str
    kind: OperationKind
    source: Studio
    target: Studio
    epoch: int
    """Epoch after the commit."""
    phase: Phase
    actor: Actor
    started_at: datetime
    job: JobRef | None = None
    """Connect only: the labeling job being made."""
    restore: SnapshotRef | None = None
    """The target's own labels before the delivery: what an undo puts back."""
    snapshots: tuple[str, ...] = ()
    """From the commit on: ids of the snapshots that the operation's report names. If it is terminated
    before it reports, the recovery names them in its place."""


class DriftCode(StrEnum):
    """How a project can differ from its record; `labelbridge.drift` says what each means."""

    LANGUAGE_OPEN = "language_open"
    AZUREML_OPEN = "azureml_open"
    RETIRED_OPEN = "retired_open"
    LANGUAGE_SHUT = "language_shut"
    AZUREML_SHUT = "azureml_shut"
    LINK_DIFFERS = "link_differs"
    LINK_FOREIGN = "link_foreign"
    CLAIM_MISSING = "claim_missing"
    CLAIM_FOREIGN = "claim_foreign"
    JOB_MISSING = "job_missing"
    JOB_ARCHIVED = "job_archived"
    JOB_DIFFERS = "job_differs"
    PROJECT_MISSING = "project_missing"
    PROJECT_DIFFERS = "project_differs"


DriftPolicy = Literal["close", "report"]
"""What is done about a difference that Labelbridge could put right."""


class Drift(Model):
    """One difference between a project and its record, and what became of it."""

    code: DriftCode
    message: str
    remedy: str = ""
    job: JobRef | None = None
    """The labeling job that is meant."""
    outcome: Literal["found", "closed", "reported", "failed"] = "found"
    """`found`: about to be put right; `reported`: left alone, by policy or because nobody but a person
    can; `failed`: it was tried, `message` says why in vain."""


class Record(Model):
    """The state of one project, one blob, changed only by compare-and-swap on its ETag."""

    schema_version: int = 1
    project: ProjectRef
    kind: ProjectKind
    active: Studio = Studio.LANGUAGE
    epoch: int = 0
    connection: Connection | None = None
    transition: Transition | None = None
    retired: tuple[JobRef, ...] = ()
    left: dict[Studio, SnapshotRef] = Field(default_factory=dict)
    """Labels of each studio when labeling was last switched away from it: the bases of the next merge."""
    met: dict[Studio, SnapshotRef] = Field(default_factory=dict)
    """Both sides' labels when a sync last merged them, since labeling was last switched: later bases than `left`.

    Language's is the merge itself. `left` stays what it was, for a disconnect that discards."""
    given: tuple[str, ...] = ()
    """Digests that the gated Language project may hold since it was left: written before each import."""
    last_sync: SnapshotRef | None = None
    models: tuple[ModelRecord, ...] = ()
    drift: tuple[Drift, ...] = ()
    """What the last reconciliation found and left: for people to see until it is gone."""
    active_since: datetime | None = None
    """When the active studio was last changed; None: never."""
    updated_at: datetime
    updated_by: str = ""
    """Operation id of the last writer."""


class StoredRecord(Model):
    """A record together with the ETag that the next write must match."""

    record: Record
    etag: str


class Claim(Model):
    """Says for ever which project and operation took a labeling job's name."""

    job: JobRef
    project: ProjectRef
    operation_id: str
    actor: Actor
    claimed_at: datetime
