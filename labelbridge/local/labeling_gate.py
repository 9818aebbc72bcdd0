"""Pause, resume and export of a labeling job, as ARM has them.

A pause answers at once and takes effect `nasty.gate_takes_effect_after` seconds later; until then
labels are accepted. A resume takes effect at once (or after `jobs.resume`, answering 202).
"""

import sqlite3

from starlette.responses import JSONResponse, Response

from labelbridge.local import arm_operations, labeling_store, log
from labelbridge.local.arm_api import ArmCall, ArmRoute
from labelbridge.local.azure_error import AzureError
from labelbridge.local.labeling_checks import refused
from labelbridge.local.labeling_jobs import ACTION, JOB, VERSIONS, job_of
from labelbridge.local.labeling_store import Job

RESUME, EXPORT = "resume", "export"
FORMATS = ("Dataset", "Coco", "CSV")


async def pause(call: ArmCall) -> Response:
    """POST pause: 200 with the job's properties; a pending resume is overtaken.

    A job that is still being provisioned refuses (409), which is our choice.
    """
    context = call.context
    call.require(JOB.format(**call.params), "labeling.write", f"{ACTION}/pause/action")
    with context.state.write() as db:
        job, now = job_of(db, call), context.clock.now()
        _require_ready(job, now)
        for pending in _pending(db, job):
            error = {
                "code": "Canceled",
                "message": "The labeling project was paused meanwhile.",
                "status": 409,
            }
            arm_operations.finish(db, pending.id, arm_operations.FAILED, error, now)
        log.change_gate(
            db,
            "azureml",
            job.id,
            open_=False,
            now=now,
            after=context.config.nasty.gate_takes_effect_after,
            by=call.principal.object_id,
        )
        body = labeling_store.flat_view(db, job, now, "Paused")
    return JSONResponse(body)


async def resume(call: ArmCall) -> Response:
    """POST resume: 200 with the job's properties, or 202 with `Location` (by configuration).

    An archived job refuses (409), which is our choice: Azure does not say.
    """
    context = call.context
    call.require(JOB.format(**call.params), "labeling.write", f"{ACTION}/resume/action")
    with context.state.write() as db:
        job, now = job_of(db, call), context.clock.now()
        _require_ready(job, now)
        if job.archived:
            raise AzureError(409, "LabelingArchived", f"The labeling project '{job.name}' is archived.")
        delay = context.config.jobs.resume
        by = call.principal.object_id
        if delay <= 0:
            log.change_gate(db, "azureml", job.id, open_=True, now=now, by=by)
            return JSONResponse(labeling_store.flat_view(db, job, now, "Running"))
        operation = arm_operations.start(db, RESUME, job.id, now=now, due=now + delay, by=by, given={})
    return _accepted(call, operation)


async def export_labels(call: ArmCall) -> Response:
    """POST exportLabels: 202 with `Location`; the labels are read when the export runs.

    Text has no Coco export, and entities no CSV (labeling guide): both are refused with 400.
    """
    context = call.context
    call.require(JOB.format(**call.params), "labeling.export", f"{ACTION}/exportLabels/action")
    wanted = (await call.body()).get("format")
    if wanted not in FORMATS:
        raise refused(f"format must be one of {', '.join(FORMATS)}.", "format")
    with context.state.write() as db:
        job, now = job_of(db, call), context.clock.now()
        _require_ready(job, now)
        if wanted == "Coco" or (wanted == "CSV" and job.is_ner):
            raise refused(
                f"The export format '{wanted}' is not available for this labeling project.", "format"
            )
        given: dict[str, object] = {"format": wanted}
        if not context.config.nasty.export_shows_labels_as_of_run:
            given["labels"] = labeling_store.labelled(db, job)
        operation = arm_operations.start(
            db,
            EXPORT,
            job.id,
            now=now,
            due=now + context.config.jobs.export,
            by=call.principal.object_id,
            given=given,
        )
    return _accepted(call, operation)


def _accepted(call: ArmCall, operation: arm_operations.Operation) -> Response:
    headers = {
        "Location": arm_operations.result_url(call, operation),
        "Retry-After": str(call.context.config.retry_after),
    }
    return Response(status_code=202, headers=headers)


def _require_ready(job: Job, now: float) -> None:
    if now < job.ready_at:
        raise AzureError(409, "LabelingNotReady", f"The labeling project '{job.name}' is being initialized.")


def _pending(db: sqlite3.Connection, job: Job) -> list[arm_operations.Operation]:
    """Resumes of this job that have not taken effect."""
    return [one for one in arm_operations.due(db, RESUME, float("inf")) if one.scope == job.id]


ROUTES = [
    ArmRoute("POST", JOB + "/pause", pause, VERSIONS),
    ArmRoute("POST", JOB + "/resume", resume, VERSIONS),
    ArmRoute("POST", JOB + "/exportLabels", export_labels, VERSIONS),
]
