"""Projects of the local Language resource: create, change, read, list, delete, and who may."""

import time

import pytest

from labelbridge.local import seed
from labelbridge.local.api import Caller
from tests.local.language.lab import MULTI, NER, SINGLE, STABLE, Lab, classified, project_file, texts, unique

READER, WRITER, OWNER = (f"Cognitive Services Language {name}" for name in ("Reader", "Writer", "Owner"))


def body(name: str, container: str, **more: object) -> dict[str, object]:
    required = {
        "projectName": name,
        "projectKind": NER,
        "storageInputContainerName": container,
        "language": "en-us",
    }
    return required | more


def created(lab: Lab, **more: object) -> str:
    name = unique()
    assert lab.call("PATCH", f"/{name}", body(name, lab.container({}), **more)).status == 201
    return name


def test_a_patch_creates_then_merges(lab: Lab) -> None:
    name = created(lab, settings={"confidenceThreshold": 0.5}, description="old")
    patched = lab.call("PATCH", f"/{name}", {"description": None, "settings": {"isLabelingLocked": True}})
    assert patched.status == 200
    assert patched.body["settings"] == {"confidenceThreshold": 0.5, "isLabelingLocked": True}
    assert "description" not in patched.body
    cleared = lab.call("PATCH", f"/{name}", {"settings": {"amlProjectPath": "x", "isLabelingLocked": None}})
    assert cleared.body["settings"] == {"confidenceThreshold": 0.5, "amlProjectPath": "x"}
    assert lab.call("PATCH", f"/{name}", {"settings": {"amlProjectPath": None}}).body["settings"] == {
        "confidenceThreshold": 0.5
    }


def test_the_stable_version_neither_takes_nor_shows_the_connection_settings(lab: Lab) -> None:
    name = created(lab, settings={"isLabelingLocked": True, "amlProjectPath": "/x"})
    shown = lab.call("GET", f"/{name}", version=STABLE)
    assert shown.body["settings"] == {}
    refused = lab.call("PATCH", f"/{name}", {"settings": {"isLabelingLocked": False}}, version=STABLE)
    assert refused.status == 400
    assert lab.call("GET", f"/{name}").body["settings"]["isLabelingLocked"] is True


@pytest.mark.parametrize("version", ["", "2021-01-01", "latest"])
def test_a_missing_or_unknown_version_is_refused(lab: Lab, version: str) -> None:
    refused = lab.call("GET", "", version=version)
    assert refused.status == 400
    assert refused.headers["x-ms-error-code"] == refused.body["error"]["code"]


@pytest.mark.parametrize(
    "change",
    [
        {"projectKind": SINGLE},
        {"projectKind": "CustomPoetry"},
        {"storageInputContainerName": "elsewhere"},
        {"projectName": "other"},
        {"language": "tlh"},
        {"multilingual": "yes"},
        {"settings": {"isLabelingLocked": "yes"}},
        {"settings": {"confidenceThreshold": 2}},
        {"settings": {"amlProjectPath": 7}},
        {"settings": 7},
    ],
)
def test_a_patch_that_language_would_not_take_is_refused_and_changes_nothing(
    lab: Lab, change: dict[str, object]
) -> None:
    name = created(lab)
    before = lab.call("GET", f"/{name}").body
    assert lab.call("PATCH", f"/{name}", change).status == 400
    assert lab.call("GET", f"/{name}").body == before


@pytest.mark.parametrize("field", ["projectKind", "storageInputContainerName", "language"])
def test_a_new_project_needs_its_required_fields(lab: Lab, field: str) -> None:
    name = unique()
    wanted = body(name, lab.container({}))
    del wanted[field]
    assert lab.call("PATCH", f"/{name}", wanted).status == 400
    assert lab.call("GET", f"/{name}").status == 404


def test_a_new_project_needs_a_container_that_exists_and_an_allowed_name(lab: Lab) -> None:
    assert lab.call("PATCH", "/p1", body("p1", "nosuchcontainer")).status == 400
    for name in ("with%20space", "x" * 51, "a%40b"):
        assert lab.call("PATCH", f"/{name}", {"language": "en"}).status == 400


def test_a_get_shows_the_old_gate_for_a_while_after_it_was_changed(slow_lab: Lab) -> None:
    name = created(slow_lab)
    slow_lab.call("PATCH", f"/{name}", {"settings": {"isLabelingLocked": True}})
    assert "isLabelingLocked" not in slow_lab.call("GET", f"/{name}").body["settings"]
    while "isLabelingLocked" not in slow_lab.call("GET", f"/{name}").body["settings"]:
        time.sleep(0.02)


def test_a_deleted_project_is_gone_and_its_name_stays_taken(lab: Lab) -> None:
    name = created(lab)
    started = lab.call("DELETE", f"/{name}")
    assert "/global/deletion-jobs/" in started.headers["operation-location"]
    assert lab.finish(started)["status"] == "succeeded"
    gone = lab.call("GET", f"/{name}")
    assert (gone.status, gone.code) == (404, "ProjectNotFound")
    container = lab.container({})
    assert lab.call("PATCH", f"/{name}", body(name, container)).status == 409
    assert lab.call("POST", f"/{name}/:import", project_file(name, container)).status == 409
    assert [row["event"] for row in lab.log(name)] == ["opened", "closed"]


def test_lists_are_paged_by_top_skip_and_maxpagesize(lab: Lab) -> None:
    names = {created(lab) for _ in range(3)}
    found, path = [], "?maxpagesize=2"
    page = lab.call("GET", path).body
    while True:
        found += [project["projectName"] for project in page["value"]]
        assert len(page["value"]) <= 2
        if page["nextLink"] is None:
            break
        page = lab.admin.request("GET", page["nextLink"], resource="https://cognitiveservices.azure.com").body
    assert names <= set(found)
    assert len(found) == len(set(found))
    assert len(lab.call("GET", "?top=1").body["value"]) == 1
    assert lab.call("GET", "?skip=100000").body == {"value": [], "nextLink": None}
    assert lab.call("GET", "?top=x").status == 400


def test_each_role_may_do_what_azure_says_and_no_more(lab: Lab) -> None:
    documents = texts(10)
    container = lab.container(documents)
    name = unique()
    file = project_file(name, container, SINGLE, categories=("A", "B"), documents=classified(10))
    reader, writer, owner = lab.principal(READER), lab.principal(WRITER), lab.principal(OWNER)
    nobody = lab.principal()
    assert lab.call("POST", f"/{name}/:import", file, who=reader).status == 403
    assert lab.finish(lab.call("POST", f"/{name}/:import", file, who=writer))["status"] == "succeeded"
    export = f"/{name}/:export?stringIndexType=Utf16CodeUnit"
    assert lab.call("POST", export, who=reader).status == 202
    assert lab.call("POST", export, who=nobody).status == 403
    for caller, status in ((reader, 403), (writer, 202)):
        train = {"modelLabel": "m", "trainingConfigVersion": "latest"}
        started = lab.call("POST", f"/{name}/:train", train, who=caller)
        assert started.status == status
    assert lab.finish(started)["status"] == "succeeded"
    deploy = {"trainedModelLabel": "m"}
    assert lab.call("PUT", f"/{name}/deployments/d", deploy, who=writer).status == 403
    assert lab.finish(lab.call("PUT", f"/{name}/deployments/d", deploy, who=owner))["status"] == "succeeded"
    for path in ("/deployments/d", "/models/m", ""):
        for caller in (nobody, reader, writer):
            refused = lab.call("DELETE", f"/{name}{path}", who=caller)
            assert refused.status == 403
            assert refused.headers["x-ms-error-code"] == refused.body["error"]["code"]
    assert lab.finish(lab.call("DELETE", f"/{name}/deployments/d", who=owner))["status"] == "succeeded"
    assert lab.call("DELETE", f"/{name}/models/m", who=owner).status == 204
    assert lab.finish(lab.call("DELETE", f"/{name}", who=owner))["status"] == "succeeded"


def test_creating_needs_blob_access_of_the_caller(lab: Lab) -> None:
    name, container = unique(), lab.container({})
    owner = lab.principal(OWNER, storage=False)
    assert lab.call("PATCH", f"/{name}", body(name, container), who=owner).status == 403
    assert lab.call("POST", f"/{name}/:import", project_file(name, container, MULTI), who=owner).status == 403


def test_creating_needs_blob_access_of_the_resources_identity(lab: Lab) -> None:
    account = lab.admin.arm("GET", seed.LANGUAGE_RESOURCE, version=seed.ACCOUNTS_VERSION).body
    identity, role = account["identity"]["principalId"], "Storage Blob Data Contributor"
    name, container = unique(), lab.container({})
    scope = f"{seed.GROUP}/providers/Microsoft.Storage/storageAccounts/{seed.DATA_ACCOUNT}"
    seed.revoke(lab.admin, identity, role, scope)
    try:
        refused = lab.call("PATCH", f"/{name}", body(name, container))
        assert refused.status == 403
        assert "identity" in refused.body["error"]["message"]
    finally:
        seed.grant(lab.admin, identity, role, scope)
    assert lab.call("PATCH", f"/{name}", body(name, container)).status == 201


def test_no_token_or_a_token_for_another_service_is_401(lab: Lab) -> None:
    url = f"{lab.endpoint.rstrip('/')}/language/authoring/analyze-text/projects?api-version={STABLE}"
    for_arm = lab.admin.token("https://management.azure.com").token
    for authorization in ("", f"Bearer {for_arm}", "Bearer a.b.c"):
        headers = {"Authorization": authorization}
        reply = Caller(lab.place, None).request("GET", url, headers=headers, expect=None)
        assert (reply.status, reply.code) == (401, "Unauthorized")


def test_the_languages_and_training_configurations_are_listed(lab: Lab) -> None:
    listed = lab.call("GET", f"/global/languages?projectKind={NER}").body["value"]
    assert {"languageName": "German", "languageCode": "de"} in listed
    assert lab.call("GET", "/global/languages").status == 400
    versions = lab.call("GET", f"/global/training-config-versions?projectKind={NER}").body["value"]
    assert [version["trainingConfigVersion"] for version in versions] == ["2022-05-01"]
