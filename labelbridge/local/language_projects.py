"""Authoring operations on projects themselves: create, change, read, list, delete."""

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from labelbridge.local import language_settings as gate
from labelbridge.local import language_store as store
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import Context
from labelbridge.local.language_call import Call, conflict, invalid
from labelbridge.local.language_jobs import Apply, Effect, Job, JobFailedError
from labelbridge.local.language_languages import LANGUAGES, supported
from labelbridge.local.language_store import Project
from labelbridge.model import PROJECT_NAME, ProjectKind

IMMUTABLE = ("projectKind", "storageInputContainerName")
"""Fixed at creation. For the kind it is documented; for the container it is our choice."""


def project_view(project: Project, *, now: float, preview: bool) -> dict[str, Any]:
    """The project as GET shows it at `now` to a reader of a preview or stable version."""
    body: dict[str, Any] = {
        "createdDateTime": iso(project.created),
        "lastModifiedDateTime": iso(project.modified),
    }
    if project.trained is not None:
        body["lastTrainedDateTime"] = iso(project.trained)
    if project.deployed is not None:
        body["lastDeployedDateTime"] = iso(project.deployed)
    settings = gate.visible(project.shown_settings(now), preview=preview)
    return {**body, **project.body(), "settings": settings}


async def list_projects(call: Call) -> Response:
    """`GET`: all projects of the resource."""
    with call.context.state.read() as db:
        projects = store.list_projects(db, call.account.name)
    return call.page([project_view(project, now=call.now, preview=call.preview) for project in projects])


async def get_project(call: Call) -> Response:
    """`GET /{p}`."""
    with call.context.state.read() as db:
        project = call.project(db)
    return JSONResponse(project_view(project, now=call.now, preview=call.preview))


async def patch_project(call: Call) -> Response:
    """`PATCH /{p}`, a JSON merge patch: 201 with a new project, 200 with a changed one."""
    name = call.params["project"]
    content_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in ("application/merge-patch+json", "application/json"):
        raise AzureError(415, "InvalidRequest", "The content type must be application/merge-patch+json.")
    patch = await call.body()
    if patch.get("projectName", name) != name:
        raise invalid("projectName must be the name in the path.", target="projectName")
    if isinstance(patch.get("settings"), dict):
        _refuse_settings(patch["settings"], preview=call.preview)
    with call.context.state.read() as db:
        exists = store.load_project(db, call.account.name, name) is not None
    if not exists:
        await _check_new(call, patch)
    with call.context.state.write() as db:
        old = store.load_project(db, call.account.name, name)
        now = call.context.clock.now()
        if old is None:
            refuse_used_name(db, call.context, call.account.name, name)
        new = _created(call, patch, now) if old is None else _changed(old, patch, now)
        gate.change(db, call.context.config.nasty, old, new, now=now, by=call.principal.object_id)
    shown = project_view(new, now=now, preview=call.preview)
    shown["settings"] = gate.visible(new.settings, preview=call.preview)
    return JSONResponse(shown, status_code=200 if old else 201)


def refuse_used_name(db: sqlite3.Connection, context: Context, account: str, name: str) -> None:
    """Refuse (400, 409) a new project that the resource has no room or no name for.

    That a deleted project's name stays taken is our choice, by `reuse_project_names`.
    """
    limits = context.config.language
    if len(store.list_projects(db, account)) >= limits.max_projects:
        raise AzureError(400, "QuotaExceeded", f"A resource has at most {limits.max_projects} projects.")
    if not limits.reuse_project_names and store.name_was_used(db, account, name):
        raise conflict(f"The name '{name}' was used by a project that was deleted.")


async def _check_new(call: Call, patch: Mapping[str, Any]) -> None:
    """Everything about a new project that needs no transaction."""
    if not re.fullmatch(PROJECT_NAME, call.params["project"]):
        raise invalid(
            "A project name has at most 50 letters, digits, '_', '.' and '-'.", target="projectName"
        )
    for required in ("projectKind", "storageInputContainerName", "language"):
        if not isinstance(patch.get(required), str):
            raise invalid(f"{required} is required.", target=required)
    call.require_storage_roles()
    container = patch["storageInputContainerName"]
    if not await call.context.blobs.container_exists(call.account.storage_name or "", container):
        raise invalid(f"The container '{container}' does not exist.", target="storageInputContainerName")


def _created(call: Call, patch: Mapping[str, Any], now: float) -> Project:
    _check_fields(patch)
    for required in ("projectKind", "storageInputContainerName", "language"):
        if required not in patch:
            raise conflict("The project was deleted meanwhile.")
    return Project(
        account=call.account.name,
        name=call.params["project"],
        kind=ProjectKind(patch["projectKind"]),
        container=patch["storageInputContainerName"],
        language=patch["language"],
        created=now,
        modified=now,
        settings=merge({}, patch.get("settings") or {}),
        metadata={
            "multilingual": bool(patch.get("multilingual", False)),
            "description": patch.get("description") or "",
        },
    )


def _changed(old: Project, patch: Mapping[str, Any], now: float) -> Project:
    before = old.body()
    for name in IMMUTABLE:
        if patch.get(name, before[name]) != before[name]:
            raise invalid(f"{name} cannot be changed after the project was created.", target=name)
    after = merge(before, patch)
    _check_fields(after)
    _refuse_settings(after.get("settings") or {}, preview=True)
    known = ("projectName", "settings", "language", *IMMUTABLE)
    return Project(
        **{
            **vars(old),
            "modified": now,
            "language": after["language"],
            "settings": after.get("settings") or {},
            "metadata": {key: value for key, value in after.items() if key not in known},
        }
    )


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge patch (RFC 7396) of two objects: null removes, objects merge, all else replaces."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def _check_fields(body: Mapping[str, Any]) -> None:
    if body.get("projectKind") not in list(ProjectKind):
        raise invalid(f"The project kind {body.get('projectKind')!r} is not supported.", target="projectKind")
    language = body.get("language")
    if not isinstance(language, str) or not supported(language):
        raise invalid(
            f"The language {language!r} is not supported.", inner="UnsupportedLanguageCode", target="language"
        )
    if not isinstance(body.get("multilingual", False), bool):
        raise invalid("multilingual must be true or false.", target="multilingual")
    if not isinstance(body.get("description", ""), str | None):
        raise invalid("description must be a string.", target="description")
    if not isinstance(body.get("settings", {}), dict | None):
        raise invalid("settings must be an object.", target="settings")


def _refuse_settings(settings: Mapping[str, Any], *, preview: bool) -> None:
    wrong = gate.problem(settings, preview=preview)
    if wrong is not None:
        raise invalid(wrong, target="settings")


async def delete_project(call: Call) -> Response:
    """`DELETE /{p}`: a job at `/global/deletion-jobs/{id}`; the project stays until it runs."""
    with call.context.state.write() as db:
        project = call.project(db)
        job = call.add_job(db, "delete", project.name, {}, call.context.config.jobs.delete)
    return call.accepted(f"/global/deletion-jobs/{job.id}")


async def deletion_job(call: Call) -> Response:
    """`GET /global/deletion-jobs/{id}`."""
    return JSONResponse(call.find_job("delete").wire(call.now))


def deletion(context: Context) -> Effect:
    """The effect of a deletion job."""

    async def effect(job: Job) -> Apply:
        def apply(db: sqlite3.Connection, now: float) -> None:
            project = existing(db, job)
            gate.remove(db, project, now=now, by=job.asked_by)
            store.delete_project(db, project.account, project.name)

        return apply

    return effect


def existing(db: sqlite3.Connection, job: Job) -> Project:
    """The job's project.

    Raises:
        JobFailedError: it was deleted since.
    """
    project = store.load_project(db, job.account, job.project)
    if project is None:
        raise JobFailedError("The specified project was not found.", "ProjectNotFound")
    return project


async def list_languages(call: Call) -> Response:
    """`GET /global/languages`: the same for the three project kinds."""
    _require_kind(call)
    return call.page([{"languageName": name, "languageCode": code} for code, name in LANGUAGES.items()])


def _require_kind(call: Call) -> None:
    kind = call.request.query_params.get("projectKind")
    if kind not in list(ProjectKind):
        raise invalid(f"projectKind is required; {kind!r} is not one.", target="projectKind")


async def list_config_versions(call: Call) -> Response:
    """`GET /global/training-config-versions`: the one version that custom text has."""
    _require_kind(call)
    expires = iso(call.now + MODEL_LIFETIME)[:10]
    return call.page([{"trainingConfigVersion": CONFIG_VERSION, "modelExpirationDate": expires}])


CONFIG_VERSION = "2022-05-01"
"""The training configuration that `latest` means."""
MODEL_LIFETIME = 540 * 24 * 3600.0
"""Seconds until a model expires. Illustrative: Azure sets a date per training configuration."""
