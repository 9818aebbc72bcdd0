"""The API does what the command line does: the same acts, the same refusals, on the real stack."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from labelbridge.errors import CATALOGUE
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.seed import DATA_ACCOUNT, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.console.serving import Site
from tests.projects import write_folder

PATIENCE = 300
"""Seconds until an operation is taken for stuck; the longest takes about twenty."""
NAMES = ("tale-one", "tale-two", "tale-three")


@dataclass
class Api:
    """The API as somebody uses it."""

    client: httpx.Client

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """What is there."""
        answer = self.client.get(f"/api/v1{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, *, key: str | None = None, **query: Any) -> httpx.Response:
        """Ask for an act."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post(f"/api/v1{path}", json=body, headers=headers, params=query)

    def refused(self, path: str, body: Any, status: int, code: str, **more: Any) -> dict[str, Any]:
        """The problem of an act that is not done."""
        answer = self.post(path, body, **more)
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), problem
        assert problem["remedy"]
        assert problem["type"] == f"/problems/{code}"
        return problem

    def done(self, path: str, body: Any, **more: Any) -> dict[str, Any]:
        """The operation that was asked for, once it has ended."""
        answer = self.post(path, body, **more)
        assert answer.status_code == 202, answer.text
        assert int(answer.headers["retry-after"]) > 0
        return self.ended(answer.headers["operation-location"])

    def ended(self, location: str) -> dict[str, Any]:
        """The operation at that address, once it has ended; while it runs it says when to look again."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = self.client.get(location)
            assert answer.status_code == 200, answer.text
            seen: dict[str, Any] = answer.json()
            if seen["state"] not in ("queued", "running"):
                assert "retry-after" not in answer.headers
                return seen
            assert int(answer.headers["retry-after"]) > 0
            time.sleep(0.2)
        pytest.fail(f"{location} has not ended: {seen}")


@pytest.fixture(scope="module")
def projects(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Three projects in Language; the first is what the story is about."""
    for name in NAMES:
        folder = write_folder(
            tmp_path_factory.mktemp("api") / name, ProjectKind.ENTITIES, documents=12, labelled=8
        )
        make_project(stack.tenant, folder, name=name)
    return NAMES


@pytest.fixture(scope="module")
def owner(console: Site, projects: tuple[str, ...]) -> Api:
    return Api(console.program("olga"))


@pytest.fixture(scope="module")
def connected(owner: Api, stack: Stack) -> dict[str, Any]:
    """How the connect of the first project ended."""
    job = {"workspace": stack.tenant.workspace, "name": "tale-job"}
    return owner.done("/projects/tale-one/connect", {"job": job, "confirm": "tale-one"}, key="connect-1")


@pytest.fixture(scope="module")
def switched(owner: Api, connected: dict[str, Any]) -> dict[str, Any]:
    """How the switch of the first project ended."""
    return owner.done("/projects/tale-one/switch", {"to": "azureml"}, key="switch-1")


def test_connect_and_switch_run_to_their_end_with_their_steps(
    connected: dict[str, Any], switched: dict[str, Any], owner: Api
) -> None:
    for seen in (connected, switched):
        assert seen["state"] == "committed", seen
        assert seen["actor"]["name"] == "olga"
        assert {step["state"] for step in seen["steps"]} == {"done"}
        assert seen["result"]["operation_id"] == seen["operation_id"]
    status = owner.get("/projects/tale-one")
    assert (status["connected"], status["active"], status["epoch"]) == (True, "azureml", 1)


def test_the_same_key_is_the_same_operation_and_never_another_request(
    switched: dict[str, Any], owner: Api
) -> None:
    again = owner.post("/projects/tale-one/switch", {"to": "azureml"}, key="switch-1")
    assert again.status_code == 202
    assert again.json()["operation_id"] == switched["operation_id"]
    assert again.headers["idempotency-key"] == "switch-1"
    owner.refused("/projects/tale-one/switch", {"to": "language"}, 422, "key_reused", key="switch-1")
    owner.refused("/projects/tale-one/sync", {}, 422, "key_reused", key="switch-1")


def test_a_key_that_was_given_twice_at_once_does_one_thing(switched: dict[str, Any], owner: Api) -> None:
    first = owner.post("/projects/tale-one/sync", {}, key="sync-1")
    second = owner.post("/projects/tale-one/sync", {}, key="sync-1")
    assert first.json()["operation_id"] == second.json()["operation_id"]
    ended = owner.ended(first.headers["operation-location"])
    assert ended["result"]["snapshot"]["source"] == "azureml"


def test_an_act_that_is_not_legal_is_refused_as_on_the_command_line(
    switched: dict[str, Any], owner: Api, stack: Stack
) -> None:
    problem = owner.refused("/projects/tale-one/switch", {"to": "azureml"}, 409, "already_active")
    assert (problem["title"], problem["remedy"]) == (
        CATALOGUE["already_active"].title,
        CATALOGUE["already_active"].remedy,
    )
    owner.refused("/projects/tale-one/disconnect", {"confirm": "tale-one"}, 409, "labels_undecided")
    owner.refused("/projects/tale-two/sync", {}, 409, "not_connected")
    job = {"workspace": stack.tenant.workspace, "name": "tale-job"}
    taken = {"job": job, "confirm": "tale-two"}
    assert (
        owner.refused("/projects/tale-two/connect", taken, 409, "job_claimed")["data"]["holder"] == "tale-one"
    )
    owner.refused("/projects/no-such-project/sync", {}, 404, "project_unknown")
    owner.refused("/projects/no such name!/sync", {}, 404, "project_unknown")


def test_what_cannot_be_undone_needs_the_projects_name(owner: Api, stack: Stack) -> None:
    job = {"workspace": stack.tenant.workspace, "name": "another-job"}
    owner.refused("/projects/tale-two/connect", {"job": job, "confirm": "tale"}, 422, "not_confirmed")
    owner.refused("/projects/tale-two/connect", {"job": job}, 422, "input_invalid")
    owner.refused("/projects/tale-one/disconnect", {"labels": "sync", "confirm": ""}, 422, "not_confirmed")


def test_a_wrong_body_is_a_problem_that_names_each_field(owner: Api) -> None:
    wrong = {"to": "moon", "polcy": "active"}
    problem = owner.refused("/projects/tale-one/switch", wrong, 422, "input_invalid")
    assert "body.to" in problem["detail"]
    assert "body.polcy" in problem["detail"]
    answer = owner.client.post(
        "/api/v1/projects/tale-one/switch", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")


def test_the_list_is_filtered_and_paged_by_a_cursor(switched: dict[str, Any], owner: Api) -> None:
    def names(**query: Any) -> list[str]:
        return [row["summary"]["project"]["name"] for row in owner.get("/projects", **query)["items"]]

    assert names(search="tale") == sorted(NAMES)
    assert names(search="tale", state="azureml") == ["tale-one"]
    assert names(search="TALE-JOB") == ["tale-one"]
    assert names(search="tale", running=True) == []
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = owner.get("/projects", search="tale", limit=1, **cursor)
        found += [row["summary"]["project"]["name"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == sorted(NAMES)
    assert owner.get("/projects", 422, cursor="%%%")["code"] == "input_invalid"


def test_many_projects_are_found_by_a_filter_counted_and_asked_as_one_act(
    switched: dict[str, Any], owner: Api
) -> None:
    where = "name in (tale-one, tale-none) and active=azureml"
    found = owner.get("/projects", where=where)["items"]
    assert [row["summary"]["project"]["name"] for row in found] == ["tale-one"]
    wrong = owner.get("/projects", 422, where="active=excel")
    assert (wrong["code"], wrong["data"]["position"]) == ("where_invalid", "8")

    sync = {"request": {"kind": "sync"}, "where": where, "confirm": 1}
    owner.refused("/fleet", {**sync, "confirm": 2}, 422, "not_confirmed")
    owner.refused("/fleet", {**sync, "where": "name="}, 422, "where_invalid")
    answer = owner.post("/fleet", sync, key="tale-fleet")
    assert answer.status_code == 202, answer.text
    assert owner.post("/fleet", sync, key="tale-fleet").json() == answer.json()
    until = time.monotonic() + PATIENCE
    while (act := owner.get("/fleet/tale-fleet"))["phase"] != "ended":
        assert time.monotonic() < until, act
        time.sleep(0.2)
    assert act["counts"] == {"committed": 1}
    assert act["order"]["actor"]["name"] == "olga"
    (row,) = owner.get("/fleet/tale-fleet/report")["items"]
    assert (row["project"]["name"], row["outcome"]) == ("tale-one", "committed")
    operation = owner.get(f"/projects/tale-one/operations/{row['operation_id']}")
    assert (operation["kind"], operation["state"]) == ("sync", "committed")
    owner.refused("/fleet/no-such-act/cancel", None, 404, "fleet_unknown")


def test_history_and_operations_are_the_audit_trail_newest_first(
    switched: dict[str, Any], connected: dict[str, Any], owner: Api
) -> None:
    first = owner.get("/projects/tale-one/history", limit=1)
    rest = owner.get("/projects/tale-one/history", cursor=first["next"])
    ids = [entry["operation_id"] for entry in first["items"] + rest["items"]]
    assert len(set(ids)) == len(ids)
    assert ids.index(switched["operation_id"]) < ids.index(connected["operation_id"])
    listed = owner.get("/projects/tale-one/operations")["items"]
    assert [one["operation_id"] for one in listed] == ids
    assert owner.get("/projects/tale-one/history", 422, cursor="YWJj")["code"] == "input_invalid"
    assert owner.get("/projects/tale-one/operations/000999-sync-00000000", 404)["code"] == "operation_unknown"
    assert owner.get("/projects/tale-one/operations/x", 404)["code"] == "operation_unknown"


def test_snapshots_are_listed_shown_and_compared(switched: dict[str, Any], owner: Api) -> None:
    listed = owner.get("/projects/tale-one/snapshots", limit=200)["items"]
    newest = listed[0]["id"]
    assert owner.get(f"/projects/tale-one/snapshots/{newest[:8]}")["labels"] == listed[0]["labels"]
    same = owner.get(f"/projects/tale-one/snapshots/{newest}/diff/{newest}")
    assert (same["changed"], same["same"], same["items"]) == (0, listed[0]["documents"], [])
    assert owner.get("/projects/tale-one/snapshots/abcdef01", 404)["code"] == "snapshot_unknown"
    assert owner.get("/projects/tale-one/snapshots/XYZ", 422)["code"] == "input_invalid"
    assert owner.get("/projects/tale-one/models")["items"] == []


def test_a_preflight_says_what_is_missing_and_how_to_mend_it(
    console: Site, projects: tuple[str, ...], stack: Stack
) -> None:
    job = {"workspace": stack.tenant.workspace, "name": "look-job"}
    body = {"request": {"kind": "connect", "job": job}}
    fine = Api(console.program("rita")).post("/projects/tale-two/preflight", body).json()
    assert fine["refusal"] is None
    assert not [f for f in fine["preflight"]["findings"] if f["severity"] == "error"]
    assert [step["number"] for step in fine["steps"]] == list(range(1, len(fine["steps"]) + 1))
    stranger = Api(console.program("sven", roles=["Labelbridge.Reader"]))
    seen = stranger.post("/projects/tale-two/preflight", body).json()["preflight"]["findings"]
    errors = [finding for finding in seen if finding["severity"] == "error"]
    assert errors
    assert any((finding["command"] or "").startswith("az ") for finding in errors)
    refused = stranger.post("/projects/tale-two/preflight", {"request": {"kind": "sync"}}).json()
    assert (refused["refusal"]["code"], refused["preflight"]) == ("not_connected", None)


def test_an_act_counts_as_the_callers_not_as_the_consoles(
    console: Site, projects: tuple[str, ...], stack: Stack
) -> None:
    stranger = Api(console.program("sven", roles=["Labelbridge.Owner"]))
    body = {"model": "m-1", "labels": "as-is"}
    ended = stranger.done("/projects/tale-three/train", body)
    assert (ended["state"], ended["error"]["code"]) == ("refused", "preflight_failed")
    assert ended["actor"]["object_id"] == stack.tenant.principals["stranger"].object_id
    assert ended["error"]["findings"]


def test_cancel_with_nothing_running_does_nothing(owner: Api) -> None:
    answer = owner.post("/projects/tale-two/cancel", {})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_file_is_handed_in_and_imported_as_a_new_project(owner: Api, stack: Stack, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "made", ProjectKind.SINGLE_LABEL, documents=12, labelled=8)
    rows = _azureml_rows(folder)
    kept = owner.client.post("/api/v1/uploads", content=rows.encode())
    assert kept.status_code == 201, kept.text
    body = {
        "source": kept.json(),
        "account": DATA_ACCOUNT,
        "container": "tale-two",
        "project_kind": "CustomSingleLabelClassification",
        "language": "en-us",
    }
    ended = owner.done("/projects/tale-made/import", body)
    assert ended["state"] == "committed", ended
    assert owner.get("/projects/tale-made")["known"]
    body["source"] = kept.json() | {"container": "another"}
    owner.refused("/projects/tale-other/import", body, 422, "input_invalid")


def _azureml_rows(folder: ProjectFolder) -> str:
    """Azure ML's JSON lines for documents of the second project."""
    rows = [
        {"image_url": f"AmlDatastore://tale_two/{name}", "label": "billing", "label_confidence": 1.0}
        for name in folder.documents[:4]
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_an_upload_is_bounded(console: Site) -> None:
    limit = console.app.state.settings.console.upload_limit
    program = console.program("olga")
    assert program.post("/api/v1/uploads", content=b"").json()["code"] == "input_invalid"
    assert limit == 1 << 30


def test_a_session_reads_and_acts_like_a_token(console: Site, owner: Api) -> None:
    browser = console.signed_in("otto")
    assert browser.get("/api/v1/projects/tale-two").json()["known"]
    headers = {"Origin": console.url, "X-CSRF-Token": console.csrf(browser)}
    refused = browser.post("/api/v1/projects/tale-two/sync", json={}, headers=headers)
    assert refused.json()["code"] == "not_connected"
