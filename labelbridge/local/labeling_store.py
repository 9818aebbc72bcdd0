"""Tables of the labeling jobs: the jobs (also deleted ones, whose names stay taken) and their items."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from labelbridge.local import log
from labelbridge.local.arm_store import key_of
from labelbridge.local.clock import iso
from labelbridge.local.config import Nasty

SCHEMA = """
CREATE TABLE IF NOT EXISTS labeling_jobs (
    key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    properties TEXT NOT NULL,
    project_id TEXT NOT NULL,
    datastore TEXT NOT NULL,
    account TEXT NOT NULL,
    container TEXT NOT NULL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    modified_at REAL NOT NULL,
    modified_by TEXT NOT NULL,
    ready_at REAL NOT NULL,
    deleted_at REAL
);
CREATE INDEX IF NOT EXISTS labeling_jobs_workspace ON labeling_jobs (workspace);
CREATE TABLE IF NOT EXISTS labeling_items (
    job TEXT NOT NULL REFERENCES labeling_jobs (key),
    document TEXT NOT NULL,
    position INTEGER NOT NULL,
    labels TEXT,
    labeled_by TEXT,
    at REAL,
    PRIMARY KEY (job, document)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS labeling_items_position ON labeling_items (job, position);
"""


@dataclass(frozen=True)
class Job:
    """One labeling job. Times are seconds since 1970."""

    key: str
    id: str
    workspace: str
    name: str
    properties: dict[str, Any]
    """The writable properties, completed with their defaults."""
    project_id: str
    datastore: str
    account: str
    container: str
    created_at: float
    created_by: str
    modified_at: float
    modified_by: str
    ready_at: float
    """When its provisioning ends."""
    deleted_at: float | None

    @property
    def is_ner(self) -> bool:
        """True for named entities, False for classification."""
        return bool(
            self.properties["labelingJobMediaProperties"]["annotationType"] == "NamedEntityRecognition"
        )

    @property
    def is_multi_label(self) -> bool:
        """True for multi-label classification: `multiSelect` of its one category."""
        first = next(iter(self.properties["labelCategories"].values()))
        return not self.is_ner and first["multiSelect"] == "Enabled"

    @property
    def categories(self) -> tuple[str, ...]:
        """What a labeler may choose: display names of the classes of all categories, in order."""
        return tuple(
            one["displayName"]
            for category in self.properties["labelCategories"].values()
            for one in category["classes"].values()
        )

    @property
    def archived(self) -> bool:
        """True once `isArchived` was set."""
        return bool(self.properties["isArchived"])


def find(db: sqlite3.Connection, job_id: str, *, deleted: bool = False) -> Job | None:
    """The job with this ARM id; a deleted one only if asked for."""
    row = db.execute("SELECT * FROM labeling_jobs WHERE key = ?", (key_of(job_id),)).fetchone()
    job = _job(row) if row else None
    return job if job and (deleted or job.deleted_at is None) else None


def of_workspace(db: sqlite3.Connection, workspace_id: str) -> list[Job]:
    """Jobs that were not deleted, in the order in which they were created."""
    rows = db.execute(
        "SELECT * FROM labeling_jobs WHERE workspace = ? AND deleted_at IS NULL ORDER BY rowid",
        (key_of(workspace_id),),
    )
    return [_job(row) for row in rows]


def every(db: sqlite3.Connection) -> list[Job]:
    """Jobs of all workspaces that were not deleted, in the order in which they were created."""
    return [
        _job(row) for row in db.execute("SELECT * FROM labeling_jobs WHERE deleted_at IS NULL ORDER BY rowid")
    ]


def insert(db: sqlite3.Connection, job: Job, documents: list[str]) -> None:
    """Write a new job and its items."""
    values = {**vars(job), "properties": json.dumps(job.properties), "workspace": key_of(job.workspace)}
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT INTO labeling_jobs ({names}) VALUES ({marks})", values)  # noqa: S608
    db.executemany(
        "INSERT INTO labeling_items (job, document, position) VALUES (?, ?, ?)",
        ((job.key, document, position) for position, document in enumerate(documents)),
    )


def update(db: sqlite3.Connection, job: Job, properties: dict[str, Any], *, now: float, by: str) -> None:
    """Replace the writable properties."""
    db.execute(
        "UPDATE labeling_jobs SET properties = ?, modified_at = ?, modified_by = ? WHERE key = ?",
        (json.dumps(properties), now, by, job.key),
    )


def mark_deleted(db: sqlite3.Connection, job: Job, now: float) -> None:
    """Delete a job; its row stays, because its name can never be used again."""
    db.execute("UPDATE labeling_jobs SET deleted_at = ? WHERE key = ?", (now, job.key))


def items(db: sqlite3.Connection, job: Job, *, skip: int, top: int) -> list[sqlite3.Row]:
    """Items in dataset order."""
    return db.execute(
        "SELECT * FROM labeling_items WHERE job = ? ORDER BY position LIMIT ? OFFSET ?", (job.key, top, skip)
    ).fetchall()


def item(db: sqlite3.Connection, job: Job, document: str) -> sqlite3.Row | None:
    """One item, or None."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM labeling_items WHERE job = ? AND document = ?", (job.key, document)
    ).fetchone()
    return row


def labelled(db: sqlite3.Connection, job: Job) -> list[tuple[str, Any]]:
    """`(document, labels)` of the items that have a label decision, in dataset order."""
    rows = db.execute(
        "SELECT document, labels FROM labeling_items WHERE job = ? AND labels IS NOT NULL ORDER BY position",
        (job.key,),
    )
    return [(row["document"], json.loads(row["labels"])) for row in rows]


def set_labels(
    db: sqlite3.Connection, job: Job, document: str, labels_json: str, *, now: float, by: str
) -> None:
    """Write an item's label decision."""
    db.execute(
        "UPDATE labeling_items SET labels = ?, labeled_by = ?, at = ? WHERE job = ? AND document = ?",
        (labels_json, by, now, job.key, document),
    )


def flat_view(db: sqlite3.Connection, job: Job, now: float, status: str) -> dict[str, Any]:
    """The `properties` of a job as ARM returns them, with this status."""
    counts = db.execute(
        "SELECT COUNT(*) AS total, COUNT(labels) AS labelled FROM labeling_items WHERE job = ?", (job.key,)
    ).fetchone()
    ready = now >= job.ready_at
    made = iso(job.created_at)
    message = f"{counts['total']} datapoints were found." if ready else "The project is being initialized."
    return {
        **job.properties,
        "status": status,
        "provisioningState": "Succeeded" if ready else "InProgress",
        "projectId": job.project_id,
        "createdDateTime": made,
        "progressMetrics": {
            "totalDatapointCount": counts["total"],
            "completedDatapointCount": counts["labelled"],
            "skippedDatapointCount": 0,
            "incrementalDataLastRefreshDateTime": made,
        },
        "statusMessages": [
            {"code": "Initialization", "level": "Information", "message": message, "createdDateTime": made}
        ],
    }


def status_of(db: sqlite3.Connection, job: Job, now: float, nasty: Nasty) -> str:
    """What a read says at `now`: it may still show the gate as it was before the last change."""
    if now < job.ready_at:
        return "Provisioning"
    shown = log.shown_open(db, "azureml", job.id, now, nasty.stale_reads_for)
    return "Running" if shown else "Paused"


def view(db: sqlite3.Connection, job: Job, now: float, status: str) -> dict[str, Any]:
    """A job as ARM returns it."""
    return {
        "id": job.id,
        "name": job.name,
        "type": "Microsoft.MachineLearningServices/workspaces/labelingJobs",
        "systemData": {
            "createdAt": iso(job.created_at),
            "createdBy": job.created_by,
            "createdByType": "Application",
            "lastModifiedAt": iso(job.modified_at),
            "lastModifiedBy": job.modified_by,
            "lastModifiedByType": "Application",
        },
        "properties": flat_view(db, job, now, status),
    }


def _job(row: sqlite3.Row) -> Job:
    return Job(**{**dict(row), "properties": json.loads(row["properties"])})
