"""Runs what was started and is due: provisioning, resumes and label exports.

Prevents exports that die with the server: whatever was acknowledged is found in the state file at
the next start and done then; running one twice writes the same blob again.
"""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from labelbridge.local import arm_operations, labeling_store, log
from labelbridge.local.arm_data import asset_uri, register
from labelbridge.local.arm_operations import Operation
from labelbridge.local.arm_workspaces import default_datastore
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import Context
from labelbridge.local.labeling_gate import EXPORT, RESUME
from labelbridge.local.labeling_store import Job

IDLE = 0.1
"""Seconds between two looks for work that is due."""
RETRY = 0.5
"""Seconds before an export is tried again that Blob did not answer."""
Row = tuple[str, Any]


async def run_due(context: Context) -> None:
    """Do everything that is due, for ever."""
    while True:
        with context.state.write() as db:
            now = context.clock.now()
            _finish_instant(db, now)
            exports = arm_operations.due(db, EXPORT, now)
        for operation in exports:
            await _run_export(context, operation)
        await asyncio.sleep(IDLE)


def _finish_instant(db: sqlite3.Connection, now: float) -> None:
    for operation in arm_operations.due(db, "provision", now):
        arm_operations.finish(db, operation.id, arm_operations.SUCCEEDED, {}, now)
    for operation in arm_operations.due(db, RESUME, now):
        job = labeling_store.find(db, operation.scope)
        if job is None or job.archived:
            error = {
                "code": "UserError",
                "message": "The labeling project is gone or archived.",
                "status": 409,
            }
            arm_operations.finish(db, operation.id, arm_operations.FAILED, error, now)
            continue
        log.change_gate(db, "azureml", job.id, open_=True, now=now, by=operation.by)
        body = labeling_store.flat_view(db, job, now, "Running")
        arm_operations.finish(db, operation.id, arm_operations.SUCCEEDED, body, now)


async def _run_export(context: Context, operation: Operation) -> None:
    try:
        summary = await _export(context, operation)
    except AzureError as error:
        if error.status >= 500:
            await asyncio.sleep(RETRY)
            return
        failure = {"code": error.code, "message": error.message, "status": error.status}
        with context.state.write() as db:
            arm_operations.finish(db, operation.id, arm_operations.FAILED, failure, context.clock.now())
        return
    with context.state.write() as db:
        now = context.clock.now()
        if "labeledAssetName" in summary:
            _register(db, operation, summary, now)
        arm_operations.finish(
            db, operation.id, arm_operations.SUCCEEDED, {**summary, "endDateTime": iso(now)}, now
        )


async def _export(context: Context, operation: Operation) -> dict[str, Any]:
    """Write the export's blob; the reply's summary, still without its end.

    The container is that of the workspace's default datastore, written with the account's key as
    datastores are by default. Blob paths below `Labeling/export` and CSV columns are our choice.
    """
    with context.state.read() as db:
        started = context.clock.now()
        job = labeling_store.find(db, operation.scope)
        if job is None:
            raise AzureError(404, "ResourceNotFound", f"The labeling project '{operation.scope}' is gone.")
        given = operation.input.get("labels")
        rows: list[Row] = given if given is not None else labeling_store.labelled(db, job)
        target = default_datastore(db, job.workspace)
    if target is None:
        raise AzureError(400, "UserError", "The workspace has no default datastore.")
    summary: dict[str, Any] = {
        "labelingJobId": job.name,
        "exportedRowCount": len(rows),
        "startDateTime": iso(started),
        "format": operation.input["format"],
    }
    if operation.input["format"] == "CSV":
        path = f"Labeling/export/csv/{job.name}/{operation.id}/labels.csv"
        content = _csv(context, job, rows)
        summary |= {"containerName": target.container, "snapshotPath": path}
    else:
        path = jsonl_path(job, operation)
        content = "".join(line + "\n" for line in _jsonl(context, job, rows)).encode()
        day = datetime.fromtimestamp(operation.started_at, UTC).strftime("%Y%m%d_%H%M%S")
        summary["labeledAssetName"] = f"{job.name}_{day}_{operation.id[:8]}"
    await context.blobs.write(target.account, target.container, path, content)
    return summary


def _register(db: sqlite3.Connection, operation: Operation, summary: dict[str, Any], now: float) -> None:
    job = labeling_store.find(db, operation.scope, deleted=True)
    assert job is not None
    target = default_datastore(db, job.workspace)
    assert target is not None
    uri = asset_uri(job.workspace, target.name, jsonl_path(job, operation))
    properties = {
        "dataType": "uri_file",
        "dataUri": uri,
        "description": f"Labels of {job.name}",
    }
    register(
        db,
        job.workspace,
        name=summary["labeledAssetName"],
        version="1",
        properties=properties,
        by=operation.by,
        now=now,
    )


def jsonl_path(job: Job, operation: Operation) -> str:
    """The blob of an export that becomes a labelled asset."""
    return f"Labeling/export/dataset/{job.name}/{operation.id}/labels.jsonl"


def _jsonl(context: Context, job: Job, rows: Iterable[Row]) -> Iterable[str]:
    """One row per labelled item: `image_url` (for text too), `label`, `label_confidence`."""
    for document, labels in rows:
        row = {
            "image_url": _image_url(context, job, document),
            "label": labels,
            "label_confidence": [1.0] * len(labels) if isinstance(labels, list) else 1.0,
        }
        yield json.dumps(row, ensure_ascii=False)


def _csv(context: Context, job: Job, rows: Iterable[Row]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image_url", "label", "label_confidence"])
    for document, labels in rows:
        joined = ",".join(labels) if isinstance(labels, list) else labels
        writer.writerow([_image_url(context, job, document), joined, 1.0])
    return out.getvalue().encode()


def _image_url(context: Context, job: Job, document: str) -> str:
    """The item's address in the configured form; names stand in it as they are, not percent-encoded."""
    style = context.config.image_url_style
    if style == "AmlDatastore":
        return f"AmlDatastore://{job.datastore}/{document}"
    if style == "azureml-short":
        return f"azureml://datastores/{job.datastore}/paths/{document}"
    return asset_uri(job.workspace, job.datastore, document)
