"""Checks of project, storage, labeling job and registry: each a function from facts to findings."""

import asyncio
from collections.abc import Callable

from activities import _preflight_commands as commands
from activities._preflight_codes import FindingCode
from activities._preflight_facts import COUNTED, CannotCheckError, Facts, error, fine, warning
from labelbridge.azure import roles
from labelbridge.azure.language import LanguageProject
from labelbridge.azure.languages import azureml_language
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    DisconnectRequest,
    Finding,
    ProjectKind,
    Record,
    Studio,
    TrainRequest,
    arm_name,
)
from labelbridge.stored import handed_in

_BAD_JOB = ("Failed", "Canceled", "Completed")


async def project(facts: Facts) -> list[Finding]:
    """The project exists and is of a kind that both studios know."""
    found, name = await facts.project(), facts.look.project.name
    if found is None:
        return [error(FindingCode.PROJECT_UNKNOWN, f"Language has no project {name}.")]
    if found.kind is None:
        return [error(FindingCode.KIND_UNSUPPORTED, f"{name} is a {found.kind_name}: nothing to label here.")]
    return [fine(FindingCode.PROJECT_UNKNOWN, f"{name} is a {found.kind_name}.")]


async def project_absent(facts: Facts) -> list[Finding]:
    """An import makes a new project."""
    name = facts.look.project.name
    if await facts.project() is not None:
        return [error(FindingCode.PROJECT_EXISTS, f"There is a project {name}; an import takes a new name.")]
    return [fine(FindingCode.PROJECT_EXISTS, f"The name {name} is free.")]


async def connectable(facts: Facts) -> list[Finding]:
    """Not multilingual, in a language that Azure ML supports, and not connected by somebody else."""
    found = await facts.project()
    if found is None:
        return []
    findings = [_language(found.language, blocks=True)]
    if found.multilingual:
        findings.append(
            error(FindingCode.MULTILINGUAL, "The project is multilingual; those cannot be connected.")
        )
    else:
        findings.append(fine(FindingCode.MULTILINGUAL, "The project is not multilingual."))
    return findings + _foreign_marks(found, await facts.record(), facts.settings.azure.aml_project_path)


def _foreign_marks(found: LanguageProject, record: Record | None, template: str) -> list[Finding]:
    """What a project's settings say that Labelbridge did not write."""
    findings = []
    own = {
        template.replace("{job_resource_id}", job.resource_id) for job in (record.retired if record else ())
    }
    if found.aml_project_path and found.aml_project_path not in own:
        findings.append(
            error(
                FindingCode.CONNECTED_ELSEWHERE,
                f"The project names a labeling project already: {found.aml_project_path}. A project has one "
                "connection at a time: end that one where it was made.",
            )
        )
    if found.locked and (record is None or record.transition is None):
        findings.append(warning(FindingCode.LABELING_LOCKED, "Labeling in Language is locked already."))
    return findings


async def import_language(facts: Facts) -> list[Finding]:
    """A project in a language that Azure ML does not support can be imported, not connected later."""
    return [_language(facts.importing.language, blocks=False)] if facts.importing else []


def _language(code: str, *, blocks: bool) -> Finding:
    if (known := azureml_language(code)) is not None:
        return fine(FindingCode.LANGUAGE_UNSUPPORTED, f"Azure ML labeling supports {code} ({known}).")
    message = f"Azure ML labeling does not support the language {code!r}"
    if blocks:
        return error(FindingCode.LANGUAGE_UNSUPPORTED, f"{message}.")
    return warning(FindingCode.LANGUAGE_UNSUPPORTED, f"{message}: the project cannot be connected later.")


async def categories(facts: Facts, count: int | None) -> list[Finding]:
    """At least one entity, or two classes. `count` is None if there is no project to count in."""
    found = await facts.project()
    if found is None or count is None:
        return []
    least, noun = (1, "entity") if found.kind is ProjectKind.ENTITIES else (2, "class")
    if count < least:
        message = f"Connecting takes at least {least} {noun} labels; the project has {count}."
        return [error(FindingCode.TOO_FEW_CATEGORIES, message)]
    return [fine(FindingCode.TOO_FEW_CATEGORIES, f"The project has {count} {noun} labels.")]


async def documents(facts: Facts) -> list[Finding]:
    """There are documents where Language looks for them."""
    if (place := await facts.place()) is None:
        return []
    account, container = place
    count = await facts.documents(account, container)
    if count == 0:
        message = f"{account}/{container} has no non-empty .txt blob at its root, or does not exist."
        command = commands.upload_documents(account, container)
        return [error(FindingCode.DOCUMENTS_MISSING, message, command)]
    many = "or more " if count >= COUNTED else ""
    return [fine(FindingCode.DOCUMENTS_MISSING, f"{count} {many}documents in {account}/{container}.")]


async def storage(facts: Facts) -> list[Finding]:
    """Language resource, workspace and request mean one storage account."""
    linked = await facts.storage()
    if linked is None:
        return [_unlinked(facts, await facts.workspace())]
    name = arm_name(linked)
    if facts.importing and not facts.same_storage(linked, facts.importing.account):
        message = (
            f"The Language resource is linked to {name}, which cannot be changed; the documents are in "
            f"{facts.importing.account}. Copy them, or use another Language resource."
        )
        return [error(FindingCode.STORAGE_DIFFERS, message)]
    workspace = await facts.workspace()
    if workspace and not facts.same_storage(linked, workspace.storage_account):
        message = (
            f"The Language resource is linked to {name}, the workspace {workspace.name} to "
            f"{arm_name(workspace.storage_account)}. Both are fixed at creation: use a workspace made with {name}."
        )
        return [error(FindingCode.STORAGE_DIFFERS, message)]
    return [fine(FindingCode.STORAGE_DIFFERS, f"All use the storage account {name}.")]


def _unlinked(facts: Facts, workspace: object) -> Finding:
    message = "The Language resource has no storage account; it can be given one, once."
    own = getattr(workspace, "storage_account", None)
    command = None
    if facts.importing:
        command = commands.link_storage_named(facts.resource, facts.importing.account)
    elif own:
        command = commands.link_storage(facts.resource, own)
    return error(FindingCode.STORAGE_NOT_LINKED, message, command)


async def datastore(facts: Facts) -> list[Finding]:
    """A datastore of the workspace reaches the project's container."""
    place, workspace = await asyncio.gather(facts.place(), facts.workspace_id())
    if place is None or workspace is None:
        return []
    if (found := await facts.datastore()) is not None:
        return [fine(FindingCode.DATASTORE_MISSING, f"The datastore {found.name} reaches {'/'.join(place)}.")]
    wanted = facts.connecting.datastore if facts.connecting else None
    name = wanted or place[1].replace("-", "_")
    command = commands.create_datastore(workspace, name=name, account=place[0], container=place[1])
    which = f"The datastore {wanted} does not reach" if wanted else "No datastore reaches"
    return [error(FindingCode.DATASTORE_MISSING, f"{which} {'/'.join(place)}.", command)]


async def job_free(facts: Facts) -> list[Finding]:
    """The labeling job to be made does not exist, and nobody ever claimed its name."""
    request = facts.connecting
    if request is None:
        return []
    holder, found = await asyncio.gather(facts.claimed_by(request.job), facts.job(request.job))
    findings = []
    if holder is not None:
        message = f"The name {request.job.name} was taken for the project {holder}, for ever. Choose another."
        findings.append(error(FindingCode.JOB_CLAIMED, message))
    if found is not None:
        message = f"The workspace has a labeling job {request.job.name} already. Choose another name."
        findings.append(error(FindingCode.JOB_EXISTS, message))
    return findings or [fine(FindingCode.JOB_CLAIMED, f"The name {request.job.name} is free.")]


async def job_usable(facts: Facts) -> list[Finding]:
    """The connected labeling job exists and can be paused and resumed.

    A disconnect that takes no labels out of the job goes on without it, else the pair could never
    be parted.
    """
    if (ref := await facts.job_ref()) is None:
        return []
    request, record = facts.look.request, await facts.record()
    report: Callable[[FindingCode, str], Finding] = error
    if isinstance(request, DisconnectRequest):
        in_use = record is not None and record.active is Studio.AZUREML and request.labels != "discard"
        report = error if in_use else warning
    found = await facts.job(ref)
    if found is None:
        return [report(FindingCode.JOB_MISSING, f"The labeling job {ref.name} is gone from its workspace.")]
    if found.archived or found.status in _BAD_JOB:
        state = "archived" if found.archived else found.status
        return [report(FindingCode.JOB_UNUSABLE, f"The labeling job {ref.name} is {state}.")]
    return [fine(FindingCode.JOB_MISSING, f"The labeling job {ref.name} is {found.status}.")]


async def not_connected(facts: Facts) -> list[Finding]:
    """The project has no connection yet."""
    record = await facts.record()
    findings = _transition(record)
    if record and record.connection:
        message = f"The project is connected to {record.connection.job.name}. Disconnect it first."
        return [*findings, error(FindingCode.ALREADY_CONNECTED, message)]
    return [*findings, fine(FindingCode.ALREADY_CONNECTED, "The project is not connected.")]


async def connected(facts: Facts) -> list[Finding]:
    """The project has a connection."""
    record = await facts.record()
    if record is None or record.connection is None:
        return [error(FindingCode.NOT_CONNECTED, "The project is not connected to Azure ML.")]
    name = record.connection.job.name
    return [*_transition(record), fine(FindingCode.NOT_CONNECTED, f"The project is connected to {name}.")]


def _transition(record: Record | None) -> list[Finding]:
    if record is None or record.transition is None:
        return []
    transition = record.transition
    since = f"{transition.started_at:%Y-%m-%d %H:%M} UTC"
    message = (
        f"{transition.operation_id} of {transition.actor.name or transition.actor.object_id} since {since}."
    )
    return [
        warning(FindingCode.TRANSITION_OPEN, f"The record says that an operation is in progress: {message}")
    ]


async def model_free(facts: Facts) -> list[Finding]:
    """No model of the label to be trained exists: a training would replace it."""
    request = facts.look.request
    if not isinstance(request, TrainRequest) or await facts.project() is None:
        return []
    language = facts.session.language(facts.resource)
    if await language.model(facts.look.project.name, request.model) is not None:
        message = f"The project has a model {request.model}; training would replace it. Choose another label."
        return [error(FindingCode.MODEL_EXISTS, message)]
    return [fine(FindingCode.MODEL_EXISTS, f"The model label {request.model} is free.")]


async def source(facts: Facts) -> list[Finding]:
    """The file to import exists and can be read."""
    if facts.importing is None:
        return []
    ref = facts.importing.source
    label = f"{ref.account}/{ref.container}/{ref.name}"
    if not handed_in(ref, facts.settings.registry.account, facts.settings.registry.container):
        message = f"{label} was not handed in: `labelbridge import FILE` and `/api/v1/uploads` do that."
        return [error(FindingCode.SOURCE_FOREIGN, message)]
    try:
        there = await facts.session.blobs(ref.account).exists(ref.container, ref.name)
    except LabelbridgeError as failure:
        if failure.code != "forbidden":
            raise
        worker = await facts.identity()
        command = commands.grant(
            roles.STORAGE_BLOB_DATA_READER,
            object_id=worker.object_id,
            principal_type=worker.principal_type,
            scope=commands.storage_scope(ref.account),
        )
        found = error(FindingCode.SOURCE_MISSING, failure.message, command, waitable=True)
        raise CannotCheckError(found) from failure
    if not there:
        return [error(FindingCode.SOURCE_MISSING, f"There is no blob {label}.")]
    return [fine(FindingCode.SOURCE_MISSING, f"{label} exists.")]


async def registry(facts: Facts) -> list[Finding]:
    """The worker can write, read and delete in the record store."""
    where = facts.settings.registry
    label = f"{where.account}/{where.container}"
    try:
        await facts.registry.probe()
    except LabelbridgeError as failure:
        if not failure.final:
            raise
        if failure.code != "forbidden":
            command = commands.create_container(where.account, where.container)
            return [error(FindingCode.REGISTRY_UNUSABLE, failure.message, command)]
        worker = await facts.identity()
        command = commands.grant(
            roles.STORAGE_BLOB_DATA_CONTRIBUTOR,
            object_id=worker.object_id,
            principal_type=worker.principal_type,
            scope=commands.storage_scope(where.account),
        )
        return [error(FindingCode.REGISTRY_UNUSABLE, failure.message, command, waitable=True)]
    return [fine(FindingCode.REGISTRY_UNUSABLE, f"The record store {label} can be used.")]
