"""Long-running operations of the Language part: each effect exactly once, in order of due time.

Prevents the two failures of a job queue that dies: an accepted job that is forgotten, and one that
is applied twice. A job's due time is in the database; its effect, its final status and everything
it changes are one transaction; what was not committed when the process died is run again.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labelbridge.local.clock import Clock, iso, operation_id
from labelbridge.local.state import State

JobKind = Literal["export", "import", "train", "load-snapshot", "deploy", "undeploy", "swap", "delete"]
EXPIRES_AFTER = 7 * 24 * 3600.0
"""Seconds for which a job can be read (job details expire after seven days)."""
WAITING = 0.25
"""Part of a job's time for which it is `notStarted`."""
_log = logging.getLogger(__name__)


class JobFailedError(Exception):
    """The job ends `failed` with this error."""

    def __init__(self, message: str, code: str = "InvalidArgument") -> None:
        """`code` and `message` are what the job's `errors` say."""
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Job:
    """One job as it is stored. Times are seconds since 1970."""

    id: str
    account: str
    project: str
    kind: JobKind
    request: dict[str, Any]
    asked_by: str
    created: float
    starts: float
    due: float
    updated: float
    status: str
    errors: list[dict[str, Any]]

    @property
    def live(self) -> bool:
        """True while the job has not ended."""
        return self.status in ("pending", "cancelling")

    def shown_status(self, now: float) -> str:
        """The status on the wire."""
        if self.status != "pending":
            return self.status
        return "notStarted" if now < self.starts else "running"

    def wire(self, now: float) -> dict[str, Any]:
        """The fields that all jobs show."""
        updated = self.updated if not self.live else max(self.updated, min(now, self.due))
        return {
            "jobId": self.id,
            "createdDateTime": iso(self.created),
            "lastUpdatedDateTime": iso(updated),
            "expirationDateTime": iso(self.created + EXPIRES_AFTER),
            "status": self.shown_status(now),
            "warnings": [],
            "errors": self.errors,
        }


Apply = Callable[[sqlite3.Connection, float], str | None]
"""Commits an effect inside a transaction at a time, and returns the job's file (JSON), if it gives one."""
Effect = Callable[[Job], Awaitable[Apply]]
"""Reads what the job needs (it may await) and returns what will commit it. Both may raise JobFailedError."""


class Jobs:
    """The queue of one local Azure."""

    def __init__(self, state: State, clock: Clock) -> None:
        """Add effects before `run` is started."""
        self.effects: dict[JobKind, Effect] = {}
        self._state = state
        self._clock = clock
        self._changed = asyncio.Event()

    def add(
        self,
        db: sqlite3.Connection,
        *,
        account: str,
        project: str,
        kind: JobKind,
        request: Mapping[str, Any],
        by: str,
        now: float,
        seconds: float,
        file: str | None = None,
    ) -> Job:
        """Queue a job inside the caller's transaction; it is due `seconds` after `now`.

        `file` is a project file that the job needs (JSON); it is kept apart from the request, so that
        whoever asks for the job's status does not read a whole project.
        """
        job_id = operation_id(now)
        db.execute(
            "INSERT INTO language_jobs (id, account, project, kind, request, asked_by, created, starts, due, updated,"
            " status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
            (
                job_id,
                account,
                project,
                kind,
                json.dumps(request),
                by,
                now,
                now + WAITING * seconds,
                now + seconds,
                now,
            ),
        )
        if file is not None:
            keep_file(db, job_id, file)
        self._changed.set()
        return _job(db.execute("SELECT * FROM language_jobs WHERE id = ?", (job_id,)).fetchone())

    def cancel(self, db: sqlite3.Connection, job: Job, *, now: float, seconds: float) -> None:
        """Let a live job end `cancelled` after `seconds`, without its effect."""
        db.execute(
            "UPDATE language_jobs SET status = 'cancelling', due = ?, updated = ? WHERE id = ? AND status = 'pending'",
            (now + seconds, now, job.id),
        )
        self._changed.set()

    async def run(self) -> None:
        """Run jobs as they fall due, for ever."""
        while True:
            self._changed.clear()
            await self.run_due()
            wait = self._until_next()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    async def run_due(self) -> None:
        """Run what is due now, one after the other."""
        while (job := self._next_due()) is not None:
            if job.status == "cancelling":
                self._finish(job, "cancelled")
            else:
                await self._run_one(job)

    async def _run_one(self, job: Job) -> None:
        try:
            apply = await self.effects[job.kind](job)
            with self._state.write() as db:
                if not _still_pending(db, job):
                    return
                now = self._clock.now()
                made = apply(db, now)
                _end(db, job, "succeeded", now)
                if made is not None:
                    keep_file(db, job.id, made)
        except JobFailedError as failure:
            self._finish(job, "failed", [{"code": failure.code, "message": failure.message}])
        except Exception as error:  # an effect that cannot be had is the job's failure, not the server's
            _log.exception("%s job %s failed", job.kind, job.id)
            self._finish(job, "failed", [{"code": "InternalServerError", "message": str(error)}])

    def _finish(self, job: Job, status: str, errors: list[dict[str, Any]] | None = None) -> None:
        with self._state.write() as db:
            if status == "cancelled" or _still_pending(db, job):
                _end(db, job, status, self._clock.now(), errors=errors)

    def _next_due(self) -> Job | None:
        with self._state.read() as db:
            row = db.execute(
                "SELECT * FROM language_jobs WHERE status IN ('pending', 'cancelling') AND due <= ?"
                " ORDER BY due, row LIMIT 1",
                (self._clock.now(),),
            ).fetchone()
        return _job(row) if row else None

    def _until_next(self) -> float | None:
        with self._state.read() as db:
            (due,) = db.execute(
                "SELECT min(due) FROM language_jobs WHERE status IN ('pending', 'cancelling')"
            ).fetchone()
        return None if due is None else max(0.0, due - self._clock.now())


def find(
    db: sqlite3.Connection, job_id: str, *, account: str, kinds: tuple[JobKind, ...], now: float
) -> Job | None:
    """The job of that id in a resource, if it is of one of these kinds and has not expired."""
    row = db.execute("SELECT * FROM language_jobs WHERE id = ? AND account = ?", (job_id, account)).fetchone()
    job = _job(row) if row else None
    if job is None or job.kind not in kinds or now > job.created + EXPIRES_AFTER:
        return None
    return job


def keep_file(db: sqlite3.Connection, job_id: str, content: str) -> None:
    """Keep a job's project file (JSON): what it was given until it ended, or what it gives."""
    db.execute("INSERT OR REPLACE INTO language_job_files VALUES (?, ?)", (job_id, content))


def file_of(db: sqlite3.Connection, job_id: str) -> str | None:
    """The job's project file (JSON), None if it has none."""
    row = db.execute("SELECT content FROM language_job_files WHERE job = ?", (job_id,)).fetchone()
    return None if row is None else str(row["content"])


def of_project(db: sqlite3.Connection, account: str, project: str, kind: JobKind) -> list[Job]:
    """Jobs of one kind, newest first."""
    rows = db.execute(
        "SELECT * FROM language_jobs WHERE account = ? AND project = ? AND kind = ? ORDER BY row DESC",
        (account, project, kind),
    )
    return [_job(row) for row in rows]


def _still_pending(db: sqlite3.Connection, job: Job) -> bool:
    row = db.execute("SELECT status FROM language_jobs WHERE id = ?", (job.id,)).fetchone()
    return row is not None and row["status"] == "pending"


def _end(
    db: sqlite3.Connection,
    job: Job,
    status: str,
    now: float,
    *,
    errors: list[dict[str, Any]] | None = None,
) -> None:
    db.execute("DELETE FROM language_job_files WHERE job = ?", (job.id,))
    db.execute(
        "UPDATE language_jobs SET status = ?, errors = ?, updated = ? WHERE id = ?",
        (status, json.dumps(errors or []), now, job.id),
    )


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        account=row["account"],
        project=row["project"],
        kind=row["kind"],
        request=json.loads(row["request"]),
        asked_by=row["asked_by"],
        created=row["created"],
        starts=row["starts"],
        due=row["due"],
        updated=row["updated"],
        status=row["status"],
        errors=json.loads(row["errors"]),
    )
