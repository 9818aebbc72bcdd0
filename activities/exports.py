"""Exporting: one side's labels become an immutable snapshot.

An export may run twice because it changes nothing in a studio, and the same labels give the same
snapshot. The export is always asked for by the attempt itself, after the attempt began, so what it
shows is at least as new as the request for it (invariant I6).
"""

import asyncio
import os
from datetime import UTC, datetime
from typing import BinaryIO, Protocol

from temporalio import activity

from activities._files import scratch
from activities._snapshots import SnapshotStore
from activities.conversions import Conversions
from labelbridge._threads import in_thread
from labelbridge.azure.assets import resolve_asset
from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.events.exports import Exports as KnownExports
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.model import JobRef, SnapshotRef, Studio, arm_name
from labelbridge.model.steps import Exported, ExportOrder, ShardPlan, SnapshotOrder, VerifyOrder
from labelbridge.registry import Registry
from labelbridge.settings import Settings


class _Job(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def errors(self) -> tuple[str, ...]: ...


def finished(job: _Job, what: str) -> bool:
    """True if the job succeeded, False if it still runs; raises `azure_job_failed` otherwise."""
    if job.status == "succeeded":
        return True
    if job.status in ("notStarted", "running", "cancelling"):
        return False
    reasons = "; ".join(job.errors) or "Azure gave no reason"
    raise LabelbridgeError("azure_job_failed", f"{what} ended as {job.status}: {reasons}")


class Exports:
    """Steps that read labels out of a studio."""

    def __init__(
        self,
        session: AzureSession,
        registry: Registry,
        settings: Settings,
        conversions: Conversions,
        known: KnownExports,
    ) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._snapshots = SnapshotStore(registry)
        self._conversions = conversions
        self._known = known
        self._settings = settings
        self._poll = settings.timing.poll.total_seconds()

    @activity.defn(name="export_labels")
    async def export_labels(self, order: ExportOrder) -> Exported:
        """Export one side and keep it as a snapshot. May run twice: it changes nothing in Azure.

        An export of Azure ML that is too large for one step comes back as a plan of parts.
        """
        if order.studio is Studio.LANGUAGE:
            return Exported(snapshot=await self._language(order))
        return await self._azureml(order)

    @activity.defn(name="verify_language")
    async def verify_language(self, order: VerifyOrder) -> SnapshotRef:
        """Read Language back; `read_back_differs` if labels or gate are not as ordered. Only reads."""
        language = self._session.language(order.project.language_resource)
        seen = await self._language(
            ExportOrder(project=order.project, kind=order.kind, studio=Studio.LANGUAGE, epoch=order.epoch)
        )
        if seen.digest != order.digest:
            raise LabelbridgeError(
                "read_back_differs",
                f"Language holds {seen.labels} labels in {seen.documents} documents that differ from what it was given.",
            )
        project = await language.project(order.project.name)
        if project is None or project.locked is not order.locked:
            raise LabelbridgeError("not_yet", "The gate of Language does not read back as ordered yet.")
        return seen

    async def _language(self, order: ExportOrder) -> SnapshotRef:
        language = self._session.language(order.project.language_resource)
        name, asked_at = order.project.name, datetime.now(UTC)
        job_id = await language.start_export(name, order.trained_model)
        while not finished(job := await language.job(name, "export", job_id), "The export"):
            await asyncio.sleep(self._poll)
        if job.result_url is None:
            raise LabelbridgeError("azure_job_failed", "The export succeeded without a result address.")
        with scratch() as data:
            await language.download_to(job.result_url, data)
            file = await in_thread(lambda: LanguageProjectFile.open(data, f"language export {job_id}"))
            keep = SnapshotOrder(
                project=order.project,
                kind=order.kind,
                side="language",
                epoch=order.epoch,
                categories=file.categories,
                allow_quarantine=order.allow_quarantine,
                sources={"language export": job_id},
                asked_at=asked_at,
            )
            return await self._snapshots.keep(file.rows(), keep, raw=data)

    async def _azureml(self, order: ExportOrder) -> Exported:
        if order.job is None:
            raise LabelbridgeError("not_connected")
        asked_at = datetime.now(UTC)
        with scratch() as file:
            uri, sources = await self._azureml_rows(order.job, file)
            account, container = await self._container(order)
            plan = ShardPlan(
                prefix="",
                keep=SnapshotOrder(
                    project=order.project,
                    kind=order.kind,
                    side="azureml",
                    epoch=order.epoch,
                    allow_quarantine=order.allow_quarantine,
                    sources=sources,
                    asked_at=asked_at,
                ),
                source=uri,
                account=account,
                container=container,
                datastore=await self._only_datastore(order.job, account, container),
            )
            return await self._conversions.convert(file, plan, whole=order.whole)

    async def _azureml_rows(self, job: JobRef, file: BinaryIO) -> tuple[str, dict[str, str]]:
        """Write the JSONL of a fresh Dataset export to `file`; where it came from, and what it was read from."""
        workspace = self._session.workspace(job.workspace)
        ticket = await workspace.start_export(job.name)
        while (summary := await workspace.export_result(ticket)) is None:
            await asyncio.sleep(self._poll)
        name = summary.labeled_asset_name
        version = await workspace.latest_version(name)
        asset = await workspace.data_asset(name, version) if version else None
        if asset is None:
            raise LabelbridgeError("not_yet", f"The exported data asset {name} is not visible yet.")
        place = resolve_asset(
            asset.uri,
            await workspace.datastores(),
            storage_endpoint=self._settings.azure.storage_endpoint,
        )
        blobs = self._session.blobs(place.account)
        sources = {"labeling job": job.resource_id, "data asset": f"{name}:{version}"}
        for path in await _jsonl_blobs(blobs, place.container, place.name):
            head = await blobs.download(place.container, path, file)
            if head is None:
                raise LabelbridgeError("not_yet", f"{path} of the export is not visible yet.")
            _end_line(file)
            sources[path] = head.etag
            await self._known.note(place.account, place.container, path)
        return asset.uri, sources

    async def _only_datastore(self, job: JobRef, account: str, container: str) -> str | None:
        """The datastore that rows must name; None if several reach the container."""
        stores = await self._session.workspace(job.workspace).datastores()
        names = [s.name for s in stores if (s.account, s.container) == (account, container)]
        return names[0] if len(names) == 1 else None

    async def _container(self, order: ExportOrder) -> tuple[str, str]:
        """Account and container of the documents, from the Language project and its resource."""
        language = self._session.language(order.project.language_resource)
        project, account = await asyncio.gather(language.project(order.project.name), language.account())
        if project is None:
            raise LabelbridgeError("project_unknown", data={"project": order.project.name})
        if not account.storage_accounts:
            raise LabelbridgeError("storage_differs", "The Language resource has no storage account.")
        return arm_name(account.storage_accounts[0]), project.container


async def _jsonl_blobs(blobs: Blobs, container: str, path: str) -> list[str]:
    """The JSONL blobs that an asset reaches: the file itself, or those in its (MLTable) folder."""
    if path.endswith(".jsonl"):
        return [path]
    folder = path.rstrip("/") + "/" if path else ""
    return [b.name for b in await blobs.list(container, folder) if b.name.endswith(".jsonl")]


def _end_line(file: BinaryIO) -> None:
    """End the last line of `file`, so that the next blob starts a new one."""
    if file.tell():
        file.seek(-1, os.SEEK_CUR)
        if file.read(1) != b"\n":
            file.write(b"\n")
