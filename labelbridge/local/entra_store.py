"""Tables of the local Entra: applications, people who can sign in, app roles, authorization codes.

Prevents a sign-in that a crash forgets: a registered application, a person's role and a code that was
handed out are rows of the same file as everything else the local Azure acknowledged. A code is spent in
the transaction that reads it, so two redemptions of one code cannot both succeed.
"""

import json
import secrets
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from labelbridge.local.tokens import Principal

SCHEMA = """
CREATE TABLE IF NOT EXISTS entra_applications (
    name TEXT PRIMARY KEY,
    client_id TEXT NOT NULL UNIQUE,
    secret TEXT NOT NULL,
    redirect_uris TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entra_people (
    object_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    about TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entra_app_roles (
    object_id TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (object_id, role)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entra_codes (
    code TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    nonce TEXT,
    scope TEXT NOT NULL,
    object_id TEXT NOT NULL,
    expires_at REAL NOT NULL
);
"""
CODE_SECONDS = 60
"""A code lives for a minute (Entra's: about one)."""


@dataclass(frozen=True)
class Application:
    """A registered application. It may sign people in, and tokens may be issued for it."""

    name: str
    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Somebody whom the sign-in page offers."""

    principal: Principal
    display_name: str
    about: str
    """One line for the sign-in page: what this person is here for."""


@dataclass(frozen=True)
class Grant:
    """What an authorization code stands for."""

    client_id: str
    redirect_uri: str
    challenge: str
    """S256 code challenge (RFC 7636)."""
    nonce: str | None
    scope: str
    object_id: str


def register(db: sqlite3.Connection, name: str, redirect_uris: Sequence[str]) -> Application:
    """Register an application, or give the one of that name these redirect addresses."""
    db.execute(
        "INSERT INTO entra_applications (name, client_id, secret, redirect_uris) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET redirect_uris = excluded.redirect_uris",
        (name, str(uuid.uuid4()), secrets.token_urlsafe(32), json.dumps(list(redirect_uris))),
    )
    row = db.execute("SELECT * FROM entra_applications WHERE name = ?", (name,)).fetchone()
    return _application(row)


def application(db: sqlite3.Connection, client_id: str) -> Application | None:
    """The application with this client id, or None."""
    row = db.execute("SELECT * FROM entra_applications WHERE client_id = ?", (client_id,)).fetchone()
    return _application(row) if row else None


def add_person(db: sqlite3.Connection, object_id: str, display_name: str, about: str) -> None:
    """Let a principal sign in as a person."""
    db.execute(
        "INSERT INTO entra_people (object_id, display_name, about) VALUES (?, ?, ?)"
        " ON CONFLICT (object_id) DO UPDATE SET display_name = excluded.display_name, about = excluded.about",
        (object_id, display_name, about),
    )


def people(db: sqlite3.Connection) -> list[Person]:
    """Everybody whom the sign-in page offers, in the order in which they were made."""
    rows = db.execute(
        "SELECT principals.object_id, client_id, name, display_name, about FROM entra_people"
        " JOIN principals USING (object_id) ORDER BY entra_people.rowid"
    )
    return [_person(row) for row in rows]


def person(db: sqlite3.Connection, object_id: str) -> Person | None:
    """One of them, or None."""
    return next((one for one in people(db) if one.principal.object_id == object_id), None)


def machine(db: sqlite3.Connection, client_id: str, secret: str) -> Principal | None:
    """The principal whose client id and secret (its identity header) these are, or None."""
    row = db.execute(
        "SELECT object_id, client_id, name, header FROM principals WHERE client_id = ?", (client_id,)
    ).fetchone()
    if row is None or row["header"] is None or not secrets.compare_digest(row["header"], secret):
        return None
    return Principal(row["object_id"], row["client_id"], row["name"])


def set_roles(db: sqlite3.Connection, object_id: str, roles: Sequence[str]) -> None:
    """Give a principal exactly these app roles."""
    db.execute("DELETE FROM entra_app_roles WHERE object_id = ?", (object_id,))
    db.executemany("INSERT OR IGNORE INTO entra_app_roles VALUES (?, ?)", ((object_id, one) for one in roles))


def roles(db: sqlite3.Connection, object_id: str) -> list[str]:
    """A principal's app roles, sorted. Entra keeps them for each application; here all see the same."""
    rows = db.execute("SELECT role FROM entra_app_roles WHERE object_id = ? ORDER BY role", (object_id,))
    return [row["role"] for row in rows]


def issue_code(db: sqlite3.Connection, grant: Grant, now: float) -> str:
    """A new authorization code; those that expired are forgotten."""
    code = secrets.token_urlsafe(32)
    db.execute("DELETE FROM entra_codes WHERE expires_at <= ?", (now,))
    db.execute(
        "INSERT INTO entra_codes (code, client_id, redirect_uri, challenge, nonce, scope, object_id, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            code,
            grant.client_id,
            grant.redirect_uri,
            grant.challenge,
            grant.nonce,
            grant.scope,
            grant.object_id,
            now + CODE_SECONDS,
        ),
    )
    return code


def spend_code(db: sqlite3.Connection, code: str, now: float) -> Grant | None:
    """What the code stands for, once; None if it was spent, expired or never issued."""
    row = db.execute("SELECT * FROM entra_codes WHERE code = ? AND expires_at > ?", (code, now)).fetchone()
    db.execute("DELETE FROM entra_codes WHERE code = ?", (code,))
    if row is None:
        return None
    return Grant(
        row["client_id"],
        row["redirect_uri"],
        row["challenge"],
        row["nonce"],
        row["scope"],
        row["object_id"],
    )


def _application(row: sqlite3.Row) -> Application:
    return Application(row["name"], row["client_id"], row["secret"], tuple(json.loads(row["redirect_uris"])))


def _person(row: sqlite3.Row) -> Person:
    principal = Principal(row["object_id"], row["client_id"], row["name"])
    return Person(principal, row["display_name"], row["about"])
