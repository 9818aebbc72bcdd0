"""ARM resources other than labeling jobs: one table of JSON bodies, ids compared without case."""

import json
import sqlite3
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    key TEXT PRIMARY KEY,
    parent TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at REAL NOT NULL,
    row INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS resources_parent ON resources (type, parent);
"""

Resource = dict[str, Any]
"""A resource body as ARM returns it; `id` is spelt as it was created."""


def key_of(resource_id: str) -> str:
    """What two spellings of one ARM id have in common."""
    return "/" + resource_id.strip("/").casefold()


def get(db: sqlite3.Connection, resource_id: str) -> Resource | None:
    """The resource, or None."""
    row = db.execute("SELECT body FROM resources WHERE key = ?", (key_of(resource_id),)).fetchone()
    return json.loads(row["body"]) if row else None


def put(db: sqlite3.Connection, body: Resource, *, parent: str, now: float) -> None:
    """Write a resource under `body["id"]`; `parent` is what `children` is asked with."""
    db.execute(
        "INSERT INTO resources (key, parent, type, body, created_at, row)"
        " VALUES (?, ?, ?, ?, ?, (SELECT COALESCE(MAX(row), 0) + 1 FROM resources))"
        " ON CONFLICT (key) DO UPDATE SET body = excluded.body",
        (key_of(body["id"]), key_of(parent), body["type"].casefold(), json.dumps(body), now),
    )


def children(db: sqlite3.Connection, parent: str, type_: str) -> list[Resource]:
    """Resources of a type below `parent`, in the order in which they were created."""
    rows = db.execute(
        "SELECT body FROM resources WHERE type = ? AND parent = ? ORDER BY row",
        (type_.casefold(), key_of(parent)),
    )
    return [json.loads(row["body"]) for row in rows]


def named(db: sqlite3.Connection, name: str, type_: str) -> Resource | None:
    """The resource of a type with this name in whatever group: some names are unique in the world."""
    rows = db.execute("SELECT body FROM resources WHERE type = ? ORDER BY row", (type_.casefold(),))
    bodies = (json.loads(row["body"]) for row in rows)
    return next((body for body in bodies if body["name"].casefold() == name.casefold()), None)
