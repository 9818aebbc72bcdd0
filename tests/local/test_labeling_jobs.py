"""Labeling jobs of the local Azure: life, gate, labels, exports."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from labelbridge.local.api import Caller
from labelbridge.local.config import JobSeconds, Nasty
from labelbridge.local.seed import WORKSPACE, Tenant, grant, revoke
from tests.local.conftest import StartAzure
from tests.local.servers import LabelingJob, LabelingSite, LocalAzure, eventually

ANN = {"label": "Person", "offsetStart": 0, "offsetEnd": 3}


@pytest.fixture(scope="module")
def site(tenant: Tenant) -> LabelingSite:
    return LabelingSite.make(tenant)


def code(reply: Any) -> str:
    return str(reply.body["error"]["code"])


def events_of(azure: LocalAzure, job: LabelingJob) -> list[str]:
    return [entry["event"] for entry in azure.log() if entry["subject"] == job.id]


def test_a_job_runs_once_it_is_provisioned(site: LabelingSite) -> None:
    job = site.job("life", wait=False)
    eventually(job.status, lambda status: status == "Running")
    assert job.arm("GET").body["properties"]["provisioningState"] == "Succeeded"
    done = job.label("a.txt", [ANN]).body
    assert set(done) == {"sequence", "acknowledgedAt"}
    shown = job.studio("GET", "/a.txt").body
    assert shown["labels"] == [ANN]
    assert shown["text"] == "Ann went to Rome."
    assert shown["labeledBy"] == site.tenant.principals["ann"].object_id


def test_a_job_that_is_being_provisioned_takes_neither_labels_nor_a_pause(start_azure: StartAzure) -> None:
    azure = start_azure(jobs=JobSeconds(provisioning=600))
    job = LabelingSite.make(azure.tenant()).job("young", wait=False)
    properties = job.arm("GET").body["properties"]
    assert (properties["provisioningState"], properties["status"]) == ("InProgress", "Provisioning")
    assert code(job.label("a.txt", [ANN], expect=(409,))) == "LabelingNotReady"
    assert code(job.arm("POST", "/pause", expect=(409,))) == "LabelingNotReady"
    assert not job.is_open()
    assert events_of(azure, job) == []


def test_a_pause_accepts_labels_until_it_takes_effect(start_azure: StartAzure) -> None:
    azure = start_azure(nasty=Nasty(gate_takes_effect_after=600.0, stale_reads_for=0.0))
    job = LabelingSite.make(azure.tenant()).job("late")
    assert job.arm("POST", "/pause", expect=(200,)).body["status"] == "Paused"
    assert job.status() == "Paused"
    job.label("a.txt", [ANN], expect=(200,))
    assert events_of(azure, job) == ["opened", "write"]


def test_a_pause_is_logged_where_it_took_effect(local_azure: LocalAzure, site: LabelingSite) -> None:
    job = site.job("paused")
    job.arm("POST", "/pause")
    accepted = 0
    while (reply := job.label("a.txt", [ANN], expect=(200, 409))).status == 200:
        accepted += 1
    assert code(reply) == "LabelingPaused"
    assert not job.is_open()
    expected = ["opened", *["write"] * accepted, "closed"]
    assert events_of(local_azure, job) == expected
    job.arm("POST", "/resume", expect=(200,))
    job.label("b.txt", [])
    assert events_of(local_azure, job) == [*expected, "opened", "write"]


def test_a_read_may_show_the_old_gate_for_a_while(start_azure: StartAzure) -> None:
    azure = start_azure(nasty=Nasty(gate_takes_effect_after=0.0, stale_reads_for=600.0))
    job = LabelingSite.make(azure.tenant()).job("stale", wait=False)
    eventually(job.is_open, bool)
    job.arm("POST", "/pause")
    job.label("a.txt", [], expect=(409,))
    assert job.status() == "Running"


def test_a_resume_overtakes_a_pause_that_has_not_taken_effect(start_azure: StartAzure) -> None:
    azure = start_azure(nasty=Nasty(gate_takes_effect_after=600.0))
    job = LabelingSite.make(azure.tenant()).job("overtaken")
    job.arm("POST", "/pause")
    job.arm("POST", "/resume")
    job.label("a.txt", [], expect=(200,))
    assert [entry["event"] for entry in azure.log() if entry["subject"] == job.id] == ["opened", "write"]


def test_a_pause_cancels_a_resume_that_has_not_taken_effect(start_azure: StartAzure) -> None:
    azure = start_azure(jobs=JobSeconds(resume=600.0), nasty=Nasty(gate_takes_effect_after=0.0))
    job = LabelingSite.make(azure.tenant()).job("slow")
    job.arm("POST", "/pause")
    asked = job.arm("POST", "/resume", expect=(202,))
    assert int(asked.headers["Retry-After"]) >= 1
    admin = job.site.tenant.caller("admin")
    assert admin.request("GET", asked.headers["Location"]).status == 202
    job.arm("POST", "/pause")
    assert admin.request("GET", asked.headers["Location"], expect=None).status == 409
    job.label("a.txt", [], expect=(409,))


def test_a_resume_may_answer_202_and_open_later(start_azure: StartAzure) -> None:
    azure = start_azure(jobs=JobSeconds(resume=0.2), nasty=Nasty(gate_takes_effect_after=0.0))
    job = LabelingSite.make(azure.tenant()).job("later")
    job.arm("POST", "/pause")
    asked = job.arm("POST", "/resume", expect=(202,))
    admin = job.site.tenant.caller("admin")
    done = eventually(
        lambda: admin.request("GET", asked.headers["Location"]), lambda reply: reply.status != 202
    )
    assert (done.status, done.body["status"]) == (200, "Running")
    job.label("a.txt", [])


def test_a_name_is_never_free_again(site: LabelingSite) -> None:
    job = site.job("gone")
    job.arm("DELETE", expect=(200,))
    job.arm("DELETE", expect=(204,))
    job.arm("GET", expect=(404,))
    again = job.arm("PUT", body={"properties": site.properties()}, expect=(409,))
    assert code(again) == "LabelingJobNameInUse"
    job.name = job.name.upper()
    job.arm("PUT", body={"properties": site.properties()}, expect=(409,))


def test_of_two_who_create_the_same_job_at_once_one_changes_what_the_other_made(site: LabelingSite) -> None:
    job = site.job("race", wait=False)
    job.name += "-twice"
    with ThreadPoolExecutor(4) as pool:
        replies = list(
            pool.map(lambda _: job.arm("PUT", body={"properties": site.properties()}, expect=None), range(4))
        )
    statuses = [reply.status for reply in replies]
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}


def test_type_and_dataset_are_fixed_and_the_rest_can_change(site: LabelingSite) -> None:
    job = site.job("fixed")
    kinds = [site.properties("single"), site.properties("multi")]
    other = site.properties(dataConfiguration={"dataId": "azureml:other:1"})
    for properties in (*kinds, other):
        assert code(job.arm("PUT", body={"properties": properties}, expect=(400,))) == "UserError"
    more = site.properties(tags={"k": "v"}, description="d", jobInstructions={"uri": "https://example.com"})
    changed = job.arm("PUT", body={"properties": more}, expect=(200,)).body["properties"]
    assert (changed["tags"], changed["description"]) == ({"k": "v"}, "d")
    assert job.studio("GET").body["instructions"] == "https://example.com"


def test_label_categories_change_only_while_paused(site: LabelingSite) -> None:
    job = site.job("categories")
    more = site.properties()
    more["labelCategories"]["labels"]["classes"]["Thing"] = {"displayName": "Thing"}
    assert code(job.arm("PUT", body={"properties": more}, expect=(409,))) == "LabelingNotPaused"
    job.arm("POST", "/pause")
    job.arm("PUT", body={"properties": more}, expect=(200,))
    assert job.studio("GET").body["categories"] == ["Person", "Place", "Thing"]


def test_an_archived_job_refuses_labels_and_resume(site: LabelingSite) -> None:
    job = site.job("archived")
    job.arm("PUT", body={"properties": site.properties(isArchived=True)}, expect=(200,))
    assert code(job.label("a.txt", [], expect=(409,))) == "LabelingArchived"
    assert code(job.arm("POST", "/resume", expect=(409,))) == "LabelingArchived"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"jobType": "Command"}, 400),
        ({"labelingJobMediaProperties": {"mediaType": "Image", "annotationType": "Classification"}}, 400),
        ({"labelingJobMediaProperties": {"mediaType": "Text", "annotationType": "BoundingBox"}}, 400),
        ({"labelCategories": {}}, 400),
        ({"labelCategories": {"labels": {"classes": {}}}}, 400),
        ({"mlAssistConfiguration": {"mlAssist": "Enabled"}}, 400),
        ({"dataConfiguration": {}}, 400),
        ({"dataConfiguration": {"dataId": "azureml:nothing:1"}}, 400),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_and_takes_no_name(
    site: LabelingSite, change: dict[str, Any], status: int
) -> None:
    job = site.job("sense", wait=False)
    job.name += "-x"
    job.arm("PUT", body={"properties": site.properties(**change)}, expect=(status,))
    job.arm("PUT", body={"properties": site.properties()}, expect=(201,))
    job.arm("DELETE")


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("ner", "Person"),
        ("ner", None),
        ("ner", [{"label": "Nobody", "offsetStart": 0, "offsetEnd": 3}]),
        ("ner", [{"label": "Person", "offsetStart": 3, "offsetEnd": 3}]),
        ("ner", [{"label": "Person", "offsetStart": -1, "offsetEnd": 3}]),
        ("ner", [{"label": "Person", "offsetStart": 0, "offsetEnd": 900}]),
        ("ner", [{"label": "Person", "offsetStart": 0, "offsetEnd": 3, "more": 1}]),
        ("ner", [{"label": "Person", "offsetStart": False, "offsetEnd": 3}]),
        ("single", ["Person"]),
        ("single", "Nobody"),
        ("single", ""),
        ("multi", "Person"),
        ("multi", ["Person", "Person"]),
        ("multi", ["Nobody"]),
        ("multi", [["Person"]]),
    ],
)
def test_labels_of_another_form_or_unknown_are_refused(site: LabelingSite, kind: str, labels: Any) -> None:
    reply = site.job("form", kind).label("a.txt", labels, expect=(400,))
    assert code(reply) == "InvalidLabels"


def test_spans_are_counted_in_the_configured_unit(site: LabelingSite, start_azure: StartAzure) -> None:
    utf16 = site.job("units")
    cleo = {"label": "Person", "offsetStart": 3, "offsetEnd": 7}
    utf16.label("c.txt", [cleo])
    utf16.label("c.txt", [{**cleo, "offsetStart": 1}], expect=(400,))
    end = {"label": "Place", "offsetStart": 12, "offsetEnd": 18}
    utf16.label("c.txt", [end])
    azure = start_azure(offset_unit="codepoint")
    points = LabelingSite.make(azure.tenant()).job("units")
    points.label("c.txt", [{**cleo, "offsetStart": 1}])
    points.label("c.txt", [end], expect=(400,))


def test_an_export_has_a_row_for_each_decision_and_only_those(site: LabelingSite) -> None:
    job = site.job("export")
    job.label("a.txt", [ANN])
    job.label("c.txt", [])
    summary = job.export()
    assert summary["exportedRowCount"] == 2
    rows = [json.loads(line) for line in job.exported_rows(summary)]
    assert rows == [
        {"image_url": f"AmlDatastore://{site.datastore}/a.txt", "label": [ANN], "label_confidence": [1.0]},
        {"image_url": f"AmlDatastore://{site.datastore}/c.txt", "label": [], "label_confidence": []},
    ]
    progress = job.arm("GET").body["properties"]["progressMetrics"]
    assert (progress["totalDatapointCount"], progress["completedDatapointCount"]) == (3, 2)


def test_every_export_is_in_the_studios_list_with_who_asked_and_the_blob_that_it_wrote(
    site: LabelingSite,
) -> None:
    job = site.job("listed")
    nobody = Caller(site.tenant.place, None)

    def listed(since: float = 0.0) -> list[dict[str, Any]]:
        rows = nobody.request("GET", f"/studio/exports?since={since}").body["value"]
        return [row for row in rows if row["subject"] == job.id]

    assert listed() == []
    job.label("a.txt", [ANN])
    job.export()
    (one,) = listed()
    assert (one["studio"], one["by"]) == ("azureml", site.tenant.principals["admin"].object_id)
    blob = site.tenant.blobs("admin", one["blob"]["account"])
    rows = blob.get_blob_client(one["blob"]["container"], one["blob"]["path"]).download_blob().readall()
    assert json.loads(rows)["label"] == [ANN]
    assert listed(one["at"] + 0.001) == []
    assert nobody.request("GET", "/studio/exports?since=soon", expect=None).status == 400


@pytest.mark.parametrize(("kind", "labels"), [("single", "Person"), ("multi", ["Person", "Place"])])
def test_classes_are_exported_as_rows_and_as_csv(site: LabelingSite, kind: str, labels: Any) -> None:
    job = site.job("classes", kind)
    job.label("a.txt", labels)
    row = json.loads(job.exported_rows(job.export())[0])
    assert row["label"] == labels
    assert row["label_confidence"] == (1.0 if kind == "single" else [1.0, 1.0])
    summary = job.export("CSV")
    blob = site.tenant.blobs("admin").get_blob_client(summary["containerName"], summary["snapshotPath"])
    assert b"a.txt" in blob.download_blob().readall()


def test_coco_and_csv_of_entities_are_refused(site: LabelingSite) -> None:
    job = site.job("formats")
    for format_ in ("Coco", "CSV", "Excel"):
        job.arm("POST", "/exportLabels", {"format": format_}, expect=(400,))


@pytest.mark.parametrize("as_of_run", [True, False])
def test_an_export_shows_labels_as_of_its_run_or_of_its_request(
    start_azure: StartAzure, as_of_run: bool
) -> None:
    azure = start_azure(jobs=JobSeconds(export=3.0), nasty=Nasty(export_shows_labels_as_of_run=as_of_run))
    job = LabelingSite.make(azure.tenant()).job("asof")
    asked = job.arm("POST", "/exportLabels", {"format": "Dataset"}, expect=(202,))
    job.label("a.txt", [ANN])
    summary = job.site.tenant.caller("admin").finish_arm(asked.headers["Location"]).body
    assert summary["exportedRowCount"] == (1 if as_of_run else 0)


@pytest.mark.parametrize(
    ("style", "start"),
    [("azureml-short", "azureml://datastores/"), ("azureml-long", "azureml://subscriptions/")],
)
def test_rows_address_documents_in_the_configured_style(
    start_azure: StartAzure, style: str, start: str
) -> None:
    azure = start_azure(image_url_style=style)
    job = LabelingSite.make(azure.tenant(), {"with space.txt": "x"}).job("style")
    job.label("with%20space.txt", [])
    (line,) = job.exported_rows(job.export())
    url = json.loads(line)["image_url"]
    assert url.startswith(start)
    assert url.endswith("/paths/with space.txt")


def test_only_roles_open_doors(site: LabelingSite) -> None:
    job = site.job("roles")
    for method, action, body in (
        ("GET", "", None),
        ("PUT", "", {"properties": site.properties()}),
        ("POST", "/pause", None),
        ("POST", "/resume", None),
        ("POST", "/exportLabels", {"format": "Dataset"}),
        ("DELETE", "", None),
    ):
        reply = job.arm(method, action, body, by="stranger", expect=(403,))
        assert code(reply) == "AuthorizationFailed"
        if method != "GET":
            job.arm(method, action, body, by="ann", expect=(403,))
    job.label("a.txt", [], by="stranger", expect=(403,))


def test_a_workspace_that_cannot_read_the_data_makes_no_job_and_takes_no_name(
    start_azure: StartAzure,
) -> None:
    azure = start_azure()
    tenant = azure.tenant()
    site = LabelingSite.make(tenant)
    admin = tenant.caller("admin")
    identity = site.ml("GET", WORKSPACE).body["identity"]["principalId"]
    job = site.job("access")
    names = itertools.count(1)

    def refused() -> bool:
        job.name = f"not-yet-{next(names)}"
        return job.arm("PUT", body={"properties": site.properties()}, expect=(201, 403)).status == 403

    revoke(admin, identity, "Storage Blob Data Contributor", tenant.storage_account)
    eventually(refused, bool)
    job.arm("GET", expect=(404,))
    grant(admin, identity, "Storage Blob Data Reader", tenant.storage_account)
    eventually(
        lambda: job.arm("PUT", body={"properties": site.properties()}, expect=(201, 403)).status,
        lambda status: status == 201,
    )


def test_lists_are_paged(site: LabelingSite) -> None:
    names = {site.job("page", wait=False).name for _ in range(3)}
    admin = site.tenant.caller("admin")
    url: str | None = f"{WORKSPACE}/labelingJobs?api-version=2024-04-01-preview&$top=2"
    found: set[str] = set()
    while url:
        body = admin.request("GET", url).body
        assert len(body["value"]) <= 2
        found |= {job["name"] for job in body["value"]}
        url = body["nextLink"]
    assert names <= found


def test_items_are_the_text_files_that_the_asset_reaches(tenant: Tenant, local_azure: LocalAzure) -> None:
    site = LabelingSite.make(tenant, {"in/a.txt": "x", "in/b.TXT": "x", "in/c.pdf": "x", "out.txt": "x"})
    uri = f"azureml://datastores/{site.datastore}/paths/in"
    body = {"properties": {"dataType": "uri_folder", "dataUri": uri}}
    site.ml("PUT", f"{WORKSPACE}/data/{site.container}/versions/2", body)
    data = {"dataId": f"azureml:{site.container}:2"}
    job = site.job("reach", dataConfiguration=data)
    assert [one["document"] for one in job.studio("GET").body["items"]] == ["in/a.txt", "in/b.TXT"]
    assert job.studio("GET", "/in/a.txt").body["text"] == "x"
