"""Delivering: labels of one side are written into the other, the gate carried in what is written.

A delivery may run twice because it writes a whole state (all labels of a snapshot), never a change
to what is there. What it replaces was kept as a snapshot first.
"""

import asyncio
from collections.abc import Mapping

from temporalio import activity

from activities._snapshots import SnapshotStore, labels_digest
from activities._texts import read_texts
from activities.exports import finished
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.labels import azureml_jsonl
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.merge import overlay
from labelbridge.labels.rows import LabeledDocument
from labelbridge.model import MergeReport, OffsetUnit, ProjectRef, SnapshotRef, arm_name
from labelbridge.model.steps import AssetOrder, ImportFile, ImportOrder, JobTicket, Merge, MergeOrder
from labelbridge.registry import Registry
from labelbridge.settings import Settings

OWN_FOLDER = "labelbridge/"
"""Where Labelbridge writes in a project's container. Documents stand at the root only, so nothing
that it writes can come back as a document."""


LISTED = 100
"""Documents that a merge report names; the counts are whole. Reports enter histories, so they stay small."""


class Deliveries:
    """Steps that write labels into a studio."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._snapshots = SnapshotStore(registry)
        self._settings = settings

    @activity.defn(name="merge_labels")
    async def merge_labels(self, order: MergeOrder) -> Merge:
        """Merge both sides into a snapshot. May run twice: it writes only snapshots."""
        onto = await self._language_side(order)
        base = await self._rows(order.project, order.azureml_left)
        changed = await self._rows(order.project, order.azureml_now)
        merged = overlay(
            onto=onto,
            base=base,
            changed=changed,
            onto_base=await self._rows(order.project, order.language_left),
        )
        rows = list(merged.rows.values())
        categories = sorted({c for row in rows for c in (*row.classes, *(s.category for s in row.spans))})
        snapshot = await self._snapshots.keep(
            rows,
            project=order.project,
            kind=order.kind,
            categories=categories,
            source="merged",
            epoch=order.epoch,
        )
        originals = (order.language_left, order.language_now, order.azureml_left, order.azureml_now)
        report = MergeReport(
            snapshot=snapshot.id,
            taken=len(merged.taken),
            kept=len(merged.kept),
            cleared=merged.cleared[:LISTED],
            conflicts=merged.conflicts[:LISTED],
            cleared_count=len(merged.cleared),
            conflict_count=len(merged.conflicts),
            originals=tuple(dict.fromkeys(ref.id for ref in originals if ref)),
        )
        return Merge(snapshot=snapshot, report=report)

    async def _language_side(self, order: MergeOrder) -> Mapping[str, LabeledDocument]:
        """What Language contributes: its labels when it was left, and what was changed since by hand.

        While it is gated, Language may hold labels that a sync gave it; those are no change of its
        own. Anything else it holds was changed past the gate and must not be lost.
        """
        now = await self._rows(order.project, order.language_now)
        if order.language_left is None:
            return now
        left = await self._rows(order.project, order.language_left)
        expected = (order.language_left.digest, *order.language_given)
        if labels_digest(now.values()) in expected:
            return left
        return overlay(onto=left, base=left, changed=now).rows

    async def _rows(self, project: ProjectRef, ref: SnapshotRef | None) -> dict[str, LabeledDocument]:
        if ref is None:
            return {}
        return {row.document: row for row in await self._snapshots.rows(project, ref.id)}

    @activity.defn(name="prepare_import")
    async def prepare_import(self, order: ImportOrder) -> ImportFile:
        """Build the project file to import and keep it in the registry. May run twice: by content.

        The file carries the gate (`isLabelingLocked`) and the link, because an import may replace
        the project's settings by what the file says (unpublished; we take the nastier reading).
        """
        language = self._session.language(order.project.language_resource)
        project = await language.project(order.project.name)
        if project is None:
            raise LabelbridgeError("project_unknown", data={"project": order.project.name})
        template = LanguageProjectFile.parse(await self._registry.read_raw(order.template), order.template)
        if order.as_exported:
            rows = [row for row in template.rows() if isinstance(row, LabeledDocument)]
        else:
            rows = await self._snapshots.rows(order.project, order.snapshot)
        account = arm_name((await language.account()).storage_accounts[0])
        texts = await read_texts(self._session.blobs(account), project.container, [r.document for r in rows])
        file = template.with_labels(
            rows, texts=texts, settings={**project.settings, "isLabelingLocked": order.locked}
        )
        return ImportFile(project=order.project, raw=await self._registry.put_raw(file))

    @activity.defn(name="start_import")
    async def start_import(self, file: ImportFile) -> JobTicket:
        """Start the import of a prepared file into the gated Language project.

        May run twice: every attempt writes the same whole state. More than one attempt may leave a
        second job behind; the ticket says so, and the workflow then waits it out before the commit.
        """
        language = self._session.language(file.project.language_resource)
        data = await self._registry.read_raw(file.raw)
        job_id = await language.start_import(file.project.name, data)
        return JobTicket(project=file.project, kind="import", job_id=job_id, attempts=activity.info().attempt)

    @activity.defn(name="await_import")
    async def await_import(self, ticket: JobTicket) -> None:
        """Wait until an import job succeeded. May run twice: it only reads."""
        language = self._session.language(ticket.project.language_resource)
        while not finished(await language.job(ticket.project.name, "import", ticket.job_id), "The import"):
            await asyncio.sleep(self._settings.timing.poll.total_seconds())

    @activity.defn(name="put_labelled_asset")
    async def put_labelled_asset(self, order: AssetOrder) -> str:
        """Write a snapshot as a labelled data asset in Azure ML's own form, and read it back.

        Azure ML has no public import of labels for text, so this is the most that can be delivered:
        the asset is there for people and pipelines; the labeling job itself does not read it.
        May run twice: blob and asset version are named after the snapshot. Returns `name:version`.
        """
        workspace = self._session.workspace(order.job.workspace)
        stores = {store.name: store for store in await workspace.datastores()}
        account = stores[order.datastore].account
        blobs = self._session.blobs(account)
        rows = await self._snapshots.rows(order.project, order.snapshot.id)
        texts = await read_texts(blobs, order.container, [row.document for row in rows])
        unit = self._settings.labels.offset_unit
        unit = OffsetUnit.UTF16 if unit is OffsetUnit.AUTO else unit
        lines = azureml_jsonl.write(rows, kind=order.kind, unit=unit, texts=texts, datastore=order.datastore)
        data = b"".join(lines)
        path = f"{OWN_FOLDER}{order.job.name}/{order.snapshot.id}.jsonl"
        await blobs.create(order.container, path, data)
        content = await blobs.read(order.container, path)
        if content is None or content.data != data:
            raise LabelbridgeError("read_back_differs", f"{path} does not hold what was written.")
        name, version = f"labelbridge-{order.job.name}", order.snapshot.id[:16]
        await workspace.put_data_asset(
            name,
            version,
            uri=f"azureml://datastores/{order.datastore}/paths/{path}",
            type="uri_file",
            tags={"labelbridge": order.project.key},
            properties={"snapshot": order.snapshot.id, "offsetUnit": unit.value},
            description=f"Labels of {order.project.name} as Language Studio left them.",
        )
        asset = await workspace.data_asset(name, version)
        if asset is None or asset.properties.get("snapshot") != order.snapshot.id:
            raise LabelbridgeError("not_yet", f"Data asset {name}:{version} does not read back yet.")
        return f"{name}:{version}"
