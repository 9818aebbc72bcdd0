"""Every label export that either studio was asked for, as the studios themselves have it.

Prevents an argument about what a sync cost: how many exports were made, when and by whom is read from the
jobs that the studios ran, not from what the asking side says. The form of this list is ours.
"""

import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import arm_operations, labeling_store
from labelbridge.local.arm_workspaces import default_datastore
from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import context_of
from labelbridge.local.labeling_exports import jsonl_path
from labelbridge.local.labeling_gate import EXPORT


async def export_log(request: Request) -> Response:
    """`GET /studio/exports?since=SECONDS`: exports asked for since then (seconds since 1970), oldest first.

    Each has `id`, `studio`, `subject` (as in the studios' log), `at`, `by` (object id), and `blob` (`account`,
    `container`, `path`) once a labeling job's labelled asset was written.
    """
    try:
        since = float(request.query_params.get("since") or 0)
    except ValueError as error:
        raise AzureError(400, "InvalidRequest", "since is a number of seconds.") from error
    with context_of(request).state.read() as db:
        found = [*_of_language(db, since), *_of_azureml(db, since)]
    return JSONResponse({"value": sorted(found, key=lambda one: one["at"])})


def _of_language(db: sqlite3.Connection, since: float) -> list[dict[str, Any]]:
    rows = db.execute(
        "SELECT id, account || '/' || project AS subject, created AS at, asked_by AS by FROM language_jobs"
        " WHERE kind = 'export' AND created >= ?",
        (since,),
    )
    return [{**dict(row), "studio": "language", "blob": None} for row in rows]


def _of_azureml(db: sqlite3.Connection, since: float) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "studio": "azureml",
            "subject": one.scope,
            "at": one.started_at,
            "by": one.by,
            "blob": _blob(db, one),
        }
        for one in arm_operations.since(db, EXPORT, since)
    ]


def _blob(db: sqlite3.Connection, operation: arm_operations.Operation) -> dict[str, str] | None:
    job = labeling_store.find(db, operation.scope, deleted=True)
    target = default_datastore(db, job.workspace) if job else None
    if job is None or target is None or "labeledAssetName" not in (operation.output or {}):
        return None
    return {
        "account": target.account,
        "container": target.container,
        "path": jsonl_path(job, operation),
    }


def export_log_routes() -> list[Route]:
    """The list's address."""
    return [Route("/studio/exports", export_log, methods=["GET"])]
