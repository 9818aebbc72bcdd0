"""Training: one at a time per project, on the labels as they are when the job runs.

Prevents two lies: a model whose labels nobody can name (the whole project is kept with the model,
for export by `trainedModelLabel`), and an evaluation that was not computed (see `evaluation`).
"""

import asyncio
import json
import re
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from labelbridge.local import evaluation, language_jobs, language_labels
from labelbridge.local import language_store as store
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import Context
from labelbridge.local.evaluation import Example, NotTrainableError
from labelbridge.local.language_call import Call, account_named, conflict, invalid
from labelbridge.local.language_jobs import Apply, Effect, Job, JobFailedError
from labelbridge.local.language_projects import CONFIG_VERSION, existing
from labelbridge.local.language_store import Project
from labelbridge.local.language_transfer import read_texts
from labelbridge.model import PROJECT_NAME, ProjectKind

TRAINING_SHARE = 0.8
"""Part of a job's time that is shown as training; the rest is shown as evaluation."""


async def train(call: Call) -> Response:
    """`POST /{p}/:train`. Refused with 409 while another training of the project runs."""
    body = await call.body()
    label = body.get("modelLabel")
    if not isinstance(label, str) or not re.fullmatch(PROJECT_NAME, label):
        raise invalid(
            "modelLabel is required: at most 50 letters, digits, '_', '.' and '-'.", target="modelLabel"
        )
    version = body.get("trainingConfigVersion")
    if version not in (CONFIG_VERSION, "latest"):
        raise invalid(
            f"The training configuration {version!r} is not supported.", target="trainingConfigVersion"
        )
    if body.get("dataGenerationSettings") is not None:
        raise invalid("dataGenerationSettings are not supported here.", target="dataGenerationSettings")
    options = _options(body.get("evaluationOptions") or {})
    with call.context.state.write() as db:
        project = call.project(db)
        running = language_jobs.of_project(db, project.account, project.name, "train")
        if any(job.live for job in running):
            raise conflict("A training job of this project is running; only one can run at a time.")
        problem = _no_room(db, call.context, project, label)
        if problem is not None:
            raise AzureError(400, "QuotaExceeded", problem)
        request = {"model": label, "version": CONFIG_VERSION, "options": options}
        job = call.add_job(db, "train", project.name, request, call.context.config.jobs.train)
    return call.accepted(f"/{project.name}/train/jobs/{job.id}")


def _options(given: Any) -> dict[str, Any]:
    kind = given.get("kind", "percentage") if isinstance(given, dict) else None
    if kind == "manual":
        return {"kind": "manual"}
    if kind != "percentage":
        raise invalid("evaluationOptions.kind must be percentage or manual.", target="evaluationOptions")
    training, testing = given.get("trainingSplitPercentage", 80), given.get("testingSplitPercentage", 20)
    whole = type(training) is int and type(testing) is int
    if not whole or training < 1 or testing < 0 or training + testing != 100:
        raise invalid("The split percentages must be whole and add up to 100.", target="evaluationOptions")
    return {"kind": kind, "trainingSplitPercentage": training, "testingSplitPercentage": testing}


def _no_room(db: sqlite3.Connection, context: Context, project: Project, label: str) -> str | None:
    """Why the project can hold no model of that label, or None; a known label is overwritten."""
    most = context.config.language.max_models
    sql = "SELECT count(*) FROM language_models WHERE account = ? AND project = ? AND label <> ?"
    (others,) = db.execute(sql, (project.account, project.name, label)).fetchone()
    return f"A project has at most {most} trained models." if others >= most else None


async def train_jobs(call: Call) -> Response:
    """`GET /{p}/train/jobs`, newest first."""
    with call.context.state.read() as db:
        project = call.project(db)
        jobs = language_jobs.of_project(db, project.account, project.name, "train")
    unexpired = [job for job in jobs if call.now <= job.created + language_jobs.EXPIRES_AFTER]
    return call.page([train_view(job, call.now) for job in unexpired])


async def train_job(call: Call) -> Response:
    """`GET /{p}/train/jobs/{id}`."""
    return JSONResponse(train_view(call.find_job("train"), call.now))


async def cancel_training(call: Call) -> Response:
    """`POST /{p}/train/jobs/{id}/:cancel`: `cancelling` for a while, then `cancelled`."""
    job = call.find_job("train")
    with call.context.state.write() as db:
        if not job.live:
            raise conflict("The training job has ended already.")
        call.jobs.cancel(db, job, now=call.context.clock.now(), seconds=call.context.config.jobs.delete)
    return call.accepted(f"/{job.project}/train/jobs/{job.id}")


def train_view(job: Job, now: float) -> dict[str, Any]:
    """A training job on the wire; its percentages follow the clock until the job ends."""
    status = job.shown_status(now)
    turn = job.starts + TRAINING_SHARE * (job.due - job.starts)
    if status == "succeeded":
        training, evaluating = 100, 100
    else:
        training, evaluating = _percent(now, job.starts, turn), min(99, _percent(now, turn, job.due))
    return {
        **job.wire(now),
        "result": {
            "modelLabel": job.request["model"],
            "trainingConfigVersion": job.request["version"],
            "estimatedEndDateTime": iso(job.due),
            "trainingStatus": _part(training, job.starts, turn, status),
            "evaluationStatus": _part(evaluating, turn, job.due, status),
        },
    }


def _percent(now: float, start: float, end: float) -> int:
    return round(100 * min(1.0, max(0.0, (now - start) / (end - start)))) if end > start else 100


def _part(percent: int, start: float, end: float, status: str) -> dict[str, Any]:
    if status == "running":
        status = "notStarted" if percent == 0 else "succeeded" if percent == 100 else "running"
    return {
        "percentComplete": percent,
        "startDateTime": iso(start),
        "endDateTime": iso(end),
        "status": status,
    }


def training(context: Context) -> Effect:
    """The effect of a training job: a model with its labels and its computed evaluation."""

    async def effect(job: Job) -> Apply:
        with context.state.read() as db:
            project = existing(db, job)
            exported = store.export(db, project)
        try:
            examples = await _examples(context, project, exported)
            options = job.request["options"]
            learned = await asyncio.to_thread(_learn, project, examples, options)
        except NotTrainableError as refused:
            raise JobFailedError(refused.message) from None
        except AzureError as error:
            raise JobFailedError(error.message, error.code) from None
        summary, results = learned

        def apply(db: sqlite3.Connection, now: float) -> None:
            current = existing(db, job)
            problem = _no_room(db, context, current, job.request["model"])
            if problem is not None:
                raise JobFailedError(problem, "QuotaExceeded")
            _save_model(db, job, exported, summary, results, now)
            current.trained = now
            store.save_project(db, current)

        return apply

    return effect


def _learn(
    project: Project, examples: list[Example], options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train the baseline on one part, score it on the other: (summary, results)."""
    manual = options["kind"] == "manual"
    train_set, test_set = evaluation.split(
        examples, manual=manual, testing_percent=0 if manual else options["testingSplitPercentage"]
    )
    model = evaluation.Baseline(project.kind, train_set)
    scored = [(example, model.predict(example)) for example in test_set]
    summary = evaluation.summarize(project.kind, project.categories, scored, options)
    return summary, evaluation.results(project.kind, scored)


async def _examples(context: Context, project: Project, exported: Mapping[str, Any]) -> list[Example]:
    """The labelled documents of the project; refuses a data set that is too small to train on."""
    storage = account_named(context, project.account).storage_name or ""
    blobs = [blob.name async for blob in context.blobs.list(storage, project.container)]
    available = [name for name in blobs if name.endswith(".txt") and "/" not in name]
    least = context.config.language.min_documents
    if len(available) < least:
        raise NotTrainableError(
            f"Training needs at least {least} documents; the container has {len(available)}."
        )
    labelled = [
        (document, labels)
        for document in exported["assets"]["documents"]
        if (labels := language_labels.read(project.kind, document)) is not None
    ]
    texts: Mapping[str, Any] = {}
    if project.kind is ProjectKind.ENTITIES:
        names = [document["location"] for document, _ in labelled]
        texts = await read_texts(context, storage, project.container, names)
        for name, text in texts.items():
            if text is None:
                raise NotTrainableError(f"The document {name} cannot be read.")
    return [_example(project, document, labels, texts) for document, labels in labelled]


def _example(project: Project, document: Mapping[str, Any], labels: Any, texts: Mapping[str, Any]) -> Example:
    location = document["location"]
    text = {"text": texts[location]} if location in texts else {}
    return Example(
        location=location,
        labels=language_labels.gold(project.kind, labels),
        language=document.get("language") or project.language,
        dataset=document.get("dataset"),
        **text,
    )


def _save_model(
    db: sqlite3.Connection,
    job: Job,
    exported: Mapping[str, Any],
    summary: Mapping[str, Any],
    results: list[dict[str, Any]],
    now: float,
) -> None:
    label = job.request["model"]
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
    db.execute(
        "INSERT OR REPLACE INTO language_models (account, project, label, model_id, trained, seconds,"
        " config_version, snapshot, summary, results) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.account,
            job.project,
            label,
            f"{label}-{stamp}-{uuid.uuid4().hex}",
            now,
            max(1, round(now - job.starts)),
            job.request["version"],
            json.dumps(exported),
            json.dumps(summary),
            json.dumps(results),
        ),
    )
