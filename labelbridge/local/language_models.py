"""Trained models, their evaluation, and deployments."""

import json
import re
import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from labelbridge.local import language_store as store
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import Context
from labelbridge.local.language_call import Call, conflict, invalid
from labelbridge.local.language_jobs import Apply, Effect, Job, JobFailedError
from labelbridge.local.language_projects import MODEL_LIFETIME, existing
from labelbridge.local.language_store import Project
from labelbridge.model import PROJECT_NAME


def _rows(db: sqlite3.Connection, table: str, project: Project) -> list[sqlite3.Row]:
    sql = f"SELECT * FROM {table} WHERE account = ? AND project = ? ORDER BY rowid"  # noqa: S608
    return db.execute(sql, (project.account, project.name)).fetchall()


def _model_view(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "label": row["label"],
        "modelId": row["model_id"],
        "lastTrainedDateTime": iso(row["trained"]),
        "lastTrainingDurationInSeconds": row["seconds"],
        "modelExpirationDate": iso(row["trained"] + MODEL_LIFETIME)[:10],
        "modelTrainingConfigVersion": row["config_version"],
        "hasSnapshot": True,
    }


def _the_model(call: Call, db: sqlite3.Connection) -> sqlite3.Row:
    project = call.project(db)
    row = store.model(db, project.account, project.name, call.params["label"])
    if row is None:
        raise AzureError(404, "NotFound", f"There is no model '{call.params['label']}'.")
    return row


async def list_models(call: Call) -> Response:
    """`GET /{p}/models`."""
    with call.context.state.read() as db:
        rows = _rows(db, "language_models", call.project(db))
    return call.page([_model_view(row) for row in rows])


async def get_model(call: Call) -> Response:
    """`GET /{p}/models/{label}`."""
    with call.context.state.read() as db:
        return JSONResponse(_model_view(_the_model(call, db)))


async def delete_model(call: Call) -> Response:
    """`DELETE /{p}/models/{label}`: 204. That a deployed model is refused with 409 is our choice."""
    with call.context.state.write() as db:
        row = _the_model(call, db)
        if any(one["model"] == row["label"] for one in _rows(db, "language_deployments", call.project(db))):
            raise conflict("The model is deployed; delete its deployment first.")
        db.execute(
            "DELETE FROM language_models WHERE account = ? AND project = ? AND label = ?",
            (row["account"], row["project"], row["label"]),
        )
    return Response(status_code=204)


async def evaluation_summary(call: Call) -> Response:
    """`GET /{p}/models/{label}/evaluation/summary-result`."""
    with call.context.state.read() as db:
        return JSONResponse(json.loads(_the_model(call, db)["summary"]))


async def evaluation_result(call: Call) -> Response:
    """`GET /{p}/models/{label}/evaluation/result`, one row per Test document."""
    call.require_string_index_type()
    with call.context.state.read() as db:
        row = _the_model(call, db)
    return call.page(json.loads(row["results"]))


def _deployment_view(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "deploymentName": row["name"],
        "modelId": row["model_id"],
        "lastTrainedDateTime": iso(row["trained"]),
        "lastDeployedDateTime": iso(row["deployed"]),
        "deploymentExpirationDate": iso(row["trained"] + MODEL_LIFETIME)[:10],
        "modelTrainingConfigVersion": row["config_version"],
    }


def _find_deployment(db: sqlite3.Connection, project: Project, name: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM language_deployments WHERE account = ? AND project = ? AND name = ?",
        (project.account, project.name, name),
    ).fetchone()
    return row


def _require_deployment(db: sqlite3.Connection, project: Project, name: object) -> sqlite3.Row:
    row = _find_deployment(db, project, str(name))
    if row is None:
        raise AzureError(404, "NotFound", f"There is no deployment '{name}'.")
    return row


async def list_deployments(call: Call) -> Response:
    """`GET /{p}/deployments`."""
    with call.context.state.read() as db:
        rows = _rows(db, "language_deployments", call.project(db))
    return call.page([_deployment_view(row) for row in rows])


async def get_deployment(call: Call) -> Response:
    """`GET /{p}/deployments/{name}`."""
    with call.context.state.read() as db:
        row = _require_deployment(db, call.project(db), call.params["deployment"])
    return JSONResponse(_deployment_view(row))


async def put_deployment(call: Call) -> Response:
    """`PUT /{p}/deployments/{name}` with `trainedModelLabel`."""
    name = call.params["deployment"]
    body = await call.body()
    if not re.fullmatch(PROJECT_NAME, name):
        raise invalid("A deployment name has at most 50 letters, digits, '_', '.' and '-'.")
    if body.get("assignedResourceIds"):
        call.require_preview("assignedResourceIds")
        raise invalid("Deployment to other resources is not supported here.", target="assignedResourceIds")
    label = body.get("trainedModelLabel")
    with call.context.state.write() as db:
        project = call.project(db)
        if not isinstance(label, str) or store.model(db, project.account, project.name, label) is None:
            raise invalid(f"There is no model {label!r}.", target="trainedModelLabel")
        most = call.context.config.language.max_deployments
        others = [row for row in _rows(db, "language_deployments", project) if row["name"] != name]
        if len(others) >= most:
            raise AzureError(400, "QuotaExceeded", f"A project has at most {most} deployments.")
        request = {"deployment": name, "model": label}
        job = call.add_job(db, "deploy", project.name, request, call.context.config.jobs.deploy)
    return call.accepted(f"/{project.name}/deployments/{name}/jobs/{job.id}")


async def delete_deployment(call: Call) -> Response:
    """`DELETE /{p}/deployments/{name}`."""
    with call.context.state.write() as db:
        project = call.project(db)
        row = _require_deployment(db, project, call.params["deployment"])
        request = {"deployment": row["name"]}
        job = call.add_job(db, "undeploy", project.name, request, call.context.config.jobs.deploy)
    return call.accepted(f"/{project.name}/deployments/{row['name']}/jobs/{job.id}")


async def swap_deployments(call: Call) -> Response:
    """`POST /{p}/deployments/:swap` with `firstDeploymentName` and `secondDeploymentName`."""
    body = await call.body()
    with call.context.state.write() as db:
        project = call.project(db)
        names = [body.get("firstDeploymentName"), body.get("secondDeploymentName")]
        for name in names:
            _require_deployment(db, project, name)
        job = call.add_job(db, "swap", project.name, {"names": names}, call.context.config.jobs.deploy)
    return call.accepted(f"/{project.name}/deployments/swap/jobs/{job.id}")


async def deployment_job(call: Call) -> Response:
    """`GET /{p}/deployments/{name}/jobs/{id}` and `GET /{p}/deployments/swap/jobs/{id}`."""
    return JSONResponse(call.find_job("deploy", "undeploy", "swap").wire(call.now))


def deploying(context: Context) -> Effect:
    """The effect of a deployment job."""

    async def effect(job: Job) -> Apply:
        def apply(db: sqlite3.Connection, now: float) -> None:
            project = existing(db, job)
            model = store.model(db, project.account, project.name, job.request["model"])
            if model is None:
                raise JobFailedError(f"There is no model '{job.request['model']}'.", "NotFound")
            _save_deployment(db, project, job.request["deployment"], model, now)
            project.deployed = now
            store.save_project(db, project)

        return apply

    return effect


def _save_deployment(
    db: sqlite3.Connection, project: Project, name: str, model: sqlite3.Row, deployed: float
) -> None:
    db.execute(
        "INSERT OR REPLACE INTO language_deployments (account, project, name, model, model_id, config_version,"
        " trained, deployed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            project.account,
            project.name,
            name,
            model["label"],
            model["model_id"],
            model["config_version"],
            model["trained"],
            deployed,
        ),
    )


def undeploying(context: Context) -> Effect:
    """The effect of deleting a deployment."""

    async def effect(job: Job) -> Apply:
        def apply(db: sqlite3.Connection, now: float) -> None:
            project = existing(db, job)
            db.execute(
                "DELETE FROM language_deployments WHERE account = ? AND project = ? AND name = ?",
                (project.account, project.name, job.request["deployment"]),
            )

        return apply

    return effect


def swapping(context: Context) -> Effect:
    """The effect of a swap: the two names change places."""

    async def effect(job: Job) -> Apply:
        def apply(db: sqlite3.Connection, now: float) -> None:
            project = existing(db, job)
            first, second = (_find_deployment(db, project, name) for name in job.request["names"])
            if first is None or second is None:
                raise JobFailedError("A deployment of the swap does not exist any more.", "NotFound")
            for row, other in ((first, second), (second, first)):
                db.execute(
                    "UPDATE language_deployments SET model = ?, model_id = ?, config_version = ?, trained = ?,"
                    " deployed = ? WHERE account = ? AND project = ? AND name = ?",
                    (
                        other["model"],
                        other["model_id"],
                        other["config_version"],
                        other["trained"],
                        now,
                        project.account,
                        project.name,
                        row["name"],
                    ),
                )

        return apply

    return effect
