"""Delivering: labels of one side are written into the other, the gate carried in what is written.

A delivery may run twice because it writes a whole state (all labels of a snapshot), never a change
to what is there. What it replaces was kept as a snapshot first.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import BinaryIO

from temporalio import activity

from activities._files import scratch, view
from activities._merging import Merging, assigned
from activities._snapshots import SnapshotStore, readable
from activities._texts import measured
from activities.exports import finished
from labelbridge._threads import in_thread
from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.labels import azureml_jsonl
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.rows import LabeledDocument
from labelbridge.labels.snapshot import stored_rows
from labelbridge.labels.split import Split
from labelbridge.model import OffsetUnit, arm_name
from labelbridge.model.steps import (
    AssetOrder,
    ImportFile,
    ImportOrder,
    JobTicket,
    Merge,
    MergeOrder,
    SnapshotOrder,
)
from labelbridge.registry import Registry
from labelbridge.settings import Settings

OWN_FOLDER = "labelbridge/"
"""Where Labelbridge writes in a project's container. Documents stand at the root only, so nothing
that it writes can come back as a document."""


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
        """Merge both sides into a snapshot. May run twice: it writes only snapshots and a report.

        Raises:
            LabelbridgeError: `merge_conflict` if the policy is to refuse and there are conflicts; its
                data names the report.
        """
        refs = (order.language_left, order.language_now, order.azureml_left, order.azureml_now)
        async with AsyncExitStack() as stack:
            sides = {}
            for ref in {ref.id: ref for ref in refs if ref}.values():
                sides[ref.id] = stack.enter_context(await self._snapshots.open(order.project, ref.id))
            conflicts = stack.enter_context(scratch())
            merging = Merging(
                order,
                sides,
                conflicts=conflicts,
                unreadable=await self._snapshots.unreadable(order.azureml_now),
            )
            if order.policy == "refuse":
                await in_thread(merging.rehearse)
                if merging.conflict_count:
                    raise merging.refusal(await self._registry.put_report(conflicts))
            keep = SnapshotOrder(project=order.project, kind=order.kind, side="merged", epoch=order.epoch)
            snapshot = await self._snapshots.keep(merging.rows(), keep)
            report = await self._registry.put_report(conflicts) if merging.conflict_count else None
        return Merge(snapshot=snapshot, report=merging.report(snapshot.id, refs, report))

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
        account = arm_name((await language.account()).storage_accounts[0])
        blobs, settings = self._session.blobs(account), {**project.settings, "isLabelingLocked": order.locked}
        async with AsyncExitStack() as stack:
            raw = stack.enter_context(await self._registry.open_raw(order.template))
            template = await in_thread(lambda: LanguageProjectFile.open(raw, order.template))
            rows = await self._rows_to_import(order, view(raw), stack)
            named = (row.document for row in rows())
            found = measured(blobs, project.container, self._registry, named, listed=order.catalog)
            texts = await stack.enter_async_context(found)
            out = stack.enter_context(scratch())
            await in_thread(lambda: out.writelines(template.stream(rows(), texts=texts, settings=settings)))
            return ImportFile(project=order.project, raw=await self._registry.put_raw(out))

    async def _rows_to_import(
        self, order: ImportOrder, raw: BinaryIO, stack: AsyncExitStack
    ) -> Callable[[], Iterator[LabeledDocument]]:
        """The rows that an import shall carry; they can be gone through more than once."""
        if order.as_exported:
            file = await in_thread(lambda: LanguageProjectFile.open(raw, order.template))
            return lambda: readable(file.rows())
        given = stack.enter_context(await self._snapshots.open(order.project, order.snapshot))
        if order.split is None:
            return lambda: stored_rows(view(given))
        before = None
        if order.assigned is not None:
            before = stack.enter_context(await self._snapshots.open(order.project, order.assigned))
        split, percent = Split(order.split), order.test_percent
        return lambda: assigned(view(given), view(before) if before else None, split, percent)

    @activity.defn(name="start_import")
    async def start_import(self, file: ImportFile) -> JobTicket:
        """Start the import of a prepared file into the gated Language project.

        May run twice: every attempt writes the same whole state. More than one attempt may leave a
        second job behind; the ticket says so, and the workflow then waits it out before the commit.
        """
        language = self._session.language(file.project.language_resource)
        with await self._registry.open_raw(file.raw) as data:
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
        unit = azureml_jsonl.unit_written(self._settings.labels.offset_unit)
        path = f"{OWN_FOLDER}{order.job.name}/{order.snapshot.id}.jsonl"
        with scratch() as data:
            await self._write_rows(order, unit, blobs, data)
            await blobs.create(order.container, path, data)
            with scratch() as seen:
                await blobs.download(order.container, path, seen)
                if await in_thread(lambda: _digest(seen) != _digest(data)):
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

    async def _write_rows(self, order: AssetOrder, unit: OffsetUnit, blobs: Blobs, out: BinaryIO) -> None:
        with await self._snapshots.open(order.project, order.snapshot.id) as file:
            named = (row.document for row in stored_rows(view(file)))
            async with measured(blobs, order.container, self._registry, named) as texts:
                rows = stored_rows(file)
                written = azureml_jsonl.write(
                    rows, kind=order.kind, unit=unit, texts=texts, datastore=order.datastore
                )
                await in_thread(lambda: out.writelines(written))


def _digest(file: BinaryIO) -> bytes:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
