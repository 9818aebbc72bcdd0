"""What a client can read from the record store by itself, when no worker answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import msgspec

from labelbridge.azure.language_models import LanguageProject
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.events.stores import Stores
from labelbridge.labels.manifest import Manifest
from labelbridge.model import (
    AuditEntry,
    BlobRef,
    Drift,
    DriftPolicy,
    ProjectRef,
    ProjectStatus,
    arm_name,
)
from labelbridge.reconciling import Reconciler
from labelbridge.registry import Registry
from labelbridge.settings import Settings


def _registry(session: AzureSession, settings: Settings) -> Registry:
    if not settings.registry.account:
        raise LabelbridgeError("settings_invalid", "registry.account: the storage account of the record")
    return Registry(session.blobs(settings.registry.account), settings.registry.container)


@asynccontextmanager
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    """The outbox, subscribers, markers and policies of the record store."""
    async with AzureSession(settings) as session:
        yield Stores.of(session, settings)


async def status(settings: Settings, project: ProjectRef) -> ProjectStatus:
    """A project's status from its record and from Language itself."""
    async with AzureSession(settings) as session:
        stored = await _registry(session, settings).load(project)
        found = await session.language(project.language_resource).project(project.name)
    return ProjectStatus.of(project, stored.record if stored else None, known=found is not None)


async def statuses(settings: Settings) -> list[ProjectStatus]:
    """The status of every project that has a record."""
    async with AzureSession(settings) as session:
        return [
            ProjectStatus.of(record.project, record, known=True)
            for record in await _registry(session, settings).records()
        ]


async def drift(settings: Settings, project: ProjectRef, policy: DriftPolicy | None) -> tuple[Drift, ...]:
    """How a project differs from its record; `not_connected` or `project_unknown` if it has none."""
    async with AzureSession(settings) as session:
        reconciler = Reconciler(session, _registry(session, settings), settings)
        seen = await reconciler.look(project, policy)
    if seen.stored is None:
        code = "not_connected" if seen.known else "project_unknown"
        raise LabelbridgeError(code, f"{project.name} has no record to compare it with.")
    return seen.drift


async def unreadable(settings: Settings) -> tuple[LabelbridgeError, ...]:
    """Why records that are there cannot be read."""
    async with AzureSession(settings) as session:
        return (await _registry(session, settings).survey())[1]


async def history(settings: Settings, project: ProjectRef, *, limit: int | None = None) -> list[AuditEntry]:
    """A project's audit trail, oldest first; of a long one only the newest `limit` are read."""
    async with AzureSession(settings) as session:
        return list(await _registry(session, settings).history(project, limit))


async def upload(settings: Settings, data: bytes | BinaryIO) -> BlobRef:
    """Keep a labels file in the record store."""
    async with AzureSession(settings) as session:
        return await _registry(session, settings).put_upload(data)


async def snapshots(settings: Settings, project: ProjectRef) -> list[Manifest]:
    """The manifests of a project's snapshots, oldest first."""
    async with AzureSession(settings) as session:
        found = [_manifest(one) async for one in _registry(session, settings).manifests(project)]
    return sorted(found, key=lambda one: (one.taken_at, one.id))


async def manifest(settings: Settings, project: ProjectRef, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot, by its id or how that begins; `snapshot_unknown` if there is none."""
    async with AzureSession(settings) as session:
        registry = _registry(session, settings)
        found = await registry.read_manifest(project, await registry.snapshot_id(project, snapshot_id))
    if found is None:
        raise LabelbridgeError("snapshot_unknown", f"{project.name} has no snapshot {snapshot_id}.")
    return _manifest(found)


async def snapshot(settings: Settings, project: ProjectRef, snapshot_id: str) -> BinaryIO:
    """A snapshot's content as a temporary file; the caller closes it. Errors as `manifest`."""
    async with AzureSession(settings) as session:
        registry = _registry(session, settings)
        found = await registry.open_snapshot(project, await registry.snapshot_id(project, snapshot_id))
    if found is None:
        raise LabelbridgeError("snapshot_unknown", f"{project.name} has no snapshot {snapshot_id}.")
    return found


async def documents(settings: Settings, project: ProjectRef) -> tuple[LanguageProject, str]:
    """The project as Language has it, and the https address of its documents' container."""
    async with AzureSession(settings) as session:
        language = session.language(project.language_resource)
        found, account = await language.project(project.name), await language.account()
        if found is None:
            raise LabelbridgeError("project_unknown", data={"project": project.name})
        if not account.storage_accounts:
            raise LabelbridgeError("storage_differs", "The Language resource has no storage account.")
        return found, session.blobs(arm_name(account.storage_accounts[0])).url(found.container)


def _manifest(found: dict[str, Any]) -> Manifest:
    try:
        return msgspec.convert(found, Manifest, strict=False)
    except msgspec.ValidationError as error:
        raise LabelbridgeError("snapshot_unreadable", f"The manifest of a snapshot: {error}") from error
