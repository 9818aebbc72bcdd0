"""Azure ML: the workspace, its datastores and data assets, and its labeling jobs.

The one module that knows the wire form of `labelingJobs` (2024-04-01-preview, the last version).
Prevents guessing at what a call did: pause and resume say nothing of when they take effect, so they
return nothing and the caller reads the job back.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from azure.core.credentials_async import AsyncTokenCredential

from labelbridge.azure._arm_rest import ArmRest
from labelbridge.azure.assets import resolve_asset
from labelbridge.azure.azureml_models import (
    AssetType,
    DataAsset,
    Datastore,
    ExportSummary,
    ExportTicket,
    LabelingJob,
    WorkspaceInfo,
    asset_from,
    datastore_from,
    job_from,
    summary_from,
    workspace_from,
)
from labelbridge.azure.errors import json_object
from labelbridge.azure.observed import Transport
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import AzureSettings


class Workspace:
    """One Azure ML workspace. `id` is its ARM id."""

    def __init__(
        self,
        workspace_id: str,
        settings: AzureSettings,
        credential: AsyncTokenCredential,
        transport: Transport,
    ) -> None:
        """`transport` is shared and never closed here."""
        self.id = workspace_id
        self._rest = ArmRest(settings, credential, transport)
        self._version = settings.workspace_api_version
        self._labeling_version = settings.labeling_api_version

    async def info(self) -> WorkspaceInfo:
        """The workspace itself; `invalid_request` if there is none."""
        response = await self._rest.call("read the workspace", "GET", self.id, version=self._version)
        return workspace_from(json_object(response))

    async def datastores(self) -> tuple[Datastore, ...]:
        """The workspace's blob datastores; others cannot be labelled from."""
        found = await self._rest.pages("list the datastores", f"{self.id}/datastores", version=self._version)
        return tuple(d for d in map(datastore_from, found) if d is not None)

    async def job(self, name: str) -> LabelingJob | None:
        """The labeling job of this name, or None if there is none."""
        response = await self._labeling(f"read the labeling job {name}", "GET", name, ok=(200, 404))
        if response.status_code == 404:
            return None
        return job_from(name, _properties(response))

    async def jobs(self) -> tuple[LabelingJob, ...]:
        """All labeling jobs of the workspace, as its list shows them."""
        found = await self._rest.pages(
            "list the labeling jobs", f"{self.id}/labelingJobs", version=self._labeling_version
        )
        return tuple(job_from(str(one.get("name") or ""), one.get("properties") or {}) for one in found)

    async def put_job(self, name: str, properties: Mapping[str, Any]) -> LabelingJob:
        """Create or update a labeling job.

        Azure goes on by itself after the answer: poll `job` until `provisioning_state` is
        `Succeeded`. The same PUT twice is the same as once.

        Args:
            name: Name of the job; never to be used again, even after a deletion.
            properties: The whole writable body; `jobType` is added.
        """
        body = {"properties": {"jobType": "Labeling", **properties}}
        what = f"write the labeling job {name}"
        response = await self._labeling(what, "PUT", name, json=body, ok=(200, 201))
        return job_from(name, _properties(response))

    async def delete_job(self, name: str) -> None:
        """Delete a labeling job; no error if it is gone. Its name stays taken."""
        what = f"delete the labeling job {name}"
        await self._labeling(what, "DELETE", name, ok=(200, 202, 204, 404))

    async def pause(self, name: str) -> None:
        """Ask Azure ML to stop labeling in the job. Read the job back: the answer proves nothing."""
        await self._labeling(f"pause the labeling job {name}", "POST", f"{name}/pause", ok=(200, 202))

    async def resume(self, name: str) -> None:
        """Ask Azure ML to let people label in the job; 202 means that it will. Read the job back."""
        await self._labeling(f"resume the labeling job {name}", "POST", f"{name}/resume", ok=(200, 202))

    async def start_export(self, name: str) -> ExportTicket:
        """Start to export the job's labels as a data asset (format `Dataset`, the only way to JSONL)."""
        what = f"export the labels of {name}"
        body = {"format": "Dataset"}
        response = await self._labeling(what, "POST", f"{name}/exportLabels", json=body, ok=(200, 202))
        if response.status_code == 200:
            return ExportTicket(summary=summary_from(json_object(response)))
        location = response.headers.get("Location") or response.headers.get("Azure-AsyncOperation")
        if not location:
            raise LabelbridgeError("unavailable", f"Azure accepted to {what} and did not say where to ask.")
        return ExportTicket(url=location)

    async def export_result(self, ticket: ExportTicket) -> ExportSummary | None:
        """The summary of an export, or None while it runs.

        Raises:
            LabelbridgeError: `azure_job_failed` if the export ended without success.
        """
        if ticket.summary is not None or ticket.url is None:
            return ticket.summary
        what = "read the result of the label export"
        response = await self._rest.call(what, "GET", ticket.url, version=None, ok=(200, 202))
        if response.status_code == 202:
            return None
        body = json_object(response)
        # An asynchronous-operation address answers 200 with a status, a Location with the result itself.
        status = str(body.get("status") or "Succeeded")
        if status in ("Failed", "Canceled"):
            error = body.get("error") or {}
            raise LabelbridgeError(
                "azure_job_failed", f"The label export ended {status}: {error.get('message', '')}"
            )
        result = body.get("properties") if "properties" in body and "labeledAssetName" not in body else body
        return summary_from(result) if status == "Succeeded" and isinstance(result, dict) else None

    async def data_asset(self, name: str, version: str) -> DataAsset | None:
        """One version of a data asset, or None if there is none."""
        path = f"{self._data(name)}/{_segment(version)}"
        what = f"read the data asset {name}:{version}"
        response = await self._rest.call(what, "GET", path, version=self._version, ok=(200, 404))
        return asset_from(name, json_object(response)) if response.status_code == 200 else None

    async def put_data_asset(
        self,
        name: str,
        version: str,
        *,
        uri: str,
        type: AssetType,  # noqa: A002 - the field's own name
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str = "",
    ) -> DataAsset:
        """Register one version of a data asset. Versions are immutable: the same PUT twice is allowed."""
        body = {
            "properties": {
                "dataType": type,
                "dataUri": uri,
                "description": description,
                "isAnonymous": False,
                "isArchived": False,
                "tags": dict(tags or {}),
                "properties": dict(properties or {}),
            }
        }
        path = f"{self._data(name)}/{_segment(version)}"
        what = f"register the data asset {name}:{version}"
        response = await self._rest.call(what, "PUT", path, version=self._version, json=body, ok=(200, 201))
        return asset_from(name, json_object(response))

    async def latest_version(self, name: str) -> str | None:
        """The newest version of a data asset, or None: by number if all are numbers, else by date."""
        what = f"list the versions of {name}"
        path = self._data(name)
        try:
            assets = [asset_from(name, v) for v in await self._rest.pages(what, path, version=self._version)]
        except LabelbridgeError as error:
            if error.data.get("status") == "404":
                return None
            raise
        if not assets:
            return None
        if all(a.version.isdecimal() for a in assets):
            return max((a.version for a in assets), key=int)
        return max(assets, key=lambda a: (a.created_at is not None, a.created_at, a.version)).version

    def _data(self, name: str) -> str:
        return f"{self.id}/data/{_segment(name)}/versions"

    async def _labeling(self, what: str, method: str, path: str, **options: Any) -> Any:
        return await self._rest.call(
            what, method, f"{self.id}/labelingJobs/{path}", version=self._labeling_version, **options
        )


def _segment(name: str) -> str:
    """A name that Azure gave as one segment of an address."""
    if not name.strip("."):
        raise LabelbridgeError("invalid_request", f"{name!r} is no name of a resource.")
    return quote(name, safe="")


def _properties(response: Any) -> dict[str, Any]:
    """The properties of a labeling job; an answer without them tells of no gate."""
    found = json_object(response).get("properties")
    if not isinstance(found, dict) or not found:
        raise LabelbridgeError("unavailable", "Azure ML answered for a labeling job with something else.")
    return found


__all__ = [
    "DataAsset",
    "Datastore",
    "ExportSummary",
    "ExportTicket",
    "LabelingJob",
    "Workspace",
    "WorkspaceInfo",
    "resolve_asset",
]
