"""Tables of the Language part: projects, documents, models, deployments, jobs.

Prevents half-applied changes: every function here works inside a transaction of `State` that its
caller opened, so a job's effect, its status and the gate it carries are committed together.
Accounts and names are compared as given; a project is one row, its documents one row each, so that
a label write touches one row however large the project is.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from labelbridge.local import language_labels
from labelbridge.local.language_files import ProjectFile, categories
from labelbridge.model import ProjectKind

SCHEMA = """
CREATE TABLE IF NOT EXISTS language_projects (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    container TEXT NOT NULL,
    language TEXT NOT NULL,
    settings TEXT NOT NULL,
    metadata TEXT NOT NULL,
    assets TEXT NOT NULL,
    envelope TEXT NOT NULL,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    trained REAL,
    deployed REAL,
    stale_settings TEXT,
    stale_until REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (account, name)
);
CREATE TABLE IF NOT EXISTS language_names (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
);
CREATE TABLE IF NOT EXISTS language_documents (
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    location TEXT NOT NULL,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    labeled_by TEXT,
    at REAL,
    PRIMARY KEY (account, project, location)
);
CREATE TABLE IF NOT EXISTS language_models (
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    label TEXT NOT NULL,
    model_id TEXT NOT NULL,
    trained REAL NOT NULL,
    seconds INTEGER NOT NULL,
    config_version TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    summary TEXT NOT NULL,
    results TEXT NOT NULL,
    PRIMARY KEY (account, project, label)
);
CREATE TABLE IF NOT EXISTS language_deployments (
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    model_id TEXT NOT NULL,
    config_version TEXT NOT NULL,
    trained REAL NOT NULL,
    deployed REAL NOT NULL,
    PRIMARY KEY (account, project, name)
);
CREATE TABLE IF NOT EXISTS language_jobs (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    created REAL NOT NULL,
    starts REAL NOT NULL,
    due REAL NOT NULL,
    updated REAL NOT NULL,
    status TEXT NOT NULL,
    errors TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE IF NOT EXISTS language_job_files (
    job TEXT PRIMARY KEY,
    content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS language_jobs_project ON language_jobs (account, project, kind);
CREATE INDEX IF NOT EXISTS language_jobs_due ON language_jobs (status, due);
"""
"""`language_names` keeps every project name ever taken in a resource. A job's status is `pending` or
`cancelling` until its effect is committed with the final one."""


@dataclass
class Project:
    """One project without its documents; `metadata`, `assets` and `envelope` as in `ProjectFile`."""

    account: str
    name: str
    kind: ProjectKind
    container: str
    language: str
    created: float
    modified: float
    settings: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    assets: dict[str, Any] = field(default_factory=dict)
    envelope: dict[str, Any] = field(default_factory=dict)
    trained: float | None = None
    deployed: float | None = None
    stale_settings: dict[str, Any] | None = None
    stale_until: float = 0.0

    @property
    def subject(self) -> str:
        """Its name in the studios' log."""
        return f"{self.account}/{self.name}"

    @property
    def categories(self) -> list[str]:
        """Names of its classes or entities."""
        return categories(self.kind, self.assets)

    def shown_settings(self, now: float) -> dict[str, Any]:
        """The settings that a GET at `now` shows: the old ones for a while after a gate change."""
        if self.stale_settings is not None and now < self.stale_until:
            return self.stale_settings
        return self.settings

    def body(self) -> dict[str, Any]:
        """Metadata as Azure writes it in a project file; the true settings."""
        return {
            "projectName": self.name,
            "projectKind": self.kind,
            "storageInputContainerName": self.container,
            "settings": self.settings,
            **self.metadata,
            "language": self.language,
        }


def load_project(db: sqlite3.Connection, account: str, name: str) -> Project | None:
    """The project of that name, or None."""
    row = db.execute(
        "SELECT * FROM language_projects WHERE account = ? AND name = ?", (account, name)
    ).fetchone()
    return _project(row) if row else None


def list_projects(db: sqlite3.Connection, account: str) -> list[Project]:
    """All projects of a resource by name."""
    rows = db.execute("SELECT * FROM language_projects WHERE account = ? ORDER BY name", (account,))
    return [_project(row) for row in rows]


def _project(row: sqlite3.Row) -> Project:
    return Project(
        account=row["account"],
        name=row["name"],
        kind=ProjectKind(row["kind"]),
        container=row["container"],
        language=row["language"],
        created=row["created"],
        modified=row["modified"],
        settings=json.loads(row["settings"]),
        metadata=json.loads(row["metadata"]),
        assets=json.loads(row["assets"]),
        envelope=json.loads(row["envelope"]),
        trained=row["trained"],
        deployed=row["deployed"],
        stale_settings=json.loads(row["stale_settings"]) if row["stale_settings"] else None,
        stale_until=row["stale_until"],
    )


def save_project(db: sqlite3.Connection, project: Project) -> None:
    """Insert or replace the project's row, and remember its name for ever."""
    db.execute(
        "INSERT OR REPLACE INTO language_projects (account, name, kind, container, language, settings, metadata,"
        " assets, envelope, created, modified, trained, deployed, stale_settings, stale_until)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            project.account,
            project.name,
            project.kind,
            project.container,
            project.language,
            json.dumps(project.settings),
            json.dumps(project.metadata),
            json.dumps(project.assets),
            json.dumps(project.envelope),
            project.created,
            project.modified,
            project.trained,
            project.deployed,
            None if project.stale_settings is None else json.dumps(project.stale_settings),
            project.stale_until,
        ),
    )
    db.execute("INSERT OR IGNORE INTO language_names VALUES (?, ?)", (project.account, project.name))


def name_was_used(db: sqlite3.Connection, account: str, name: str) -> bool:
    """True if a project of that name exists or existed in the resource."""
    sql = "SELECT 1 FROM language_names WHERE account = ? AND name = ?"
    return db.execute(sql, (account, name)).fetchone() is not None


def delete_project(db: sqlite3.Connection, account: str, name: str) -> None:
    """Remove the project with its documents, models and deployments; its name stays remembered."""
    db.execute("DELETE FROM language_projects WHERE account = ? AND name = ?", (account, name))
    db.execute("DELETE FROM language_documents WHERE account = ? AND project = ?", (account, name))
    db.execute("DELETE FROM language_models WHERE account = ? AND project = ?", (account, name))
    db.execute("DELETE FROM language_deployments WHERE account = ? AND project = ?", (account, name))


def documents(db: sqlite3.Connection, account: str, project: str) -> list[sqlite3.Row]:
    """Rows (`location`, `body`, `labeled_by`, `at`) of all documents in the project's order."""
    return db.execute(
        "SELECT location, body, labeled_by, at FROM language_documents"
        " WHERE account = ? AND project = ? ORDER BY position",
        (account, project),
    ).fetchall()


def document(db: sqlite3.Connection, account: str, project: str, location: str) -> sqlite3.Row | None:
    """One document's row, or None if it was never labelled or imported."""
    row: sqlite3.Row | None = db.execute(
        "SELECT location, body, labeled_by, at FROM language_documents"
        " WHERE account = ? AND project = ? AND location = ?",
        (account, project, location),
    ).fetchone()
    return row


def save_document(
    db: sqlite3.Connection, project: Project, body: language_labels.Document, *, by: str, at: float
) -> None:
    """Insert a document at the end (its position is the time), or replace its body where it stands."""
    db.execute(
        "INSERT INTO language_documents (account, project, location, position, body, labeled_by, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET body = excluded.body, labeled_by = excluded.labeled_by, at = excluded.at",
        (project.account, project.name, body["location"], int(at * 1e6), json.dumps(body), by, at),
    )


def replace_documents(
    db: sqlite3.Connection,
    project: Project,
    bodies: Iterable[language_labels.Document],
    *,
    by: str,
    at: float,
) -> None:
    """Put these documents in the place of all that the project had."""
    db.execute(
        "DELETE FROM language_documents WHERE account = ? AND project = ?", (project.account, project.name)
    )
    db.executemany(
        "INSERT INTO language_documents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (project.account, project.name, body["location"], position, _json(body), by, at)
            for position, body in enumerate(bodies, 1)
        ),
    )


def _json(body: language_labels.Document) -> str:
    return msgspec.json.encode(body).decode()


def export(db: sqlite3.Connection, project: Project) -> dict[str, Any]:
    """The whole project as a project file, with the fields that an import brought and we do not know."""
    whole = export_without_documents(project)
    rows = documents(db, project.account, project.name)
    whole["assets"]["documents"] = [json.loads(row["body"]) for row in rows]
    return whole


def export_without_documents(project: Project) -> dict[str, Any]:
    """The project file but for its documents."""
    return {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        **project.envelope,
        "metadata": project.body(),
        "assets": {"projectKind": project.kind, **project.assets},
    }


def export_json(db: sqlite3.Connection, project: Project) -> str:
    """`export` as JSON; documents stand in it as they are stored."""
    whole = export_without_documents(project)
    assets = whole.pop("assets")
    bodies = ",".join([row["body"] for row in documents(db, project.account, project.name)])
    head, inner = json.dumps(whole)[:-1], json.dumps(assets)[:-1]
    return f'{head}, "assets": {inner}, "documents": [{bodies}]}}}}'


def from_file(file: ProjectFile, account: str, name: str, at: float, old: Project | None) -> Project:
    """The project that an import of `file` makes; dates of training and deployment stay the old one's."""
    return Project(
        account=account,
        name=name,
        kind=file.kind,
        container=file.container,
        language=file.language,
        created=old.created if old else at,
        modified=at,
        settings=file.settings,
        metadata=file.metadata,
        assets=file.assets,
        envelope=file.envelope,
        trained=old.trained if old else None,
        deployed=old.deployed if old else None,
        stale_settings=old.stale_settings if old else None,
        stale_until=old.stale_until if old else 0.0,
    )


def model(db: sqlite3.Connection, account: str, project: str, label: str) -> sqlite3.Row | None:
    """A trained model's row, or None."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM language_models WHERE account = ? AND project = ? AND label = ?",
        (account, project, label),
    ).fetchone()
    return row
