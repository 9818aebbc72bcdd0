"""Faults on order, quotas, and how the server ends."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from labelbridge.local.seed import GROUP, WORKSPACE, Tenant
from tests.local.conftest import StartAzure
from tests.local.servers import LabelingJob, LabelingSite, LocalAzure, eventually

GET = f"{WORKSPACE}?api-version=2024-04-01"


@pytest.fixture
def azure(local_azure: LocalAzure) -> Iterator[LocalAzure]:
    yield local_azure
    local_azure.clear_faults()


@pytest.fixture(scope="module")
def job(tenant: Tenant) -> LabelingJob:
    return LabelingSite.make(tenant).job("faults")


def test_a_status_is_answered_in_the_services_shape_as_often_as_ordered(
    azure: LocalAzure, tenant: Tenant
) -> None:
    azure.fault(path_regex="/workspaces/", kind="status", status=503, seconds=1.2, times=2)
    admin = tenant.caller("admin")
    for _ in range(2):
        reply = admin.request("GET", GET, expect=(503,))
        assert reply.code == "ServiceUnavailable"
        assert reply.headers["Retry-After"] == "2"
    admin.request("GET", GET, expect=(200,))
    assert azure.faults()[0]["struck"] == 2


def test_skipped_requests_and_other_methods_pass(azure: LocalAzure, tenant: Tenant) -> None:
    azure.fault(path_regex="/workspaces/", kind="status", skip=1, method="GET", times=1)
    admin = tenant.caller("admin")
    assert admin.request("POST", GET, {}, expect=None).status == 405
    admin.request("GET", GET, expect=(200,))
    admin.request("GET", GET, expect=(503,))


def test_a_reset_before_the_effect_leaves_nothing(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex=r"/items/a.txt/labels", kind="reset_before", times=1)
    before = len(azure.log())
    with pytest.raises(urllib3.exceptions.HTTPError):
        job.label("a.txt", [])
    assert len(azure.log()) == before
    job.label("a.txt", [])


def test_a_reset_after_the_effect_loses_only_the_answer(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex=r"/items/b.txt/labels", kind="reset_after", times=1)
    before = len(azure.log())
    with pytest.raises(urllib3.exceptions.HTTPError):
        job.label("b.txt", [])
    assert len(azure.log()) == before + 1


def test_a_held_request_takes_effect_when_its_fault_is_deleted(azure: LocalAzure, job: LabelingJob) -> None:
    fault = azure.fault(path_regex=r"/items/c.txt/labels", kind="hang", times=1)
    before = len(azure.log())
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(job.label, "c.txt", [])
        eventually(lambda: azure.faults()[0]["held"], lambda count: count == 1)
        assert len(azure.log()) == before
        azure.nobody.request("DELETE", f"/local/faults/{fault}")
        assert held.result(30).status == 200
    assert len(azure.log()) == before + 1


def test_a_held_answer_comes_after_its_effect(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex=r"/items/c.txt/labels", kind="hang_after", times=1)
    before = len(azure.log())
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(job.label, "c.txt", [])
        eventually(lambda: azure.faults()[0]["held"], lambda count: count == 1)
        assert len(azure.log()) == before + 1
        azure.clear_faults()
        assert held.result(30).status == 200


def test_a_held_request_arrives_even_if_its_sender_has_gone(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex=r"/items/a.txt/labels", kind="hang", times=1)
    before = len(azure.log())
    caller = job.site.tenant.caller("ann")
    url = (
        f"/studio/azureml/{'/'.join(WORKSPACE.split('/')[2:5:2])}/{WORKSPACE.split('/')[-1]}/{job.name}/items"
    )
    pool = urllib3.PoolManager(ca_certs=str(caller.place.authority), retries=False)
    headers = {"Authorization": f"Bearer {caller.token('https://management.azure.com').token}"}
    with pytest.raises(urllib3.exceptions.TimeoutError):
        pool.request(
            "PUT",
            f"{caller.place.base_url}{url}/a.txt/labels",
            json={"labels": []},
            headers=headers,
            timeout=urllib3.Timeout(connect=5, read=0.3),
        )
    pool.clear()
    eventually(lambda: azure.faults()[0]["held"], lambda count: count == 1)
    azure.clear_faults()
    eventually(azure.log, lambda entries: len(entries) == before + 1)


def test_a_delay_delays(azure: LocalAzure, tenant: Tenant) -> None:
    azure.fault(path_regex="/workspaces/", kind="delay", seconds=0.3, times=1)
    started = time.monotonic()
    tenant.caller("admin").request("GET", GET, expect=(200,))
    assert time.monotonic() - started >= 0.3


def test_a_dropped_request_never_takes_effect(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex=r"/items/b.txt/labels", kind="drop", seconds=0.1, times=1)
    before = len(azure.log())
    with pytest.raises(urllib3.exceptions.HTTPError):
        job.label("b.txt", [])
    assert len(azure.log()) == before


def test_a_duplicate_takes_effect_twice_and_is_answered_once(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex=r"/items/c.txt/labels", kind="duplicate", seconds=0.1, times=1)
    before = len(azure.log())
    assert job.label("c.txt", []).status == 200
    eventually(azure.log, lambda entries: len(entries) == before + 2)


def test_a_stale_answer_is_the_one_that_was_given_first(azure: LocalAzure, job: LabelingJob) -> None:
    azure.fault(path_regex="/studio/log", kind="stale", seconds=60)
    before = azure.log()
    assert job.label("a.txt", []).status == 200
    assert azure.log() == before
    azure.clear_faults()
    assert len(azure.log()) == len(before) + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"path_regex": "("},
        {"path_regex": "x", "kind": "burn"},
        {"path_regex": "x", "kind": "hang", "a": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(azure: LocalAzure, wrong: dict[str, Any]) -> None:
    azure.nobody.request("POST", "/local/faults", {"kind": "hang", **wrong}, expect=(400,))


def test_a_quota_answers_429_and_says_when_to_come_back(start_azure: StartAzure) -> None:
    azure = start_azure(arm_per_minute=3)
    caller = azure.nobody
    caller.principal = azure.principal("stranger")
    pool = urllib3.PoolManager(ca_certs=str(azure.place.authority), retries=False)
    headers = {"Authorization": f"Bearer {caller.token('https://management.azure.com').token}"}
    statuses = [
        pool.request("GET", azure.place.base_url + path, headers=headers)
        for path in (
            GET,
            GET,
            f"{GROUP}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01",
            GET,
        )
    ]
    assert [answer.status for answer in statuses] == [403, 403, 403, 429]
    assert 1 <= int(statuses[-1].headers["Retry-After"]) <= 60


def test_the_server_ends_when_asked_even_with_open_and_held_requests(start_azure: StartAzure) -> None:
    azure = start_azure()
    azure.fault(path_regex="/subscriptions", kind="hang")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(azure.nobody.request, "GET", GET, expect=None)
        eventually(lambda: azure.faults()[0]["held"], lambda count: count == 1)
        azure.child.stop(grace=8.0)
        assert azure.child._process is not None
        assert azure.child._process.returncode == 0
        held.exception(30)
