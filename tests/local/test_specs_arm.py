"""Replays the published request and response shapes of ARM and of labeling jobs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from labelbridge.local.api import LABELING_VERSION, Reply
from labelbridge.local.rbac import ROLES
from labelbridge.local.seed import GROUP, LANGUAGE_RESOURCE, WORKSPACE, Tenant
from tests.local.servers import LabelingJob, LabelingSite, eventually


def load(shared: Path, name: str) -> Any:
    return json.loads((shared / "azure" / "specs" / name).read_text(encoding="utf-8"))


def differences(wanted: Any, found: Any, where: str = "") -> list[str]:
    """Keys of `wanted` that are missing in `found` or have another JSON type; more keys are no matter."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [f"{where}: no object"]
        missing = [f"{where}.{key}: missing" for key in wanted if key not in found]
        inner = [
            line
            for key in wanted
            if key in found
            for line in differences(wanted[key], found[key], f"{where}.{key}")
        ]
        return missing + inner
    if isinstance(wanted, list):
        if not isinstance(found, list) or (wanted and not found):
            return [f"{where}: no list, or an empty one"]
        return [line for one in found for line in differences(wanted[0], one, where)] if wanted else []
    if wanted is None:
        return []
    same = isinstance(found, type(wanted)) or (
        isinstance(wanted, int | float) and isinstance(found, int | float)
    )
    return [] if same else [f"{where}: {type(found).__name__} instead of {type(wanted).__name__}"]


@pytest.fixture(scope="module")
def site(tenant: Tenant) -> LabelingSite:
    return LabelingSite.make(tenant)


@pytest.fixture(scope="module")
def replayed(site: LabelingSite, shared: Path) -> tuple[LabelingJob, Reply, Any]:
    """The published PUT, sent with this tenant's data asset; the job, the reply and the fixture."""
    fixture = load(shared, "aml-labelingjobs/createOrUpdate.json")
    body = fixture["request"]["body"]
    body["properties"]["dataConfiguration"]["dataId"] = site.data_id
    job = LabelingJob(site, "replayed-job")
    reply = job.arm("PUT", body=body, expect=(201,))
    site.tenant.caller("admin").finish_arm(reply.headers["Azure-AsyncOperation"])
    return job, reply, fixture


def test_create_or_update(replayed: tuple[LabelingJob, Reply, Any]) -> None:
    job, reply, fixture = replayed
    assert all(name in reply.headers for name in fixture["response"]["headers"])
    assert differences(fixture["response"]["body"], reply.body) == []
    sent = fixture["request"]["body"]["properties"]
    assert {key: reply.body["properties"][key] for key in sent} == sent
    again = job.arm("PUT", body=fixture["request"]["body"], expect=(200,))
    assert differences(fixture["response"]["body"], again.body) == []


def test_get(replayed: tuple[LabelingJob, Reply, Any], shared: Path) -> None:
    found = replayed[0].arm("GET", expect=(200,)).body
    assert differences(load(shared, "aml-labelingjobs/get.json")["response"]["body"], found) == []
    assert (found["properties"]["status"], found["properties"]["provisioningState"]) == (
        "Running",
        "Succeeded",
    )


def test_list(replayed: tuple[LabelingJob, Reply, Any], shared: Path) -> None:
    url = f"{WORKSPACE}/labelingJobs?api-version={LABELING_VERSION}"
    found = replayed[0].site.tenant.caller("admin").request("GET", url).body
    assert set(found) == {"value", "nextLink"}
    (wanted,) = load(shared, "aml-labelingjobs/list.json")["response"]["body"]["value"]
    shown = next(one for one in found["value"] if one["name"] == replayed[0].name)
    assert differences(wanted, shown) == []


@pytest.mark.parametrize(("action", "status"), [("pause", "Paused"), ("resume", "Running")])
def test_pause_and_resume(
    replayed: tuple[LabelingJob, Reply, Any], shared: Path, action: str, status: str
) -> None:
    job = replayed[0]
    found = job.arm("POST", f"/{action}", expect=(200,)).body
    wanted = load(shared, f"aml-labelingjobs/{action}.json")["response"]["body"]
    assert differences(wanted, found) == []
    assert found["status"] == status
    eventually(job.status, lambda shown: shown == status)


@pytest.mark.parametrize("format_", ["Dataset", "CSV"])
def test_export_labels(replayed: tuple[LabelingJob, Reply, Any], shared: Path, format_: str) -> None:
    fixture = load(shared, "aml-labelingjobs/exportLabels.json")
    job = replayed[0]
    asked = job.arm("POST", "/exportLabels", {"format": format_}, expect=(202,))
    assert all(name in asked.headers for name in fixture["response_202"]["headers"])
    assert re.fullmatch(
        r"https://[^/]+/subscriptions/[^/]+/providers/[^/]+/locations/[^/]+/mfeOperationResults/[^/]+\?.+",
        asked.headers["Location"],
    )
    done = job.site.tenant.caller("admin").finish_arm(asked.headers["Location"])
    assert done.status == 200
    assert differences(fixture[f"response_200_{format_}"], done.body) == []
    assert set(done.body) == set(fixture[f"response_200_{format_}"])


def test_delete(site: LabelingSite) -> None:
    job = site.job("to-delete")
    assert job.arm("DELETE", expect=(200,)).body == {}
    assert job.arm("DELETE", expect=(204,)).body == {}


def test_exported_rows_have_the_published_form(site: LabelingSite, shared: Path) -> None:
    job = site.job("rows")
    job.label("a.txt", [{"label": "Person", "offsetStart": 0, "offsetEnd": 3}])
    job.label("b.txt", [])
    rows = [json.loads(line) for line in job.exported_rows(job.export())]
    lines = (shared / "azure/specs/formats/aml-text-ner.jsonl").read_text(encoding="utf-8").splitlines()
    for wanted, found in zip(map(json.loads, lines), rows, strict=True):
        assert set(found) == set(wanted)
        assert found["image_url"].split("/")[0] == wanted["image_url"].split("/")[0] == "AmlDatastore:"
    first = json.loads(lines[0])
    assert differences(first, rows[0]) == []
    assert set(rows[0]["label"][0]) == set(first["label"][0])
    assert rows[1]["label_confidence"] == []


@pytest.mark.parametrize(
    ("fixture", "path"),
    [
        ("cognitive-account-get.json", LANGUAGE_RESOURCE),
        ("workspace-get.json", WORKSPACE),
    ],
)
def test_resources(tenant: Tenant, shared: Path, fixture: str, path: str) -> None:
    found = tenant.caller("admin").request("GET", f"{path}?api-version=2024-04-01").body
    assert differences(load(shared, f"arm/{fixture}")["response"]["body"], found) == []


def test_a_datastore(site: LabelingSite, shared: Path) -> None:
    found = site.ml("GET", f"{WORKSPACE}/datastores/{site.datastore}").body
    assert differences(load(shared, "arm/datastore-get.json")["response"]["body"], found) == []


def test_role_assignments_of_a_scope(tenant: Tenant, shared: Path) -> None:
    fixture = load(shared, "arm/roleAssignments-listForScope.json")
    principal = tenant.principals["worker"].object_id
    filter_ = fixture["request"]["query"]["$filter"]
    filter_ = re.sub(r"'.*'", f"'{principal}'", filter_).replace(" ", "%20")
    scope = fixture["request"]["path"].split("/providers/Microsoft.Authorization")[1]
    url = f"{GROUP}/providers/Microsoft.Authorization{scope}?api-version=2022-04-01&$filter={filter_}"
    found = tenant.caller("admin").request("GET", url).body
    assert differences(fixture["response"]["body"], found) == []
    assert set(found) == {"value", "nextLink"}
    assert {one["properties"]["principalId"] for one in found["value"]} == {principal}


def test_role_guids_are_azures(shared: Path) -> None:
    ours = {name: guid for guid, name in ROLES.items()}
    collected = load(shared, "arm/roles.json")
    assert ours.items() >= collected.items()
    looked_up = {"EventGrid Data Sender", "Key Vault Secrets Officer", "Key Vault Secrets User"}
    assert ours.keys() - collected.keys() == looked_up, "look it up, then add it here"
