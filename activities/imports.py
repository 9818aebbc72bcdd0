"""Import of an Azure ML JSONL file into a new Language project.

May run twice: the snapshot is content-addressed, the project file is a whole state, and the
preflight refused a project that existed before, so a project found later is this operation's own.
"""

from collections.abc import Sequence

from temporalio import activity

from activities._snapshots import SnapshotStore
from activities._texts import read_texts
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.labels import azureml_jsonl
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.rows import LabeledDocument, Quarantined
from labelbridge.model import ProjectRef, SnapshotRef
from labelbridge.model.steps import FileOrder, ImportFile, NewProjectOrder, SnapshotLookup
from labelbridge.registry import Registry
from labelbridge.settings import Settings


class Imports:
    """Steps that make a project from a file."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._snapshots = SnapshotStore(registry)
        self._settings = settings

    @activity.defn(name="read_labels_file")
    async def read_labels_file(self, order: FileOrder) -> SnapshotRef:
        """Read the JSONL into a snapshot. May run twice: it writes only a snapshot."""
        source = order.request.source
        content = await self._session.blobs(source.account).read(source.container, source.name)
        if content is None:
            raise LabelbridgeError("invalid_request", f"There is no blob {source.container}/{source.name}.")
        lines = content.data.split(b"\n")
        texts = await read_texts(
            self._session.blobs(order.request.account),
            order.request.container,
            list(azureml_jsonl.documents_named(lines)),
        )
        rows: list[LabeledDocument] = []
        bad: list[Quarantined] = []
        for item in azureml_jsonl.read(
            lines,
            kind=order.request.project_kind,
            unit=self._settings.labels.offset_unit,
            texts=texts,
            categories=None,
            datastore=order.request.datastore,
            source=source.name,
        ):
            if isinstance(item, Quarantined):
                bad.append(item)
            else:
                rows.append(item)
        return await self._snapshots.keep(
            rows,
            project=order.project,
            kind=order.request.project_kind,
            categories=_categories(rows),
            source="imported",
            epoch=0,
            quarantined=bad,
            allow_quarantine=order.request.allow_quarantine,
        )

    @activity.defn(name="prepare_project")
    async def prepare_project(self, order: NewProjectOrder) -> ImportFile:
        """Build the new project's file in the registry. May run twice: by content."""
        request = order.request
        rows = await self._snapshots.rows(order.project, order.snapshot.id)
        texts = await read_texts(
            self._session.blobs(request.account), request.container, [row.document for row in rows]
        )
        file = LanguageProjectFile.new(
            name=order.project.name,
            kind=request.project_kind,
            container=request.container,
            language=request.language,
            description=request.description,
            categories=_categories(rows),
        )
        data = file.with_labels(rows, texts=texts, settings={})
        return ImportFile(project=order.project, raw=await self._registry.put_raw(data))

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


def _categories(rows: Sequence[LabeledDocument]) -> list[str]:
    return sorted({c for row in rows for c in (*row.classes, *(span.category for span in row.spans))})
