"""Long-running operations of Azure ML: `Azure-AsyncOperation` status and `Location` result.

Prevents operations that die with the process: each is a row with a due time, so a restarted server
goes on with it.
"""

import json
import sqlite3
import uuid
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from labelbridge.local.arm_api import ArmCall, ArmRoute, not_found
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso

SCHEMA = """
CREATE TABLE IF NOT EXISTS arm_operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    input TEXT NOT NULL,
    output TEXT,
    started_at REAL NOT NULL,
    due_at REAL NOT NULL,
    ended_at REAL,
    by TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS arm_operations_due ON arm_operations (status, due_at);
"""

BASE = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
STATUS = BASE + "/mfeOperationsStatus/{operation}"
RESULT = BASE + "/mfeOperationResults/{operation}"
RUNNING, SUCCEEDED, FAILED = "InProgress", "Succeeded", "Failed"


@dataclass(frozen=True)
class Operation:
    """One long-running operation; `output` is the result, or the `error` object if it failed."""

    id: str
    kind: str
    scope: str
    status: str
    input: dict[str, Any]
    output: dict[str, Any] | None
    started_at: float
    due_at: float
    ended_at: float | None
    by: str


def start(
    db: sqlite3.Connection, kind: str, scope: str, *, now: float, due: float, by: str, given: dict[str, Any]
) -> Operation:
    """Note an operation on the resource `scope` whose effect happens at `due` (seconds since 1970)."""
    made = Operation(str(uuid.uuid4()), kind, scope, RUNNING, given, None, now, due, None, by)
    db.execute(
        "INSERT INTO arm_operations (id, kind, scope, status, input, started_at, due_at, by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (made.id, kind, scope, RUNNING, json.dumps(given), now, due, by),
    )
    return made


def finish(
    db: sqlite3.Connection, operation_id: str, status: str, output: dict[str, Any], now: float
) -> None:
    """Note how it ended, once: a second end changes nothing."""
    db.execute(
        "UPDATE arm_operations SET status = ?, output = ?, ended_at = ? WHERE id = ? AND status = ?",
        (status, json.dumps(output), now, operation_id, RUNNING),
    )


def due(db: sqlite3.Connection, kind: str, now: float) -> list[Operation]:
    """Operations of a kind whose time has come, oldest due first."""
    rows = db.execute(
        "SELECT * FROM arm_operations WHERE status = ? AND kind = ? AND due_at <= ? ORDER BY due_at, rowid",
        (RUNNING, kind, now),
    )
    return [_operation(row) for row in rows]


def next_due(db: sqlite3.Connection, kind: str) -> float | None:
    """When the next operation of a kind is due; None if none is running."""
    row = db.execute(
        "SELECT MIN(due_at) AS at FROM arm_operations WHERE status = ? AND kind = ?", (RUNNING, kind)
    ).fetchone()
    return None if row["at"] is None else float(row["at"])


def get(db: sqlite3.Connection, operation_id: str) -> Operation | None:
    """The operation, or None."""
    row = db.execute("SELECT * FROM arm_operations WHERE id = ?", (operation_id,)).fetchone()
    return _operation(row) if row else None


def since(db: sqlite3.Connection, kind: str, started_at: float) -> list[Operation]:
    """All operations of a kind that were started at that time or later, whatever became of them."""
    rows = db.execute(
        "SELECT * FROM arm_operations WHERE kind = ? AND started_at >= ? ORDER BY started_at",
        (kind, started_at),
    )
    return [_operation(row) for row in rows]


def status_url(call: ArmCall, operation: Operation) -> str:
    """The address for `Azure-AsyncOperation`."""
    return call.link(_path(call, STATUS, operation))


def result_url(call: ArmCall, operation: Operation) -> str:
    """The address for `Location`."""
    return call.link(_path(call, RESULT, operation))


def _path(call: ArmCall, template: str, operation: Operation) -> str:
    subscription = operation.scope.split("/")[2]
    return template.format(
        subscription=subscription, location=call.context.config.location, operation=operation.id
    )


async def get_status(call: ArmCall) -> Response:
    """GET of `Azure-AsyncOperation`: 200 with `status`, and `error` once it failed."""
    operation = _wanted(call)
    body: dict[str, Any] = {
        "id": STATUS.format(**call.params),
        "name": operation.id,
        "status": operation.status,
        "startTime": iso(operation.started_at),
    }
    if operation.ended_at is not None:
        body["endTime"] = iso(operation.ended_at)
    if operation.status == FAILED:
        body["error"] = operation.output
    headers = {"Retry-After": str(call.context.config.retry_after)} if operation.status == RUNNING else None
    return JSONResponse(body, headers=headers)


async def get_result(call: ArmCall) -> Response:
    """GET of `Location`: 202 while it runs, then 200 with the result, or the error it ended with."""
    operation = _wanted(call)
    if operation.status == RUNNING:
        headers = {
            "Location": result_url(call, operation),
            "Retry-After": str(call.context.config.retry_after),
        }
        return Response(status_code=202, headers=headers)
    output = operation.output or {}
    if operation.status == FAILED:
        raise AzureError(int(output.get("status", 400)), output["code"], output["message"])
    return JSONResponse(output)


def _wanted(call: ArmCall) -> Operation:
    with call.context.state.read() as db:
        operation = get(db, call.params["operation"])
    if operation is None:
        raise not_found(call.params["operation"])
    call.require(operation.scope, "labeling.read", "Microsoft.MachineLearningServices/locations/read")
    return operation


def _operation(row: sqlite3.Row) -> Operation:
    output = json.loads(row["output"]) if row["output"] else None
    return Operation(
        row["id"],
        row["kind"],
        row["scope"],
        row["status"],
        json.loads(row["input"]),
        output,
        row["started_at"],
        row["due_at"],
        row["ended_at"],
        row["by"],
    )


ROUTES = [ArmRoute("GET", STATUS, get_status), ArmRoute("GET", RESULT, get_result)]
