"""What a client can read from the record store by itself, when no worker answers."""

from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.model import AuditEntry, BlobRef, ProjectRef, ProjectStatus
from labelbridge.registry import Registry
from labelbridge.settings import Settings


def _registry(session: AzureSession, settings: Settings) -> Registry:
    if not settings.registry.account:
        raise LabelbridgeError("settings_invalid", "registry.account: the storage account of the record")
    return Registry(session.blobs(settings.registry.account), settings.registry.container)


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


async def history(settings: Settings, project: ProjectRef) -> list[AuditEntry]:
    """A project's audit trail, oldest first."""
    async with AzureSession(settings) as session:
        return list(await _registry(session, settings).history(project))


async def upload(settings: Settings, data: bytes) -> BlobRef:
    """Keep a labels file in the record store."""
    async with AzureSession(settings) as session:
        return await _registry(session, settings).put_upload(data)
