"""Language authoring, through the official client, against the local Azure."""

import asyncio
import json
from datetime import timedelta

import pytest

from labelbridge.azure.language import KEEP, Keep, LanguageJob, LanguageResource
from labelbridge.azure.language_models import evaluation_from, job_from, project_from
from labelbridge.azure.session import AzureSession
from labelbridge.azure.transport import effect_deadline
from labelbridge.errors import LabelbridgeError
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.azure.conftest import ArmFault
from tests.conftest import NewProject


async def ended(language: LanguageResource, name: str, kind: str, job_id: str) -> LanguageJob:
    while not (job := await language.job(name, kind, job_id)).done:  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
    return job


async def locked(language: LanguageResource, name: str, wanted: bool) -> None:
    while (project := await language.project(name)) is None or project.locked is not wanted:
        await asyncio.sleep(0.1)


async def test_a_project_is_read_with_all_its_settings(
    language: LanguageResource, new_project: NewProject
) -> None:
    made = new_project(ProjectKind.MULTI_LABEL)
    project = await language.project(made.ref.name)
    assert project is not None
    assert (project.name, project.kind, project.container) == (made.ref.name, made.kind, made.container)
    assert (project.multilingual, project.locked, project.aml_project_path) == (False, False, None)
    assert project.last_modified is not None


async def test_a_project_that_is_not_there_is_none(language: LanguageResource) -> None:
    assert await language.project("nobody") is None
    with pytest.raises(LabelbridgeError) as caught:
        await language.set_gate("nobody", locked=True, aml_project_path=KEEP)
    assert caught.value.code == "project_unknown"


async def test_a_gate_changes_only_the_gate(language: LanguageResource, new_project: NewProject) -> None:
    name = new_project().ref.name
    before = await language.project(name)
    assert before is not None
    await language.create_project(
        name,
        kind=ProjectKind.ENTITIES,
        container=before.container,
        language=before.language,
        settings={"confidenceThreshold": 0.7},
    )
    await language.set_gate(name, locked=True, aml_project_path="/the/job")
    await locked(language, name, True)
    project = await language.project(name)
    assert project is not None
    assert (project.aml_project_path, project.settings["confidenceThreshold"]) == ("/the/job", 0.7)
    await language.set_gate(name, locked=False, aml_project_path=Keep.KEEP)
    await locked(language, name, False)
    project = await language.project(name)
    assert project is not None
    assert (project.aml_project_path, project.settings["confidenceThreshold"]) == ("/the/job", 0.7)


async def test_the_path_to_the_labeling_project_can_be_cleared(
    language: LanguageResource, new_project: NewProject
) -> None:
    name = new_project().ref.name
    await language.set_gate(name, locked=True, aml_project_path="/the/job")
    await language.set_gate(name, locked=False, aml_project_path=None)
    await locked(language, name, False)
    project = await language.project(name)
    assert project is not None
    assert project.aml_project_path is None


async def test_an_export_can_be_imported_again(language: LanguageResource, new_project: NewProject) -> None:
    made = new_project()
    name = made.ref.name
    job = await ended(language, name, "export", await language.start_export(name))
    assert job.succeeded
    assert job.result_url is not None
    data = await language.download(job.result_url)
    file = json.loads(data)
    assert file["assets"]["projectKind"] == made.kind.value
    assert len(file["assets"]["documents"]) == 8
    imported = await ended(language, name, "import", await language.start_import(name, data))
    assert imported.succeeded


async def test_a_failed_job_says_azures_reason(language: LanguageResource, new_project: NewProject) -> None:
    name = new_project().ref.name
    job = await ended(language, name, "export", await language.start_export(name))
    file = json.loads(await language.download(job.result_url or ""))
    file["metadata"]["projectKind"] = ProjectKind.SINGLE_LABEL.value
    failed = await ended(
        language, name, "import", await language.start_import(name, json.dumps(file).encode())
    )
    assert (failed.status, failed.succeeded) == ("failed", False)
    assert "InvalidArgument" in failed.errors[0]


async def test_a_model_is_trained_evaluated_and_deployed(
    language: LanguageResource, new_project: NewProject
) -> None:
    name = new_project(ProjectKind.SINGLE_LABEL, documents=14, labelled=14).ref.name
    assert await language.model(name, "m1") is None
    job_id = await language.start_training(name, model="m1", config_version="latest", train_percent=70)
    job = await ended(language, name, "train", job_id)
    assert job.errors == ()
    assert (job.model_label, job.percent, job.evaluation_percent) == ("m1", 100, 100)
    assert [j.id for j in await language.training_jobs(name)] == [job_id]
    model = await language.model(name, "m1")
    assert model is not None
    assert (model.label, model.last_trained is not None) == ("m1", True)
    figures = await language.evaluation(name, "m1")
    assert {"microF1", "microPrecision", "microRecall", "macroF1"} <= set(figures)
    assert all(0 <= value <= 1 for value in figures.values())
    assert await language.deployment(name, "production") is None
    deployment = await language.deploy(name, "production", "m1")
    while not (job := await language.deployment_job(name, "production", deployment)).done:
        await asyncio.sleep(0.1)
    assert job.succeeded
    deployed = await language.deployment(name, "production")
    assert deployed is not None
    assert deployed.model.startswith("m1")
    exported = await ended(language, name, "export", await language.start_export(name, "m1"))
    assert exported.succeeded


async def test_a_training_can_be_cancelled(language: LanguageResource, new_project: NewProject) -> None:
    name = new_project(documents=12, labelled=12).ref.name
    job_id = await language.start_training(name, model="m1", config_version="latest", train_percent=80)
    await language.cancel_training(name, job_id)
    job = await ended(language, name, "train", job_id)
    assert job.status in ("cancelled", "succeeded")


async def test_a_deleted_project_is_gone_when_the_call_returns(
    language: LanguageResource, new_project: NewProject
) -> None:
    name = new_project().ref.name
    await language.delete_project(name)
    assert await language.project(name) is None
    await language.delete_project(name)


async def test_throttling_carries_the_wait(
    language: LanguageResource, new_project: NewProject, fault: ArmFault
) -> None:
    name = new_project().ref.name
    await language.project(name)
    fault(method="POST", path_regex=f"{name}/:export", kind="status", status=429, seconds=13, times=1)
    with pytest.raises(LabelbridgeError) as caught:
        await language.start_export(name)
    assert (caught.value.code, caught.value.retry_after) == ("throttled", timedelta(seconds=13))
    assert await language.start_export(name)


async def test_an_answer_lost_after_the_effect_is_passing_and_can_be_repeated(
    language: LanguageResource, new_project: NewProject, fault: ArmFault
) -> None:
    name = new_project().ref.name
    await language.project(name)
    fault(method="PATCH", path_regex=f"/projects/{name}", kind="reset_after", times=1)
    with pytest.raises(LabelbridgeError) as caught:
        await language.set_gate(name, locked=True, aml_project_path=KEEP)
    assert caught.value.code == "unavailable"
    await language.set_gate(name, locked=True, aml_project_path=KEEP)
    await locked(language, name, True)


async def test_a_late_gate_is_not_sent(language: LanguageResource, new_project: NewProject) -> None:
    name = new_project().ref.name
    with effect_deadline(0), pytest.raises(LabelbridgeError) as caught:
        await language.set_gate(name, locked=True, aml_project_path=KEEP)
    assert caught.value.code == "deadline_passed"
    project = await language.project(name)
    assert project is not None
    assert not project.locked


async def test_without_a_token_in_time_it_is_the_deadline_not_a_refusal(stack: Stack) -> None:
    with stack.acting_as("worker"):
        async with AzureSession(stack.settings("worker")) as fresh:
            with effect_deadline(0), pytest.raises(LabelbridgeError) as caught:
                await fresh.language(stack.tenant.language_resource).project("any")
    assert caught.value.code == "deadline_passed"


async def test_no_token_is_sent_to_another_host(language: LanguageResource) -> None:
    with pytest.raises(LabelbridgeError, match="no token is sent"):
        await language.download("https://evil.example/language/result?x=1")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "x" * 51, "a b", "ä", "a\n"])
async def test_a_name_cannot_leave_its_path(language: LanguageResource, name: str) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await language.start_export(name)
    assert caught.value.code == "invalid_request"


async def test_who_has_no_role_is_forbidden(stranger: AzureSession, stack: Stack) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await stranger.language(stack.tenant.language_resource).project("any")
    assert caught.value.code == "forbidden"


def test_job_states_that_the_sdk_never_ends_on_are_ends() -> None:
    ends = {"succeeded", "failed", "cancelled", "canceled", "partiallyCompleted"}
    assert all(job_from({"jobId": "1", "status": status}).done for status in ends)
    assert not any(
        job_from({"status": s}).done for s in ("running", "notStarted", "cancelling", "", "new in 2030")
    )


def test_a_project_of_another_kind_is_read_without_a_kind() -> None:
    project = project_from({"projectName": "h", "projectKind": "CustomHealthcare", "settings": None})
    assert (project.kind, project.kind_name, project.locked) == (None, "CustomHealthcare", False)


def test_an_evaluation_keeps_only_the_overall_figures() -> None:
    part = {"entities": {"A": {"f1": 1}}, "microF1": 0.5, "macroF1": 1, "confusionMatrix": {}}
    body = {"projectKind": "CustomEntityRecognition", "customEntityRecognitionEvaluation": part}
    assert evaluation_from(body) == {"microF1": 0.5, "macroF1": 1.0}
    assert evaluation_from({"evaluationOptions": {}}) == {}
