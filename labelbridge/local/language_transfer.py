"""Export, import, and the way back to a model's snapshot: whole projects in and out."""

import asyncio
import itertools
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
from starlette.responses import JSONResponse, Response

from labelbridge.local import language_files as files
from labelbridge.local import language_jobs as jobs
from labelbridge.local import language_measures as measures
from labelbridge.local import language_settings as gate
from labelbridge.local import language_store as store
from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context
from labelbridge.local.language_call import Call, account_named, invalid
from labelbridge.local.language_jobs import Apply, Effect, Job, JobFailedError
from labelbridge.local.language_measures import Measure
from labelbridge.local.language_projects import existing, refuse_used_name
from labelbridge.local.language_store import Project
from labelbridge.local.language_text import Utf16Text
from labelbridge.model import PROJECT_NAME

READERS = 16
"""Documents that are read from Blob at once."""
BATCH = 2000
"""Documents read between two writes of their measures."""


async def export_project(call: Call) -> Response:
    """`POST /{p}/:export`, of the working copy or, by `trainedModelLabel`, of a model's snapshot."""
    call.require_string_index_type()
    label = call.request.query_params.get("trainedModelLabel")
    with call.context.state.write() as db:
        project = call.project(db)
        kept = None
        if label is not None and store.model(db, project.account, project.name, label) is None:
            raise AzureError(404, "NotFound", f"There is no model '{label}'.", target="trainedModelLabel")
        if not call.context.config.nasty.export_shows_labels_as_of_run:
            kept = _exported(db, project, label)
        seconds = call.context.config.jobs.export
        job = call.add_job(db, "export", project.name, {"model": label}, seconds, file=kept)
    return call.accepted(f"/{project.name}/export/jobs/{job.id}")


async def export_job(call: Call) -> Response:
    """`GET /{p}/export/jobs/{id}`, with `resultUrl` once it succeeded."""
    job = call.find_job("export")
    body = job.wire(call.now)
    if job.status == "succeeded":
        body["resultUrl"] = call.url(f"/{job.project}/export/jobs/{job.id}/result")
    return JSONResponse(body)


async def export_result(call: Call) -> Response:
    """`GET /{p}/export/jobs/{id}/result`: the project file, for who may read the project."""
    job = call.find_job("export")
    with call.context.state.read() as db:
        found = jobs.file_of(db, job.id) if job.status == "succeeded" else None
    if found is None:
        raise AzureError(404, "NotFound", "The export has no result.")
    if call.preview:
        return Response(found, media_type="application/json")
    body = json.loads(found)
    body["metadata"]["settings"] = gate.visible(body["metadata"]["settings"], preview=False)
    return JSONResponse(body)


def _exported(db: sqlite3.Connection, project: Project, label: str | None) -> str:
    """The project file as JSON."""
    if label is None:
        return store.export_json(db, project)
    model = store.model(db, project.account, project.name, label)
    if model is None:
        raise JobFailedError(f"There is no model '{label}'.", "NotFound")
    return str(model["snapshot"])


def exporting(context: Context) -> Effect:
    """The effect of an export job: it shows the labels as of when it runs, unless they were kept."""

    async def effect(job: Job) -> Apply:
        def apply(db: sqlite3.Connection, now: float) -> str:
            project = existing(db, job)
            return jobs.file_of(db, job.id) or _exported(db, project, job.request["model"])

        return apply

    return effect


async def import_project(call: Call) -> Response:
    """`POST /{p}/:import`, of a new project or in place of all that an existing one holds.

    The header `format` is a preview's. The body of `format: aml` is not published, so we refuse it.
    """
    name = call.params["project"]
    if not re.fullmatch(PROJECT_NAME, name):
        raise invalid(
            "A project name has at most 50 letters, digits, '_', '.' and '-'.", target="projectName"
        )
    form = call.request.headers.get("format")
    if form is not None:
        call.require_preview("The format of an import")
        if form != "json":
            raise invalid(f"The import format {form!r} is not supported here.", target="format")
    body, text = await call.large_body()
    metadata = body.get("metadata")
    settings = metadata.get("settings") if isinstance(metadata, dict) else None
    wrong = gate.problem(settings, preview=call.preview) if isinstance(settings, dict) else None
    if wrong is not None:
        raise invalid(wrong, target="metadata.settings")
    call.require_storage_roles()
    with call.context.state.write() as db:
        if store.load_project(db, call.account.name, name) is None:
            refuse_used_name(db, call.context, call.account.name, name)
        job = call.add_job(db, "import", name, {}, call.context.config.jobs.import_, file=text)
    return call.accepted(f"/{name}/import/jobs/{job.id}")


async def import_job(call: Call) -> Response:
    """`GET /{p}/import/jobs/{id}`."""
    return JSONResponse(call.find_job("import").wire(call.now))


def importing(context: Context) -> Effect:
    """The effect of an import job: it checks the file and the documents, then replaces the project.

    It replaces `settings` too, the gate included, if `import_replaces_settings` says so (Azure does
    not publish what it does with them).
    """

    async def effect(job: Job) -> Apply:
        try:
            file = await _checked(context, job)
        except files.InvalidFileError as refused:
            raise JobFailedError(refused.message, refused.code) from None
        except AzureError as error:
            raise JobFailedError(error.message, error.code) from None

        def apply(db: sqlite3.Connection, now: float) -> None:
            _replace(db, context, job, file, now)

        return apply

    return effect


async def _checked(context: Context, job: Job) -> files.ProjectFile:
    limits = context.config.language
    with context.state.read() as db:
        given = jobs.file_of(db, job.id) or "{}"
    file = await asyncio.to_thread(lambda: files.parse(msgspec.json.decode(given), job.project, limits))
    storage = account_named(context, job.account).storage_name or ""
    if not await context.blobs.container_exists(storage, file.container):
        raise files.InvalidFileError(f"The container '{file.container}' does not exist.")
    blobs = {blob.name: blob async for blob in context.blobs.list(storage, file.container)}
    sizes = {name: blob.size for name, blob in blobs.items()}
    needed = files.needs_text(file, sizes, limits)
    etags = {name: blobs[name].etag for name in needed}
    measured = await _measured(context, storage, file.container, etags)
    await asyncio.to_thread(files.check_documents, file, sizes, measured, limits)
    return file


async def _measured(
    context: Context, account: str, container: str, etags: Mapping[str, str]
) -> dict[str, Measure | None]:
    """Measures of these documents, by name and ETag; None for one that is gone or is not UTF-8."""
    with context.state.read() as db:
        found = measures.known(db, account, container, etags)

    async def read(name: str) -> None:
        data = await context.blobs.read(account, container, name)
        new[name] = None if data is None else Measure.of(data)

    unknown = iter([name for name in etags if name not in found])
    while names := list(itertools.islice(unknown, BATCH)):
        new: dict[str, Measure | None] = {}
        await _each(names, read)
        with context.state.write() as db:
            measures.keep(db, account, container, ((name, etags[name], one) for name, one in new.items()))
        found |= new
    return found


async def read_texts(
    context: Context, account: str, container: str, names: list[str]
) -> dict[str, Utf16Text | None]:
    """The texts of these documents; None for one that is gone or is not UTF-8."""
    found: dict[str, Utf16Text | None] = {}

    async def read(name: str) -> None:
        data = await context.blobs.read(account, container, name)
        try:
            found[name] = None if data is None else Utf16Text.decode(data)
        except UnicodeDecodeError:
            found[name] = None

    await _each(names, read)
    return found


async def _each(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do `work` for each name, `READERS` at once."""
    left = iter(names)

    async def reader() -> None:
        for name in left:
            await work(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(reader())


def _replace(db: sqlite3.Connection, context: Context, job: Job, file: files.ProjectFile, now: float) -> None:
    old = store.load_project(db, job.account, job.project)
    if old is None:
        try:
            refuse_used_name(db, context, job.account, job.project)
        except AzureError as refused:
            raise JobFailedError(refused.message, refused.code) from None
    elif old.kind is not file.kind:
        raise JobFailedError(f"The project is of kind {old.kind}, which cannot be changed to {file.kind}.")
    elif old.container != file.container:
        raise JobFailedError(f"The project's container is '{old.container}', which cannot be changed.")
    new = store.from_file(file, job.account, job.project, now, old)
    if old is not None and not context.config.nasty.import_replaces_settings:
        new.settings = old.settings
    store.replace_documents(db, new, file.documents, by=job.asked_by, at=now)
    gate.change(db, context.config.nasty, old, new, now=now, by=job.asked_by)


async def load_snapshot(call: Call) -> Response:
    """`POST /{p}/models/{label}/:load-snapshot`."""
    label = call.params["label"]
    with call.context.state.write() as db:
        project = call.project(db)
        if store.model(db, project.account, project.name, label) is None:
            raise AzureError(404, "NotFound", f"There is no model '{label}'.")
        seconds = call.context.config.jobs.import_
        job = call.add_job(db, "load-snapshot", project.name, {"model": label}, seconds)
    return call.accepted(f"/{project.name}/models/{label}/load-snapshot/jobs/{job.id}")


async def load_snapshot_job(call: Call) -> Response:
    """`GET /{p}/models/{label}/load-snapshot/jobs/{id}`."""
    return JSONResponse(call.find_job("load-snapshot").wire(call.now))


def loading_snapshot(context: Context) -> Effect:
    """The effect of a load-snapshot job: the model's labels and categories; settings stay as they are."""

    async def effect(job: Job) -> Apply:
        def apply(db: sqlite3.Connection, now: float) -> None:
            project = existing(db, job)
            assets = json.loads(_exported(db, project, job.request["model"]))["assets"]
            project.assets = {k: v for k, v in assets.items() if k not in ("documents", "projectKind")}
            project.modified = now
            store.save_project(db, project)
            store.replace_documents(db, project, assets["documents"], by=job.asked_by, at=now)

        return apply

    return effect
