"""Label endpoints of the Azure ML studio. These are ours: Azure publishes no API for labelers.

`/studio/azureml/{subscription}/{group}/{workspace}/{job}/items` lists items,
`.../items/{document}` shows one with its text, `PUT .../items/{document}/labels` writes a label
decision in Azure ML's own form: entities as `[{"label", "offsetStart", "offsetEnd"}]` (end
exclusive, counted in `offset_unit`), multi-class as a string, multi-label as a list of strings.
"""

import json
import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import labeling_store, log
from labelbridge.local.arm_api import not_found
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import Context, context_of
from labelbridge.local.http import caller, json_body, whole_number
from labelbridge.local.labeling_jobs import JOB
from labelbridge.local.labeling_labels import checked_labels
from labelbridge.local.labeling_store import Job
from labelbridge.local.rbac import Permission
from labelbridge.local.tokens import STUDIO_AUDIENCES, Principal

BASE = "/studio/azureml/{subscription}/{group}/{workspace}/{job}/items"


async def list_items(request: Request) -> Response:
    """Items in dataset order (`skip`, `top`), and whether labels are accepted now."""
    context, _ = _authorized(request, "labeling.read")
    skip, top = whole_number(request, "skip", 0), whole_number(request, "top", 1000)
    with context.state.read() as db:
        job = _job(db, request)
        rows = labeling_store.items(db, job, skip=skip, top=top)
        body = {
            "open": refusal_of(db, job, context.clock.now()) is None,
            "instructions": job.properties["jobInstructions"]["uri"],
            "categories": list(job.categories),
            "items": [item_view(row) for row in rows],
        }
    return JSONResponse(body)


async def get_item(request: Request) -> Response:
    """One item with its text."""
    context, _ = _authorized(request, "labeling.read")
    with context.state.read() as db:
        job = _job(db, request)
        row = _row(db, job, request)
        is_open = refusal_of(db, job, context.clock.now()) is None
    text = await item_text(context, job, row["document"])
    return JSONResponse({**item_view(row), "open": is_open, "text": text})


async def put_labels(request: Request) -> Response:
    """Write a label decision: 200 with its place in the studios' log once it is committed.

    409 `LabelingPaused` once a pause took effect, `LabelingNotReady` during provisioning,
    `LabelingArchived` for an archived job (that it refuses is our choice).
    """
    context, principal = _authorized(request, "labeling.label")
    body = await json_body(request)
    with context.state.read() as db:
        job = _job(db, request)
        document = _row(db, job, request)["document"]
        _require_open(db, job, context.clock.now())
    text = await item_text(context, job, document) if job.is_ner else ""
    labels = checked_labels(job, body.get("labels"), text, context.config.offset_unit)
    with context.state.write() as db:
        now = context.clock.now()
        _require_open(db, _job(db, request), now)
        written = json.dumps(labels, ensure_ascii=False)
        labeling_store.set_labels(db, job, document, written, now=now, by=principal.object_id)
        sequence = log.append(
            db,
            "azureml",
            job.id,
            "write",
            now=now,
            by=principal.object_id,
            document=document,
            labels_json=written,
        )
    return JSONResponse({"sequence": sequence, "acknowledgedAt": iso(now)})


def _authorized(request: Request, permission: Permission) -> tuple[Context, Principal]:
    context = context_of(request)
    principal = caller(request, *STUDIO_AUDIENCES)
    context.rbac.require(principal, JOB.format(**request.path_params), permission)
    return context, principal


def _job(db: sqlite3.Connection, request: Request) -> Job:
    job_id = JOB.format(**request.path_params)
    job = labeling_store.find(db, job_id)
    if job is None:
        raise not_found(job_id)
    return job


def _row(db: sqlite3.Connection, job: Job, request: Request) -> sqlite3.Row:
    row = labeling_store.item(db, job, request.path_params["document"])
    if row is None:
        raise not_found(f"{job.id}/items/{request.path_params['document']}")
    return row


def refusal_of(db: sqlite3.Connection, job: Job, now: float) -> AzureError | None:
    """Why the job takes no labels at `now`; None if it does."""
    if now < job.ready_at:
        return AzureError(409, "LabelingNotReady", f"The labeling project '{job.name}' is being initialized.")
    if job.archived:
        return AzureError(409, "LabelingArchived", f"The labeling project '{job.name}' is archived.")
    if not log.is_open(db, "azureml", job.id, now):
        return AzureError(409, "LabelingPaused", f"The labeling project '{job.name}' is paused.")
    return None


def _require_open(db: sqlite3.Connection, job: Job, now: float) -> None:
    if refusal := refusal_of(db, job, now):
        raise refusal


async def item_text(context: Context, job: Job, document: str) -> str:
    """The document as the studio shows it: UTF-8 read leniently, line ends and BOM kept."""
    content = await context.blobs.read(job.account, job.container, document)
    if content is None:
        raise not_found(f"{job.account}/{job.container}/{document}")
    return content.decode("utf-8", errors="replace")


def item_view(row: sqlite3.Row) -> dict[str, Any]:
    """What the studio shows of an item."""
    return {
        "document": row["document"],
        "labels": json.loads(row["labels"]) if row["labels"] is not None else None,
        "labeledBy": row["labeled_by"],
        "at": iso(row["at"]) if row["at"] is not None else None,
    }


def labeling_studio_routes() -> list[Route]:
    """Routes of the Azure ML studio."""
    return [
        Route(BASE, list_items, methods=["GET"]),
        Route(BASE + "/{document:path}/labels", put_labels, methods=["PUT"]),
        Route(BASE + "/{document:path}", get_item, methods=["GET"]),
    ]
