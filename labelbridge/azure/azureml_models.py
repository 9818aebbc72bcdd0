"""What Azure ML answers, as frozen models, and how its JSON is read into them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from labelbridge.model import Model

AssetType = Literal["uri_folder", "uri_file", "mltable"]
"""`dataType` of a data asset."""

_ENDED: Final = frozenset({"Completed", "Failed", "Canceled"})


class WorkspaceInfo(Model):
    """A workspace. `principal_ids` are all its identities: some have only user-assigned ones."""

    id: str
    name: str
    principal_ids: tuple[str, ...]
    storage_account: str
    """ARM id of the workspace's own storage account."""
    location: str


class Datastore(Model):
    """A blob datastore: a name for a container."""

    name: str
    account: str
    container: str
    is_default: bool = False


class LabelingJob(Model):
    """A labeling job. `properties` is the body as it came: what a later PUT must repeat."""

    name: str
    status: str
    provisioning_state: str
    archived: bool
    tags: dict[str, str]
    data_id: str | None
    instructions_uri: str | None
    completed: int
    total: int
    skipped: int
    messages: tuple[str, ...] = ()
    properties: dict[str, Any]

    @property
    def open(self) -> bool:
        """True if people can label: Azure ML takes labels only while a job runs."""
        return self.status == "Running" and not self.archived

    @property
    def gated(self) -> bool:
        """True if nobody can label. Neither this nor `open` holds while the job is on its way."""
        return self.archived or self.status == "Paused" or self.status in _ENDED


class ExportSummary(Model):
    """A finished export: a data asset that points at the rows. Rows are labelled documents."""

    labeled_asset_name: str
    exported_row_count: int
    format: str = "Dataset"
    job: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class ExportTicket(Model):
    """A started export: where to ask for its result, or the result if it came at once."""

    url: str | None = None
    summary: ExportSummary | None = None


class DataAsset(Model):
    """One version of a data asset."""

    name: str
    version: str
    uri: str
    type: str
    properties: dict[str, str]
    tags: dict[str, str]
    created_at: datetime | None = None


def workspace_from(body: Mapping[str, Any]) -> WorkspaceInfo:
    """Read a workspace body."""
    identity = body.get("identity") or {}
    users = (identity.get("userAssignedIdentities") or {}).values()
    principals = [identity.get("principalId"), *(user.get("principalId") for user in users)]
    return WorkspaceInfo(
        id=str(body.get("id") or ""),
        name=str(body.get("name") or ""),
        principal_ids=tuple(p for p in principals if p),
        storage_account=str((body.get("properties") or {}).get("storageAccount") or ""),
        location=str(body.get("location") or ""),
    )


def datastore_from(body: Mapping[str, Any]) -> Datastore | None:
    """Read a datastore body; None if it is not a blob datastore (text labeling takes no other)."""
    properties = body.get("properties") or {}
    if properties.get("datastoreType") != "AzureBlob":
        return None
    return Datastore(
        name=str(body.get("name") or ""),
        account=str(properties.get("accountName") or ""),
        container=str(properties.get("containerName") or ""),
        is_default=bool(properties.get("isDefault")),
    )


def job_from(name: str, properties: Mapping[str, Any]) -> LabelingJob:
    """Read the properties of a labeling job (pause and resume answer with these alone)."""
    progress = properties.get("progressMetrics") or {}
    return LabelingJob(
        name=name,
        status=str(properties.get("status") or "Unknown"),
        provisioning_state=str(properties.get("provisioningState") or ""),
        archived=bool(properties.get("isArchived")),
        tags=dict(properties.get("tags") or {}),
        data_id=(properties.get("dataConfiguration") or {}).get("dataId"),
        instructions_uri=(properties.get("jobInstructions") or {}).get("uri"),
        completed=int(progress.get("completedDatapointCount") or 0),
        total=int(progress.get("totalDatapointCount") or 0),
        skipped=int(progress.get("skippedDatapointCount") or 0),
        messages=tuple(
            f"{m.get('level', '')} {m.get('code', '')}: {m.get('message', '')}".strip()
            for m in properties.get("statusMessages") or ()
        ),
        properties=dict(properties),
    )


def summary_from(body: Mapping[str, Any]) -> ExportSummary:
    """Read an ExportSummary of format Dataset."""
    return ExportSummary(
        labeled_asset_name=str(body.get("labeledAssetName") or ""),
        exported_row_count=int(body.get("exportedRowCount") or 0),
        format=str(body.get("format") or ""),
        job=str(body.get("labelingJobId") or ""),
        started_at=body.get("startDateTime"),
        ended_at=body.get("endDateTime"),
    )


def asset_from(name: str, body: Mapping[str, Any]) -> DataAsset:
    """Read one version of a data asset."""
    properties = body.get("properties") or {}
    return DataAsset(
        name=name,
        version=str(body.get("name") or ""),
        uri=str(properties.get("dataUri") or ""),
        type=str(properties.get("dataType") or ""),
        properties=dict(properties.get("properties") or {}),
        tags=dict(properties.get("tags") or {}),
        created_at=(body.get("systemData") or {}).get("createdAt"),
    )
