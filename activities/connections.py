"""Making and retiring a labeling job: the steps that only connect and disconnect have.

Each may run twice because ARM's PUT names what it makes, and names come from the connect itself.
"""

import hashlib

from temporalio import activity

from activities.deliveries import OWN_FOLDER
from labelbridge.azure.azureml import LabelingJob
from labelbridge.azure.session import AzureSession
from labelbridge.drift import PROJECT_TAG
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.model import JobRef, ProjectKind
from labelbridge.model.steps import JobMade, JobOrder, LabelingJobState
from labelbridge.registry import Registry

OWNER_TAG = "labelbridge-operation"
"""Tag that says which connect made a labeling job, so that a repeated PUT knows its own."""


class Connections:
    """Steps on the labeling job itself."""

    def __init__(self, session: AzureSession, registry: Registry) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry

    @activity.defn(name="create_job")
    async def create_job(self, order: JobOrder) -> JobMade:
        """Create data asset and labeling job. May run twice: both are PUT by name, and tagged ours.

        Raises `job_claimed` if a labeling job of this name exists that this connect did not make.
        """
        job = order.request.job
        workspace = self._session.workspace(job.workspace)
        standing = await workspace.job(job.name)
        if standing is not None and standing.tags.get(OWNER_TAG) != order.operation_id:
            raise LabelbridgeError("job_claimed", f"The workspace has a labeling job {job.name} already.")
        asset = f"labelbridge-{job.name}-documents"
        await workspace.put_data_asset(
            asset,
            "1",
            uri=f"azureml://datastores/{order.datastore}/paths/",
            type="uri_folder",
            tags={"labelbridge": order.project.key},
            properties={},
            description=f"Documents of {order.project.name}.",
        )
        data_id = f"{job.workspace}/data/{asset}/versions/1"
        instructions = await self._put_instructions(order)
        if standing is None:
            await workspace.put_job(job.name, await self._properties(order, data_id, instructions))
        return JobMade(data_asset=data_id, instructions_uri=instructions)

    @activity.defn(name="job_state")
    async def job_state(self, job: JobRef) -> LabelingJobState:
        """How far the labeling job is. May run twice: it only reads."""
        found = await self._session.workspace(job.workspace).job(job.name)
        if found is None:
            raise LabelbridgeError("not_yet", f"Labeling job {job.name} is not visible yet.")
        if found.provisioning_state in ("Failed", "Canceled"):
            raise LabelbridgeError(
                "azure_job_failed",
                f"Labeling job {job.name}: provisioning ended as {found.provisioning_state}.",
            )
        return LabelingJobState(provisioned=found.provisioning_state == "Succeeded", status=found.status)

    @activity.defn(name="retire_job")
    async def retire_job(self, job: JobRef) -> None:
        """Pause and archive a labeling job. May run twice: both are absolute states.

        The job is not deleted: its labels may be all that somebody has. That it never connects again
        is held by its claim, not by its existence.
        """
        workspace = self._session.workspace(job.workspace)
        found = await workspace.job(job.name)
        if found is None:
            return
        if not found.gated:
            await workspace.pause(job.name)
        if not found.archived:
            await workspace.put_job(job.name, {**_writable(found), "isArchived": True})
        seen = await workspace.job(job.name)
        if seen is not None and not (seen.gated and seen.archived):
            raise LabelbridgeError("not_yet", f"Labeling job {job.name} does not read back as retired yet.")

    async def _put_instructions(self, order: JobOrder) -> str | None:
        """ARM takes instructions as a link only, so the text becomes a blob beside the documents."""
        text = order.request.instructions
        if not text:
            return None
        workspace = self._session.workspace(order.request.job.workspace)
        store = next(s for s in await workspace.datastores() if s.name == order.datastore)
        blobs = self._session.blobs(store.account)
        data = text.encode()
        # Not .txt: the job's data asset covers the container, and every .txt in it is taken for a document.
        path = f"{OWN_FOLDER}{order.request.job.name}/instructions-{hashlib.sha256(data).hexdigest()[:16]}.md"
        await blobs.create(order.container, path, data)
        return blobs.url(order.container, path)

    async def _properties(self, order: JobOrder, data_id: str, instructions: str | None) -> dict[str, object]:
        with await self._registry.open_raw(order.template) as data:
            categories = LanguageProjectFile.open(data, order.template).categories
        entities = order.kind is ProjectKind.ENTITIES
        multi = order.kind is ProjectKind.MULTI_LABEL
        tags = {OWNER_TAG: order.operation_id, PROJECT_TAG: order.project.key}
        if order.request.vendor:
            tags["labelbridge-vendor"] = order.request.vendor
        properties: dict[str, object] = {
            "jobType": "Labeling",
            "displayName": order.request.job.name,
            "description": f"Labels of the Language project {order.project.name}.",
            "tags": tags,
            "properties": {},
            "experimentName": "Default",
            "isArchived": False,
            "dataConfiguration": {"dataId": data_id, "incrementalDataRefresh": "Disabled"},
            "labelCategories": {
                "labels": {
                    "displayName": "labels",
                    "multiSelect": "Enabled" if multi or entities else "Disabled",
                    "classes": {c: {"displayName": c, "subclasses": {}} for c in categories},
                }
            },
            "labelingJobMediaProperties": {
                "mediaType": "Text",
                "annotationType": "NamedEntityRecognition" if entities else "Classification",
            },
            "mlAssistConfiguration": {"mlAssist": "Disabled"},
        }
        if instructions:
            properties["jobInstructions"] = {"uri": instructions}
        return properties


def _writable(job: LabelingJob) -> dict[str, object]:
    """The properties of a job that a PUT may carry, as they stand."""
    read_only = (
        "status",
        "provisioningState",
        "progressMetrics",
        "projectId",
        "statusMessages",
        "createdDateTime",
    )
    return {name: value for name, value in job.properties.items() if name not in read_only}
