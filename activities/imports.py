"""Import of an Azure ML JSONL file into a new Language project.

May run twice: the snapshot is content-addressed, the project file is a whole state, and the
preflight refused a project that existed before, so a project found later is this operation's own.
"""

from temporalio import activity

from activities._files import scratch, view
from activities._snapshots import SnapshotStore
from activities._texts import measured
from activities.conversions import Conversions
from labelbridge._threads import in_thread
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.snapshot import header, stored_rows
from labelbridge.model import ProjectRef, SnapshotRef
from labelbridge.model.steps import (
    Exported,
    FileOrder,
    ImportFile,
    NewProjectOrder,
    ShardPlan,
    SnapshotLookup,
    SnapshotOrder,
)
from labelbridge.registry import Registry


class Imports:
    """Steps that make a project from a file."""

    def __init__(self, session: AzureSession, registry: Registry, conversions: Conversions) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._snapshots = SnapshotStore(registry)
        self._conversions = conversions

    @activity.defn(name="read_labels_file")
    async def read_labels_file(self, order: FileOrder) -> Exported:
        """Read the JSONL into a snapshot, or plan how. May run twice: it writes only content."""
        request, source = order.request, order.request.source
        with scratch() as file:
            head = await self._session.blobs(source.account).download(source.container, source.name, file)
            if head is None:
                raise LabelbridgeError(
                    "invalid_request", f"There is no blob {source.container}/{source.name}."
                )
            plan = ShardPlan(
                prefix="",
                keep=SnapshotOrder(
                    project=order.project,
                    kind=request.project_kind,
                    side="imported",
                    epoch=0,
                    allow_quarantine=request.allow_quarantine,
                    sources={source.name: head.etag},
                ),
                source=source.name,
                account=request.account,
                container=request.container,
                datastore=request.datastore,
            )
            return await self._conversions.convert(file, plan)

    @activity.defn(name="prepare_project")
    async def prepare_project(self, order: NewProjectOrder) -> ImportFile:
        """Build the new project's file in the registry. May run twice: by content."""
        request, blobs = order.request, self._session.blobs(order.request.account)
        with await self._snapshots.open(order.project, order.snapshot.id) as rows, scratch() as out:
            template = LanguageProjectFile.new(
                name=order.project.name,
                kind=request.project_kind,
                container=request.container,
                language=request.language,
                description=request.description,
                categories=header(rows).categories,
            )
            named = (row.document for row in stored_rows(view(rows)))
            async with measured(blobs, request.container, self._registry, named) as texts:
                written = template.stream(stored_rows(rows), texts=texts, settings={})
                await in_thread(lambda: out.writelines(written))
            return ImportFile(project=order.project, raw=await self._registry.put_raw(out))

    @activity.defn(name="delete_project")
    async def delete_project(self, project: ProjectRef) -> None:
        """Delete a project that an undone import made. May run twice: gone is gone."""
        language = self._session.language(project.language_resource)
        if await language.project(project.name) is not None:
            await language.delete_project(project.name)

    @activity.defn(name="find_snapshot")
    async def find_snapshot(self, lookup: SnapshotLookup) -> SnapshotRef:
        """The snapshot of an id; `snapshot_unknown` if there is none. May run twice: it only reads."""
        return await self._snapshots.find(lookup.project, lookup.id)
