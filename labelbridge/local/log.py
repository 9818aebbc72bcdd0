"""The studios' log: every gate change and every accepted label write of both studios, in one order.

Prevents an argument: invariant I1 (never two studios that accept a label) is judged by replaying
this log, so a gate that takes effect late is written where it took effect, before any write that
came after it. Gates of both studios live here for that reason.
"""

import sqlite3
from typing import Literal

StudioName = Literal["language", "azureml"]
Event = Literal["opened", "closed", "write"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS studio_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    studio TEXT NOT NULL,
    subject TEXT NOT NULL,
    event TEXT NOT NULL,
    document TEXT,
    labels_json TEXT,
    at REAL NOT NULL,
    by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS studio_gates (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    studio TEXT NOT NULL,
    subject TEXT NOT NULL,
    open INTEGER NOT NULL,
    asked_at REAL NOT NULL,
    effective_at REAL NOT NULL,
    by TEXT NOT NULL,
    logged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS studio_gates_subject ON studio_gates (studio, subject);
CREATE INDEX IF NOT EXISTS studio_gates_due ON studio_gates (logged, effective_at);
"""


def append(
    db: sqlite3.Connection,
    studio: StudioName,
    subject: str,
    event: Event,
    *,
    now: float,
    by: str,
    document: str | None = None,
    labels_json: str | None = None,
) -> int:
    """Write one line, after the lines of all gates that took effect before `now`.

    Args:
        db: an open transaction of `State.write()`; read `now` from the clock inside it.
        studio: which studio.
        subject: the labeling job's ARM id as it was created, or `{account}/{project}`; compared exactly.
        event: what happened.
        now: seconds since 1970.
        by: object id of who did it.
        document: blob name, for a write.
        labels_json: the labels as they were accepted, for a write.

    Returns:
        The sequence number that orders it.
    """
    settle(db, now)
    return _insert(db, studio, subject, event, now, by, document, labels_json)


def change_gate(
    db: sqlite3.Connection,
    studio: StudioName,
    subject: str,
    *,
    open_: bool,
    now: float,
    by: str,
    after: float = 0.0,
) -> None:
    """Ask for the gate to be open or closed `after` seconds from now (0: at once).

    A change that was asked for but has not taken effect is overtaken by this one. Asking for what
    the gate already is (or is about to be) changes nothing.
    """
    settle(db, now)
    if asked(db, studio, subject) is open_:
        return
    db.execute(
        "DELETE FROM studio_gates WHERE studio = ? AND subject = ? AND effective_at > ?",
        (studio, subject, now),
    )
    db.execute(
        "INSERT INTO studio_gates (studio, subject, open, asked_at, effective_at, by) VALUES (?, ?, ?, ?, ?, ?)",
        (studio, subject, open_, now, now + after, by),
    )
    settle(db, now)


def is_open(db: sqlite3.Connection, studio: StudioName, subject: str, now: float) -> bool:
    """True if the studio accepts labels at `now`. A gate nobody ever asked for is closed."""
    return bool(_last(db, studio, subject, "effective_at", now))


def shown_open(db: sqlite3.Connection, studio: StudioName, subject: str, now: float, stale: float) -> bool:
    """What a read may say: the state asked for at least `stale` seconds ago.

    The first state of a subject is shown from the start: there is no older one to be stale with.
    """
    row = _last(db, studio, subject, "asked_at", now - stale)
    if row is None:
        first = db.execute(
            "SELECT open FROM studio_gates WHERE studio = ? AND subject = ? ORDER BY row LIMIT 1",
            (studio, subject),
        ).fetchone()
        return bool(first and first["open"])
    return row


def asked(db: sqlite3.Connection, studio: StudioName, subject: str) -> bool | None:
    """The state that was asked for last; None if none ever was."""
    row = db.execute(
        "SELECT open FROM studio_gates WHERE studio = ? AND subject = ? ORDER BY row DESC LIMIT 1",
        (studio, subject),
    ).fetchone()
    return bool(row["open"]) if row else None


def settle(db: sqlite3.Connection, now: float) -> None:
    """Log every gate that took effect up to `now`, at the time at which it did."""
    due = db.execute(
        "SELECT * FROM studio_gates WHERE logged = 0 AND effective_at <= ? ORDER BY effective_at, row", (now,)
    ).fetchall()
    for gate in due:
        before = db.execute(
            "SELECT open FROM studio_gates WHERE studio = ? AND subject = ? AND row < ? ORDER BY row DESC LIMIT 1",
            (gate["studio"], gate["subject"], gate["row"]),
        ).fetchone()
        was_open = bool(before and before["open"])
        if bool(gate["open"]) is not was_open:
            event: Event = "opened" if gate["open"] else "closed"
            _insert(db, gate["studio"], gate["subject"], event, gate["effective_at"], gate["by"], None, None)
        db.execute("UPDATE studio_gates SET logged = 1 WHERE row = ?", (gate["row"],))


def entries(db: sqlite3.Connection, since: int, limit: int) -> list[sqlite3.Row]:
    """Lines with a greater sequence number than `since`, oldest first."""
    return db.execute(
        "SELECT * FROM studio_log WHERE sequence > ? ORDER BY sequence LIMIT ?", (since, limit)
    ).fetchall()


def _last(db: sqlite3.Connection, studio: str, subject: str, column: str, until: float) -> bool | None:
    row = db.execute(
        f"SELECT open FROM studio_gates WHERE studio = ? AND subject = ? AND {column} <= ?"  # noqa: S608
        " ORDER BY row DESC LIMIT 1",
        (studio, subject, until),
    ).fetchone()
    return bool(row["open"]) if row else None


def _insert(
    db: sqlite3.Connection,
    studio: str,
    subject: str,
    event: str,
    at: float,
    by: str,
    document: str | None,
    labels_json: str | None,
) -> int:
    done = db.execute(
        "INSERT INTO studio_log (studio, subject, event, document, labels_json, at, by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (studio, subject, event, document, labels_json, at, by),
    )
    assert done.lastrowid is not None
    return done.lastrowid
