"""Azure ML: data assets and labeling jobs, against the local Azure."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from labelbridge.azure.azureml import ExportTicket, LabelingJob, Workspace, resolve_asset
from labelbridge.azure.azureml_models import job_from, summary_from
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import SeededProject
from labelbridge.local.stack import Stack
from tests.conftest import NewProject


def fresh(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:10]}"


async def read(workspace: Workspace, name: str, wanted: Callable[[LabelingJob], bool]) -> LabelingJob:
    while (job := await workspace.job(name)) is None or not wanted(job):
        await asyncio.sleep(0.1)
    return job


def properties(made: SeededProject, data_id: str) -> dict[str, Any]:
    classes = {name: {"displayName": name, "subclasses": {}} for name in made.categories}
    return {
        "dataConfiguration": {"dataId": data_id, "incrementalDataRefresh": "Disabled"},
        "labelCategories": {
            "labels": {"displayName": "labels", "multiSelect": "Disabled", "classes": classes}
        },
        "labelingJobMediaProperties": {"mediaType": "Text", "annotationType": "NamedEntityRecognition"},
        "jobInstructions": {"uri": "https://example.com/how.html"},
        "tags": {"by": "test"},
        "mlAssistConfiguration": {"mlAssist": "Disabled"},
    }


@pytest.fixture
async def job(workspace: Workspace, new_project: NewProject) -> str:
    made = new_project()
    asset = fresh("docs")
    uri = f"azureml://datastores/{made.datastore}/paths/"
    await workspace.put_data_asset(asset, "1", uri=uri, type="uri_folder")
    name = fresh("job")
    await workspace.put_job(name, properties(made, f"{workspace.id}/data/{asset}/versions/1"))
    await read(workspace, name, lambda job: job.provisioning_state == "Succeeded" and job.open)
    return name


async def test_the_workspace_says_its_identity_and_storage(stack: Stack, workspace: Workspace) -> None:
    info = await workspace.info()
    assert (info.name, info.storage_account) == ("contoso-ml", stack.tenant.storage_account)
    assert len(info.principal_ids) == 1


async def test_datastores_name_account_and_container(workspace: Workspace, new_project: NewProject) -> None:
    made = new_project()
    stores = await workspace.datastores()
    mine = next(s for s in stores if s.name == made.datastore)
    assert (mine.container, mine.is_default) == (made.container, False)
    ref = resolve_asset(f"azureml://datastores/{mine.name}/paths/d000.txt", stores)
    assert (ref.container, ref.name) == (made.container, "d000.txt")


async def test_a_data_asset_is_registered_once_and_its_versions_counted_as_numbers(
    workspace: Workspace, new_project: NewProject
) -> None:
    made, name = new_project(), fresh("asset")
    uri = f"azureml://datastores/{made.datastore}/paths/"
    assert await workspace.latest_version(name) is None
    assert await workspace.data_asset(name, "1") is None
    for version in ("1", "2", "10"):
        put = await workspace.put_data_asset(
            name, version, uri=uri, type="uri_folder", tags={"epoch": version}, properties={"p": "q"}
        )
        assert put.version == version
    again = await workspace.put_data_asset(
        name, "10", uri=uri, type="uri_folder", tags={"epoch": "10"}, properties={"p": "q"}
    )
    found = await workspace.data_asset(name, "10")
    assert found is not None
    assert (found.uri, found.tags, found.properties) == (uri, {"epoch": "10"}, {"p": "q"})
    assert again.uri == found.uri
    assert await workspace.latest_version(name) == "10"


async def test_a_labeling_job_is_paused_and_resumed(workspace: Workspace, job: str) -> None:
    made = await workspace.job(job)
    assert made is not None
    assert (made.total, made.completed, made.tags["by"]) == (12, 0, "test")
    assert made.instructions_uri == "https://example.com/how.html"
    await workspace.pause(job)
    await workspace.pause(job)
    paused = await read(workspace, job, lambda seen: seen.gated)
    assert (paused.status, paused.open) == ("Paused", False)
    await workspace.resume(job)
    assert not (await read(workspace, job, lambda seen: seen.open)).gated


async def test_an_export_becomes_a_data_asset(workspace: Workspace, job: str) -> None:
    ticket = await workspace.start_export(job)
    ticket = ExportTicket.model_validate_json(ticket.model_dump_json())
    while (summary := await workspace.export_result(ticket)) is None:
        await asyncio.sleep(0.1)
    assert summary.exported_row_count == 0
    version = await workspace.latest_version(summary.labeled_asset_name)
    assert version is not None
    asset = await workspace.data_asset(summary.labeled_asset_name, version)
    assert asset is not None
    assert resolve_asset(asset.uri, await workspace.datastores()).container


async def test_a_name_is_used_once_even_after_a_deletion(
    workspace: Workspace, job: str, new_project: NewProject
) -> None:
    standing = await workspace.job(job)
    assert standing is not None
    await workspace.delete_job(job)
    await workspace.delete_job(job)
    assert await workspace.job(job) is None
    with pytest.raises(LabelbridgeError) as caught:
        await workspace.put_job(job, properties(new_project(), standing.data_id or ""))
    assert caught.value.code == "invalid_request"


async def test_a_job_that_is_not_there_is_none_and_cannot_be_paused(workspace: Workspace) -> None:
    assert await workspace.job("nobody") is None
    with pytest.raises(LabelbridgeError) as caught:
        await workspace.pause("nobody")
    assert caught.value.data["status"] == "404"


async def test_who_has_no_role_is_forbidden(stack: Stack, stranger: AzureSession) -> None:
    workspace = stranger.workspace(stack.tenant.workspace)
    with pytest.raises(LabelbridgeError) as caught:
        await workspace.pause("any")
    assert caught.value.code == "forbidden"


async def test_a_result_at_another_host_is_not_asked_with_our_token(workspace: Workspace) -> None:
    for url in (
        "https://evil.example/x",
        "http://127.0.0.1:1/x",
        "https://management.azure.com.evil.example/x",
    ):
        with pytest.raises(LabelbridgeError, match="no token is sent"):
            await workspace.export_result(ExportTicket(url=url))


@pytest.mark.parametrize(
    ("status", "archived", "is_open", "gated"),
    [
        ("Running", False, True, False),
        ("Running", True, False, True),
        ("Paused", False, False, True),
        ("Completed", False, False, True),
        ("Preparing", False, False, False),
        ("Unknown", False, False, False),
    ],
)
def test_a_job_on_its_way_is_neither_open_nor_gated(
    status: str, archived: bool, is_open: bool, gated: bool
) -> None:
    job = job_from("j", {"status": status, "isArchived": archived})
    assert (job.open, job.gated) == (is_open, gated)


def test_a_summary_of_another_format_is_read_without_an_asset() -> None:
    summary = summary_from({"format": "CSV", "exportedRowCount": 4, "labelingJobId": "j"})
    assert (summary.labeled_asset_name, summary.exported_row_count) == ("", 4)
