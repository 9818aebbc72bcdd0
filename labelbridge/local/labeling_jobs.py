"""`labelingJobs` of ARM: create, read, list, change, delete (2024-04-01-preview and its forerunners).

Prevents a rehearsal in which a retired name comes back to life: a job's name is taken for ever, by
deleted jobs too (labeling guide: the name cannot be reused, even after deletion).
"""

import re
import sqlite3
import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from labelbridge.local import arm_operations, arm_store, labeling_store, log
from labelbridge.local.arm_accounts import STORAGE_TYPE, principal_ids
from labelbridge.local.arm_api import ArmCall, ArmRoute, not_found, page
from labelbridge.local.arm_data import Reach, find_asset, reach_of
from labelbridge.local.arm_workspaces import WORKSPACE, require_workspace
from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context
from labelbridge.local.http import whole_number
from labelbridge.local.labeling_checks import checked, refuse_fixed_changes, refused
from labelbridge.local.labeling_store import Job
from labelbridge.model import JOB_NAME

JOBS = WORKSPACE + "/labelingJobs"
JOB = JOBS + "/{job}"
ACTION = "Microsoft.MachineLearningServices/workspaces/labelingJobs"
VERSIONS = frozenset(
    {
        "2020-09-01-preview",
        "2021-03-01-preview",
        "2022-06-01-preview",
        "2022-10-01-preview",
        "2022-12-01-preview",
        "2023-02-01-preview",
        "2023-04-01-preview",
        "2023-06-01-preview",
        "2023-08-01-preview",
        "2024-01-01-preview",
        "2024-04-01-preview",
    }
)
"""The versions that have labeling jobs; bodies are those of the last, whichever is asked for."""


def job_of(db: sqlite3.Connection, call: ArmCall) -> Job:
    """The job that the path names.

    Raises:
        AzureError: 404.
    """
    job = labeling_store.find(db, JOB.format(**call.params))
    if job is None:
        raise not_found(JOB.format(**call.params))
    return job


async def get_job(call: ArmCall) -> Response:
    """GET of a job."""
    call.require(JOB.format(**call.params), "labeling.read", f"{ACTION}/read")
    with call.context.state.read() as db:
        return JSONResponse(_view(call, db, job_of(db, call)))


async def list_jobs(call: ArmCall) -> Response:
    """GET of a workspace's jobs (`$skip`, `$top`)."""
    workspace_id = WORKSPACE.format(**call.params)
    call.require(workspace_id, "labeling.read", f"{ACTION}/read")
    skip, top = whole_number(call.request, "$skip", 0), whole_number(call.request, "$top", 100)
    with call.context.state.read() as db:
        require_workspace(db, workspace_id)
        found = labeling_store.of_workspace(db, workspace_id)
        shown = {job.key: _view(call, db, job) for job in found[skip : skip + top]}
    return page(call, [shown.get(job.key, {}) for job in found], skip=skip, top=top)


async def put_job(call: ArmCall) -> Response:
    """PUT of a job: 201 for a new one, which is provisioned and then runs; 200 for a changed one."""
    job_id = JOB.format(**call.params)
    call.require(job_id, "labeling.write", f"{ACTION}/write")
    if not re.match(JOB_NAME, call.params["job"]):
        raise refused(f"The labeling job's name must match {JOB_NAME}.", "id")
    wanted = checked((await call.body()).get("properties") or {})
    with call.context.state.read() as db:
        exists = _existing(db, job_id) is not None
    if exists:
        return _change(call, wanted)
    documents, reach = await _documents(call, wanted)
    return _create(call, wanted, documents, reach)


async def delete_job(call: ArmCall) -> Response:
    """DELETE of a job: 200, or 204 if there is none. Its gate closes at once."""
    job_id = JOB.format(**call.params)
    call.require(job_id, "labeling.write", f"{ACTION}/delete")
    with call.context.state.write() as db:
        job = labeling_store.find(db, job_id)
        if job is None:
            return Response(status_code=204)
        now = call.context.clock.now()
        log.change_gate(db, "azureml", job.id, open_=False, now=now, by=call.principal.object_id)
        labeling_store.mark_deleted(db, job, now)
    return Response(status_code=200)


def _existing(db: sqlite3.Connection, job_id: str) -> Job | None:
    job = labeling_store.find(db, job_id, deleted=True)
    if job is not None and job.deleted_at is not None:
        raise AzureError(
            409, "LabelingJobNameInUse", f"The name '{job.name}' was used before and can never be used again."
        )
    return job


def _view(call: ArmCall, db: sqlite3.Connection, job: Job) -> dict[str, Any]:
    now = call.context.clock.now()
    return labeling_store.view(
        db, job, now, labeling_store.status_of(db, job, now, call.context.config.nasty)
    )


def _create(call: ArmCall, wanted: dict[str, Any], documents: list[str], reach: Reach) -> Response:
    context, job_id = call.context, JOB.format(**call.params)
    by = call.principal.object_id
    with context.state.write() as db:
        if _existing(db, job_id) is not None:
            raise AzureError(409, "Conflict", f"'{job_id}' was created by another request just now.")
        now = context.clock.now()
        ready = now + context.config.jobs.provisioning
        workspace = require_workspace(db, WORKSPACE.format(**call.params))
        job = Job(
            key=arm_store.key_of(job_id),
            id=f"{workspace['id']}/labelingJobs/{call.params['job']}",
            workspace=workspace["id"],
            name=call.params["job"],
            properties=wanted,
            project_id=str(uuid.uuid4()),
            datastore=reach.datastore.name,
            account=reach.datastore.account,
            container=reach.datastore.container,
            created_at=now,
            created_by=by,
            modified_at=now,
            modified_by=by,
            ready_at=ready,
            deleted_at=None,
        )
        labeling_store.insert(db, job, documents)
        log.change_gate(db, "azureml", job.id, open_=True, now=now, after=ready - now, by=by)
        operation = arm_operations.start(db, "provision", job.id, now=now, due=ready, by=by, given={})
        body = labeling_store.view(db, job, now, "Provisioning")
    return _accepted(call, operation, body, 201)


def _change(call: ArmCall, wanted: dict[str, Any]) -> Response:
    context, by = call.context, call.principal.object_id
    with context.state.write() as db:
        job = job_of(db, call)
        now = context.clock.now()
        paused = log.asked(db, "azureml", job.id) is False
        may_change = paused or not context.config.nasty.categories_change_only_when_paused
        refuse_fixed_changes(job, wanted, labels_may_change=may_change)
        labeling_store.update(db, job, wanted, now=now, by=by)
        if wanted["isArchived"]:
            log.change_gate(db, "azureml", job.id, open_=False, now=now, by=by)
        operation = arm_operations.start(db, "provision", job.id, now=now, due=now, by=by, given={})
        body = _view(call, db, job_of(db, call))
    return _accepted(call, operation, body, 200)


def _accepted(
    call: ArmCall, operation: arm_operations.Operation, body: dict[str, Any], status: int
) -> Response:
    headers = {
        "Azure-AsyncOperation": arm_operations.status_url(call, operation),
        "x-ms-async-operation-timeout": "PT5M",
    }
    return JSONResponse(body, status_code=status, headers=headers)


async def _documents(call: ArmCall, wanted: dict[str, Any]) -> tuple[list[str], Reach]:
    """The `.txt` blobs that the job's data asset reaches, as they are now: one blob, one item."""
    context, workspace_id = call.context, WORKSPACE.format(**call.params)
    data_id = wanted["dataConfiguration"]["dataId"]
    with context.state.read() as db:
        require_workspace(db, workspace_id)
        asset = find_asset(db, workspace_id, data_id)
        if asset is None:
            raise refused(
                f"The data asset '{data_id}' does not exist in this workspace.", "dataConfiguration"
            )
        reach = reach_of(db, workspace_id, asset)
        _require_identity(context, db, workspace_id, reach)
    prefix = reach.path.rstrip("/") + "/" if reach.is_folder and reach.path.strip("/") else reach.path
    found: list[str] = []
    async for blob in context.blobs.list(reach.datastore.account, reach.datastore.container, prefix):
        if blob.name.lower().endswith(".txt") and (reach.is_folder or blob.name == reach.path):
            found.append(blob.name)
        if len(found) > context.config.max_labeling_items:
            raise refused(f"A labeling project has at most {context.config.max_labeling_items} files.")
    if not found:
        raise refused(f"The data asset '{data_id}' reaches no .txt files.", "dataConfiguration")
    return found, reach


def _require_identity(context: Context, db: sqlite3.Connection, workspace_id: str, reach: Reach) -> None:
    """Refuse data that the workspace's identity cannot read, before the name is taken.

    That Azure would fail rather than refuse here is possible; it is unpublished and our choice.
    """
    storage = arm_store.named(db, reach.datastore.account, STORAGE_TYPE)
    workspace = require_workspace(db, workspace_id)
    scope = f"{storage['id']}/blobServices/default/containers/{reach.datastore.container}" if storage else "/"
    if not any(context.rbac.allows(one, scope, "blob.read") for one in principal_ids(workspace)):
        raise AzureError(
            403,
            "AuthorizationFailed",
            f"The identity of the workspace does not have access to the data of datastore"
            f" '{reach.datastore.name}' at '{scope}'.",
        )


ROUTES = [
    ArmRoute("GET", JOBS, list_jobs, VERSIONS),
    ArmRoute("GET", JOB, get_job, VERSIONS),
    ArmRoute("PUT", JOB, put_job, VERSIONS),
    ArmRoute("DELETE", JOB, delete_job, VERSIONS),
]
