"""No name, whoever gave it, sends a request or a token to another host, container, resource or project."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labelbridge.azure._arm_rest import ArmRest
from labelbridge.azure._language_calls import job_id_of, part, plain
from labelbridge.azure.assets import resolve_asset
from labelbridge.azure.azureml import Datastore, Workspace
from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.model import BlobRef, JobRef, ProjectRef, arm_id
from labelbridge.settings import AzureSettings
from tests.azure.nasty import NASTY, Credential, Recorder, reached, taken

ENDPOINT = "https://{account}.blob.core.windows.net"
GROUP = "/subscriptions/0-0/resourceGroups/labeling"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/contoso-ml"
REFUSED = ("invalid_request", "unavailable", "input_invalid")
Call = Callable[[Blobs, str, str], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "read": lambda blobs, container, name: blobs.read(container, name),
    "create": lambda blobs, container, name: blobs.create(container, name, b"x"),
    "replace": lambda blobs, container, name: blobs.replace(container, name, b"x", "0x1"),
    "exists": lambda blobs, container, name: blobs.exists(container, name),
    "delete": lambda blobs, container, name: blobs.delete(container, name),
    "list": lambda blobs, container, name: blobs.list(container, name),
    "container": lambda blobs, container, _: blobs.ensure_container(container),
}


RUNNER = asyncio.Runner()
"""One loop for all examples: making one for each takes most of the time."""


@functools.cache
def _clients(account: str) -> tuple[Blobs, Recorder]:
    recorder = Recorder()
    return Blobs(account, ENDPOINT, Credential(), recorder), recorder  # type: ignore[arg-type]


def _blobs(account: str = "contosodata") -> tuple[Blobs, Recorder]:
    blobs, recorder = _clients(account)
    recorder.urls.clear()
    return blobs, recorder


def _tried(call: Awaitable[Any]) -> None:
    """Run a call that reaches nobody; anything but a typed error is a bug."""

    async def run() -> None:
        with pytest.raises(LabelbridgeError) as caught:
            await call
        assert caught.value.code in REFUSED

    RUNNER.run(run())


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=40)
@given(container=st.just("letters") | NASTY, name=NASTY)
@example(container="letters", name="../records/projects/record.json")
@example(container="letters", name="a\\..\\..\\records\\x")
@example(container="letters/..", name="x")
@example(container="letters?restype=container", name="x")
def test_a_blobs_name_and_a_containers_stay_within_their_account_and_container(
    call: str, container: str, name: str
) -> None:
    blobs, recorder = _blobs()
    _tried(CALLS[call](blobs, container, name))
    for url in recorder.urls:
        assert url.raw_host == "contosodata.blob.core.windows.net"
        assert url.raw_fragment == ""
        assert (reached(url) + "/").startswith(f"/{container}/")
        assert set(url.query) <= {"restype", "comp", "maxresults", "prefix"}


@given(account=NASTY)
@example(account="evil.example/")
@example(account="evil.example#")
@example(account="evil.example?x=")
@example(account="user:x@evil.example/")
def test_an_accounts_name_names_no_other_host(account: str) -> None:
    made = taken(lambda: _blobs(account), "invalid_request")
    if made is None:
        return
    blobs, recorder = made
    _tried(blobs.read("letters", "a.txt"))
    (url,) = recorder.urls
    assert url.raw_host == f"{account}.blob.core.windows.net"
    assert reached(url) == "/letters/a.txt"


@given(account=NASTY, container=NASTY, name=NASTY)
def test_what_a_request_may_name_as_a_blob_is_what_the_client_would_send(
    account: str, container: str, name: str
) -> None:
    try:
        ref = BlobRef(account=account, container=container, name=name)
    except ValueError:
        return
    blobs, recorder = _blobs(ref.account)
    _tried(blobs.read(ref.container, ref.name))
    assert len(recorder.urls) == 1


ARM_IDS = st.lists(NASTY, min_size=3, max_size=3).map(
    lambda p: f"/subscriptions/{p[0]}/resourceGroups/{p[1]}/providers/Microsoft.X/y/{p[2]}"
)


@given(resource=NASTY | ARM_IDS, name=st.just("job-1") | NASTY)
@example(resource=f"{WORKSPACE}/computes/gpu?x=", name="job-1")
@example(resource=f"{WORKSPACE}/..", name="job-1")
@example(resource=f"{WORKSPACE}\n", name="job-1")
@example(resource=f"{WORKSPACE}%2f..%2fother", name="job-1")
@example(resource=WORKSPACE, name="../computes/gpu")
def test_a_labeling_job_is_written_below_its_workspace_and_nowhere_else(resource: str, name: str) -> None:
    try:
        job = JobRef(workspace=resource, name=name)
    except ValueError:
        return
    recorder = Recorder()
    workspace = Workspace(job.workspace, AzureSettings(), Credential(), recorder)  # type: ignore[arg-type]
    _tried(workspace.put_job(job.name, {}))
    (url,) = recorder.urls
    assert url.raw_host == "management.azure.com"
    assert reached(url) == f"{resource.rstrip('/')}/labelingJobs/{name}"
    assert set(url.query) == {"api-version"}
    assert url.raw_fragment == ""


@given(asset=NASTY, version=NASTY)
def test_a_data_assets_name_and_version_stay_their_own_segments(asset: str, version: str) -> None:
    recorder = Recorder()
    workspace = Workspace(WORKSPACE, AzureSettings(), Credential(), recorder)  # type: ignore[arg-type]
    _tried(workspace.data_asset(asset, version))
    for url in recorder.urls:
        before, _, after = url.raw_path.partition("/data/")
        assert before == WORKSPACE
        assert [part for part in after.split("/") if part not in (".", "..")][1:2] == ["versions"]
        assert len(after.split("/")) == 3


@given(value=NASTY | ARM_IDS)
def test_an_arm_id_has_no_part_that_an_address_would_read_otherwise(value: str) -> None:
    try:
        found = arm_id(value)
    except ValueError:
        return
    assert not {*found} & {*"?#%\\@:;&= \n\t\0"}
    assert not {".", ".."} & {*found.split("/")}


@given(link=NASTY | NASTY.map("https://management.azure.com".__add__))
@example(link="https://management.azure.com@evil.example/")
@example(link="https://management.azure.com.evil.example/")
@example(link="https://evil.example#.management.azure.com/")
@example(link="https://evil.example\\.management.azure.com/")
def test_an_address_that_arm_gave_is_arms_own_or_is_not_asked(link: str) -> None:
    recorder = Recorder()
    rest = ArmRest(AzureSettings(), Credential(), recorder)  # type: ignore[arg-type]
    _tried(rest.call("follow a link", "GET", link, version=None))
    for url in recorder.urls:
        assert url.raw_host is not None
        assert url.raw_host == "management.azure.com" or url.raw_host.endswith(".management.azure.com")
        assert url.scheme == "https"


@given(name=NASTY)
def test_a_projects_a_models_and_a_jobs_name_are_one_segment_of_an_address(name: str) -> None:
    for within in (plain, part):
        found = taken(lambda: within(name), "invalid_request")  # noqa: B023 - called at once
        if found is None:
            continue
        assert found.strip(".")
        assert not {*found} & {*"/\\?#@:; \n\0"}


@given(location=NASTY | NASTY.map("https://x.example/projects/p/export/jobs/".__add__))
def test_where_a_service_says_a_job_is_names_one_job(location: str) -> None:
    try:
        found = part(job_id_of({"operation-location": location}))
    except (LabelbridgeError, ValueError):
        return
    assert found.strip(".")
    assert "/" not in found


@given(
    uri=NASTY
    | NASTY.map("azureml://datastores/store/paths/".__add__)
    | NASTY.map("https://contosodata.blob.core.windows.net/letters/".__add__)
    | NASTY.map(lambda text: f"wasbs://letters@{text}.blob.core.windows.net/a.jsonl")
    | NASTY.map(lambda text: f"https://{text}.blob.core.windows.net/letters/a.jsonl")
)
@example(uri="wasbs://letters@evil#x.blob.core.windows.net/a.jsonl")
@example(uri="https://evil?.blob.core.windows.net/letters/a.jsonl")
@example(uri="azureml://datastores/store/paths/a\\..\\..\\records")
def test_a_data_assets_address_gives_a_place_that_the_client_would_send(uri: str) -> None:
    stores = (Datastore(name="store", account="contosodata", container="letters"),)
    ref = taken(lambda: resolve_asset(uri, stores), "invalid_request")
    if ref is None:
        return
    blobs, recorder = _blobs(ref.account)
    _tried(blobs.read(ref.container, ref.name or "folder"))
    assert recorder.urls[0].raw_host == f"{ref.account}.blob.core.windows.net"


@given(name=NASTY)
def test_a_projects_key_is_one_segment_whatever_the_project_and_its_resource_are_called(name: str) -> None:
    try:
        ref = ProjectRef(
            language_resource=f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/c", name=name
        )
    except ValueError:
        return
    assert "/" not in ref.key
    assert ref.key.strip(".")
