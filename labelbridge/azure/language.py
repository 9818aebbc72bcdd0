"""Language authoring for one resource: projects, jobs, models, deployments.

Prevents a gate that costs something else: a lock that is set with a partial body could lose the
project's other settings on a server that replaces them, so all of them are sent; and it prevents
waiting for ever on a job, because jobs are started without the SDK's pollers (see `_language_calls`)
and read one state at a time.
"""

import asyncio
from collections.abc import Mapping
from enum import Enum
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceNotFoundError

from labelbridge.azure._language_calls import (
    LanguageCalls,
    begun,
    job_id_of,
    json_body,
    operation_job,
    part,
    plain,
)
from labelbridge.azure.errors import azure_errors, json_object
from labelbridge.azure.language_models import (
    Deployment,
    JobKind,
    LanguageJob,
    LanguageModel,
    LanguageProject,
    evaluation_from,
    job_from,
    project_from,
)
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.split import Split, evaluation_options
from labelbridge.model import ProjectKind

STRING_INDEX = "Utf16CodeUnit"
"""The only `stringIndexType` of the authoring API."""


class Keep(Enum):
    """Says that a setting is to stay as it is, where None means that it is to be cleared."""

    KEEP = "keep"


KEEP = Keep.KEEP


class LanguageResource(LanguageCalls):
    """Projects, jobs, models and deployments of one Language resource."""

    async def project(self, name: str) -> LanguageProject | None:
        """The project of this name, or None if there is none."""
        client = await self.resource_client()
        async with azure_errors(f"read the project {name}"):
            try:
                # `cls` hands over the JSON itself: the SDK's model would drop settings it does not know.
                body = await client.get_project(plain(name), cls=json_body)
            except ResourceNotFoundError:
                return None
            return _one(project_from(body), name)

    async def projects(self) -> tuple[LanguageProject, ...]:
        """All projects of the resource, as its list shows them."""
        client = await self.resource_client()
        async with azure_errors("list the projects"):
            return tuple([project_from(found.as_dict()) async for found in client.list_projects()])

    async def create_project(
        self,
        name: str,
        *,
        kind: ProjectKind,
        container: str,
        language: str,
        description: str = "",
        multilingual: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a project, or update the one of this name (the API does not tell the two apart)."""
        await self._patch(
            name,
            {
                "projectName": name,
                "projectKind": kind.value,
                "storageInputContainerName": container,
                "language": language,
                "multilingual": multilingual,
                "description": description,
                "settings": dict(settings or {}),
            },
        )

    async def set_gate(self, name: str, *, locked: bool, aml_project_path: str | Keep | None) -> None:
        """Lock or unlock labeling in Language, by merge-patch of the project.

        All current settings are sent with the change, so a server that replaces `settings` loses
        none of them. They are read just before, and that read may be stale: who knows the path should
        give it rather than keep it. Setting the gate twice is the same as once. The answer is no proof
        that the gate took effect: read the project back.

        Args:
            name: Project name.
            locked: What `settings.isLabelingLocked` is to be.
            aml_project_path: What `settings.amlProjectPath` is to be; None clears it (JSON null in a
                merge-patch: our choice, Azure does not document it), `Keep` leaves it.

        Raises:
            LabelbridgeError: `project_unknown` if there is no such project.
        """
        project = await self.project(name)
        if project is None:
            raise LabelbridgeError("project_unknown", f"Language has no project {name}.")
        settings = {**project.settings, "isLabelingLocked": locked}
        if not isinstance(aml_project_path, Keep):
            settings["amlProjectPath"] = aml_project_path
        await self._patch(
            name,
            {
                "projectName": project.name,
                "projectKind": project.kind_name,
                "storageInputContainerName": project.container,
                "language": project.language,
                "multilingual": project.multilingual,
                "description": project.description,
                "settings": settings,
            },
        )

    async def delete_project(self, name: str) -> None:
        """Delete the project and wait until its deletion job has ended; no error if it is gone.

        Waits without a bound of its own: the caller's time-out ends it.
        """
        response = await self.request(f"delete the project {name}", "DELETE", plain(name), ok=(202, 404))
        if response.status_code == 404:
            return
        job = job_id_of(response.headers)
        while True:
            response = await self.request(
                f"read the deletion of {name}", "GET", f"global/deletion-jobs/{part(job)}", ok=(200, 404)
            )
            state = job_from(json_object(response)) if response.status_code == 200 else None
            if state is None and await self.project(name) is None:
                return
            if state is not None and state.done:
                if state.succeeded:
                    return
                raise LabelbridgeError(
                    "azure_job_failed", f"Deleting {name} ended {state.status}: {'; '.join(state.errors)}"
                )
            await asyncio.sleep(self.settings.timing.poll.total_seconds())

    async def start_export(self, name: str, trained_model: str | None = None) -> str:
        """Start to export the project (or what a model was trained on); returns the job's id."""
        client = await self.project_client(name)
        async with azure_errors(f"start to export the project {name}"):
            return await begun(
                client.project.begin_export(
                    string_index_type=STRING_INDEX,
                    trained_model_label=trained_model,
                    polling=False,
                    cls=operation_job,
                )
            )

    async def start_import(self, name: str, file: bytes | BinaryIO) -> str:
        """Start to import a project file (JSON); it replaces the project. Returns the job's id.

        A file is sent from its start, as a stream, and closed.
        """
        client = await self.project_client(name)
        async with azure_errors(f"start to import the project {name}"):
            return await begun(
                client.project.begin_import(
                    _stream(file), content_type="application/json", polling=False, cls=operation_job
                )
            )

    async def start_training(
        self, name: str, *, model: str, config_version: str, train_percent: int, manual: bool = False
    ) -> str:
        """Start to train `model` on `train_percent` of the documents; returns the job's id.

        `manual`: on the documents that are assigned to Train instead, tested on those in Test.
        """
        split = Split.KEEP if manual else Split.SERVICE
        body = {
            "modelLabel": model,
            "trainingConfigVersion": config_version,
            "evaluationOptions": evaluation_options(split, 100 - train_percent),
        }
        # Not `begin_train`: it parses the body of the 202, which is empty.
        response = await self.request(
            f"start to train {model} of the project {name}",
            "POST",
            f"{plain(name)}/:train",
            json=body,
            ok=(202,),
        )
        return job_id_of(response.headers)

    async def job(self, name: str, kind: JobKind, job_id: str) -> LanguageJob:
        """The state of a job now. The service keeps jobs for seven days."""
        path = f"{plain(name)}/{kind}/jobs/{part(job_id)}"
        response = await self.request(f"read the {kind} job of {name}", "GET", path)
        return job_from(json_object(response))

    async def training_jobs(self, name: str) -> tuple[LanguageJob, ...]:
        """All training jobs of the project that the service still knows."""
        client = await self.project_client(name)
        async with azure_errors(f"list the training jobs of {name}"):
            return tuple([job_from(dict(job)) async for job in client.project.list_training_jobs()])

    async def cancel_training(self, name: str, job_id: str) -> None:
        """Ask the service to cancel a training job; no error if the job is gone."""
        path = f"{plain(name)}/train/jobs/{part(job_id)}/:cancel"
        await self.request(f"cancel the training of {name}", "POST", path, ok=(202, 404))

    async def download(self, result_url: str) -> bytes:
        """The bytes of a finished export; see `download_to`."""
        file = BytesIO()
        await self.download_to(result_url, file)
        return file.getvalue()

    async def download_to(self, result_url: str, file: BinaryIO) -> None:
        """Write a finished export to `file`. The address must be of this resource: it is sent our token."""
        endpoint = await self.base()
        if not _same_origin(result_url, endpoint):
            raise LabelbridgeError(
                "invalid_request",
                f"The export's result is at another host than {endpoint}: no token is sent there.",
            )
        response = await self.request("download the export", "GET", result_url, stream=True)
        async with azure_errors("download the export"), response:
            async for block in response.iter_bytes():
                file.write(block)

    async def model(self, name: str, label: str) -> LanguageModel | None:
        """The trained model, or None if there is none of this label."""
        client = await self.project_client(name)
        async with azure_errors(f"read the model {label} of {name}"):
            try:
                body = await client.trained_model.get_trained_model(plain(label), cls=json_body)
            except ResourceNotFoundError:
                return None
            return LanguageModel(
                label=body["label"],
                id=body.get("modelId") or "",
                training_config_version=body.get("modelTrainingConfigVersion") or "",
                last_trained=body.get("lastTrainedDateTime"),
                has_snapshot=bool(body.get("hasSnapshot")),
            )

    async def evaluation(self, name: str, label: str) -> dict[str, float]:
        """Micro and macro F1, precision and recall of a model, each 0 to 1 (`microF1`, …)."""
        client = await self.project_client(name)
        async with azure_errors(f"read the evaluation of {label}"):
            operation = client.trained_model.get_model_evaluation_summary
            return evaluation_from(await operation(plain(label), cls=json_body))

    async def deploy(self, name: str, deployment: str, model: str) -> str:
        """Start to deploy a model; returns the job's id."""
        client = await self.project_client(name)
        async with azure_errors(f"start to deploy {model} as {deployment}"):
            return await begun(
                client.deployment.begin_deploy_project(
                    plain(deployment), {"trainedModelLabel": model}, polling=False, cls=operation_job
                )
            )

    async def deployment_job(self, name: str, deployment: str, job_id: str) -> LanguageJob:
        """The state of a deployment job now."""
        path = f"{plain(name)}/deployments/{plain(deployment)}/jobs/{part(job_id)}"
        response = await self.request(f"read the deployment job of {deployment}", "GET", path)
        return job_from(json_object(response))

    async def deployment(self, name: str, deployment: str) -> Deployment | None:
        """The deployment, or None if there is none of this name."""
        client = await self.project_client(name)
        async with azure_errors(f"read the deployment {deployment} of {name}"):
            try:
                body = await client.deployment.get_deployment(plain(deployment), cls=json_body)
            except ResourceNotFoundError:
                return None
            return Deployment(
                name=body["deploymentName"],
                model=body.get("modelId") or "",
                deployed_at=body.get("lastDeployedDateTime"),
            )

    async def _patch(self, name: str, body: dict[str, Any]) -> None:
        client = await self.resource_client()
        async with azure_errors(f"write the project {name}"):
            await client.create_project(plain(name), body)


def _one(found: LanguageProject, name: str) -> LanguageProject:
    """`found` if it is the project that was asked for: an answer without its name tells of no gate."""
    if found.name.casefold() != name.casefold():
        raise LabelbridgeError("unavailable", f"Language answered for {name} with something else.")
    return found


def _same_origin(a: str, b: str) -> bool:
    try:
        return urlsplit(a)[:2] == urlsplit(b)[:2]
    except ValueError:  # what is no address is at no host of ours
        return False


def _stream(file: bytes | BinaryIO) -> BinaryIO:
    if isinstance(file, bytes):
        return BytesIO(file)
    file.seek(0)
    return file


__all__ = [
    "KEEP",
    "Deployment",
    "Keep",
    "LanguageJob",
    "LanguageModel",
    "LanguageProject",
    "LanguageResource",
]
