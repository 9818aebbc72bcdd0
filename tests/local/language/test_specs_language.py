"""The published wire shapes of the authoring API, replayed: same request, same shape of the response."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.local.language.lab import (
    MULTI,
    NER,
    SINGLE,
    STABLE,
    Lab,
    classified,
    load,
    project_file,
    texts,
    unique,
)

OPTIONAL = {
    "lastTrainedDateTime",
    "lastDeployedDateTime",
    "innererror",
    "details",
    "target",
    "confidenceThreshold",
}
"""Fields that Azure itself leaves out or sends empty."""
BY_NAME = {"confusionMatrix", "classes", "entities"}
"""Maps of an evaluation whose keys are category names."""
PREFIX = "/language/authoring/analyze-text/projects"


def same_shape(expected: Any, found: Any, where: str = "$") -> None:
    """Equal keys and JSON types, all the way down; `null` stands for any type."""
    if expected is None or found is None:
        return
    assert json_type(expected) == json_type(found), where
    if isinstance(expected, dict):
        same_keys(expected, found, where)
    elif isinstance(expected, list) and expected and found:
        same_shape(expected[0], found[0], f"{where}[]")
    elif isinstance(expected, str):
        for form in (r"\d{4}-\d\d-\d\dT.*Z", r"\d{4}-\d\d-\d\d"):
            assert not re.fullmatch(form, expected) or re.fullmatch(form, found), where


def same_keys(expected: dict[str, Any], found: dict[str, Any], where: str) -> None:
    """Equal keys but for the optional ones; in a map by category, every value like the first expected one."""
    if where.rsplit(".", 1)[-1] in BY_NAME:
        first = next(iter(expected.values()))
        assert found, where
        for name, value in found.items():
            cells = value.values() if where.endswith("confusionMatrix") else [value]
            for cell in cells:
                like = next(iter(first.values())) if where.endswith("confusionMatrix") else first
                same_shape(like, cell, f"{where}/{name}")
        return
    assert set(expected) - OPTIONAL == set(found) - OPTIONAL, where
    for name in expected.keys() & found.keys():
        same_shape(expected[name], found[name], f"{where}.{name}")


def json_type(value: Any) -> str:
    """`number` for both kinds, else the type's name; a bool is no number."""
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


@pytest.fixture(scope="module")
def specs(shared: Path) -> Callable[[str], dict[str, Any]]:
    return lambda name: load(shared / "azure" / "specs" / "language-authoring" / f"{name}.json")


@pytest.fixture(scope="module")
def trained(lab: Lab) -> dict[str, str]:
    """A trained and deployed project of each kind: kind -> name."""
    made = {}
    for kind in (NER, SINGLE, MULTI):
        name = unique()
        made[kind] = name
        container = lab.container(dict.fromkeys(texts(12), "Ann lives here"))
        documents = classified(12, kind)
        if kind == NER:
            labels = [{"category": "A", "offset": 0, "length": 3}]
            regions = [{"regionOffset": 0, "regionLength": 14, "labels": labels}]
            documents = [
                {"location": d["location"], "language": "en-us", "entities": regions} for d in documents
            ]
        settings = {"confidenceThreshold": 0.5}
        file = project_file(
            name, container, kind, categories=("A", "B"), documents=documents, settings=settings
        )
        file["metadata"]["description"] = "x"
        for path, body in (
            (":import", file),
            (":train", {"modelLabel": "model1", "trainingConfigVersion": "latest"}),
        ):
            assert lab.finish(lab.call("POST", f"/{name}/{path}", body))["status"] == "succeeded"
        for deployment in ("production", "staging"):
            put = lab.call("PUT", f"/{name}/deployments/{deployment}", {"trainedModelLabel": "model1"})
            assert lab.finish(put)["status"] == "succeeded"
    return made


Specs = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    ("spec", "path", "kind"),
    [
        ("project-get", "", NER),
        ("models-list", "/models", NER),
        ("model-get", "/models/model1", NER),
        ("deployments-list", "/deployments", NER),
        ("deployment-get", "/deployments/production", NER),
        ("train-jobs-list", "/train/jobs", NER),
        ("evaluation-summary-ner", "/models/model1/evaluation/summary-result", NER),
        ("evaluation-summary-single-class", "/models/model1/evaluation/summary-result", SINGLE),
        ("evaluation-summary-multi-class", "/models/model1/evaluation/summary-result", MULTI),
        ("evaluation-result-ner", "/models/model1/evaluation/result?stringIndexType=Utf16CodeUnit", NER),
        ("languages-list", f"/global/languages?projectKind={NER}", ""),
        ("training-config-versions-list", f"/global/training-config-versions?projectKind={NER}", ""),
        ("projects-list", "", ""),
    ],
)
def test_a_read_has_the_published_shape(
    lab: Lab, specs: Specs, trained: dict[str, str], spec: str, path: str, kind: str
) -> None:
    reply = lab.call("GET", (f"/{trained[kind]}" if kind else "") + path, version=STABLE)
    expected = specs(spec)["response"]
    assert reply.status == expected["status"]
    same_shape(expected["body"], reply.body)


@pytest.mark.parametrize(("kind", "spec"), [(SINGLE, "response_single"), (MULTI, "response_multi")])
def test_evaluation_rows_of_classification_have_the_published_shape(
    lab: Lab, specs: Specs, trained: dict[str, str], kind: str, spec: str
) -> None:
    path = f"/{trained[kind]}/models/model1/evaluation/result?stringIndexType=Utf16CodeUnit"
    expected = specs("evaluation-result-classification")[spec]["value"]
    same_shape(expected, lab.call("GET", path, version=STABLE).body["value"])


@pytest.mark.parametrize(
    ("spec", "job"),
    [
        ("export", "export-job"),
        ("train", "train-job-succeeded"),
        ("train-manual-split", None),
        ("deployment-put", None),
        ("deployments-swap", None),
        ("deployment-delete", None),
        ("import-json", "import-job"),
    ],
)
def test_a_long_running_operation_is_started_and_reported_as_published(
    lab: Lab, specs: Specs, trained: dict[str, str], spec: str, job: str | None
) -> None:
    name, published = trained[NER], specs(spec)
    request, response = published["request"], published["response"]
    query = "&".join(f"{key}={value}" for key, value in request["query"].items() if key != "api-version")
    path = request["path"].removeprefix(PREFIX).replace("LoanAgreements", name)
    body = lab.export(name) if spec == "import-json" else request["body"]
    reply = lab.call(
        request["method"],
        path + (f"?{query}" if query else ""),
        body,
        version=request["query"]["api-version"],
        headers=request["headers"],
    )
    assert reply.status == response["status"] == 202
    published_location = response["headers"]["operation-location"].split(PREFIX)[1]
    found_location = reply.headers["operation-location"].split(PREFIX)[1].replace(name, "LoanAgreements")
    anonymous = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}_\d{18}")
    assert anonymous.sub("ID", found_location) == anonymous.sub("ID", published_location)
    ended = lab.finish(reply)
    if job is not None:
        same_shape(specs(job)["response"]["body"], ended)


def test_a_running_training_and_its_cancellation_have_the_published_shape(
    slow_lab: Lab, specs: Specs
) -> None:
    name, published = unique(), specs("train-cancel")
    file = project_file(name, slow_lab.container({}), SINGLE, categories=("A", "B"))
    slow_lab.finish(slow_lab.call("POST", f"/{name}/:import", file))
    started = slow_lab.call(
        "POST", f"/{name}/:train", {"modelLabel": "m2", "trainingConfigVersion": "latest"}
    )
    location = started.headers["operation-location"]
    job = slow_lab.admin.request("GET", location, resource="https://cognitiveservices.azure.com").body
    assert job["status"] in ("notStarted", "running")
    same_shape(specs("train-job-running")["response"]["body"], job)
    cancelled = slow_lab.call("POST", f"/{name}/train/jobs/{job['jobId']}/:cancel", version=STABLE)
    assert cancelled.status == published["response"]["status"]
    assert set(published["response"]["headers"]) <= {name.lower() for name in cancelled.headers}
    assert slow_lab.finish(cancelled)["status"] == "cancelled"


def test_creating_changing_and_deleting_a_project_is_as_published(lab: Lab, specs: Specs) -> None:
    published = specs("project-create")
    name = unique()
    body = published["request"]["body"] | {
        "projectName": name,
        "storageInputContainerName": lab.container({}),
    }
    for status in (201, 200):
        reply = lab.call("PATCH", f"/{name}", body, version=STABLE, headers=published["request"]["headers"])
        assert reply.status == status
        same_shape(published["response"]["body"], reply.body)
    connected = specs("project-get-aml-connected")["response"]["body"]
    settings = {"confidenceThreshold": 0.5, "amlProjectPath": "x", "isLabelingLocked": True}
    same_shape(connected, lab.call("PATCH", f"/{name}", {"settings": settings}).body)
    deletion = specs("project-delete")["response"]
    reply = lab.call("DELETE", f"/{name}", version=STABLE)
    assert reply.status == deletion["status"]
    assert f"{PREFIX}/global/deletion-jobs/" in reply.headers["operation-location"]
    lab.finish(reply)
    missing, published_error = lab.call("GET", f"/{name}"), specs("error-not-found")
    assert missing.status == published_error["status"]
    assert missing.headers["x-ms-error-code"] == published_error["headers"]["x-ms-error-code"]
    same_shape(published_error["body"], missing.body)


def test_a_failed_import_and_a_deleted_model_are_as_published(
    lab: Lab, specs: Specs, trained: dict[str, str]
) -> None:
    name = trained[MULTI]
    file = lab.export(name)
    file["assets"]["projectKind"] = SINGLE
    published = specs("import-job-failed")["response"]["body"]
    failed = lab.finish(lab.call("POST", f"/{name}/:import", file))
    assert failed["errors"] == published["errors"]
    same_shape(published, failed)
    train = {"modelLabel": "gone", "trainingConfigVersion": "latest"}
    lab.finish(lab.call("POST", f"/{name}/:train", train))
    assert lab.call("DELETE", f"/{name}/models/gone").status == specs("model-delete")["response"]["status"]


def test_the_published_label_files_of_each_kind_are_imported(lab: Lab, shared: Path) -> None:
    for path in sorted((shared / "azure" / "specs" / "formats").glob("language-labels-*.json")):
        file = load(path)
        name = unique()
        documents = {d["location"]: "x" * 60 for d in file["assets"]["documents"]}
        file["metadata"] |= {"projectName": name, "storageInputContainerName": lab.container(documents)}
        job = lab.finish(lab.call("POST", f"/{name}/:import", file))
        assert job["errors"] == []
        assert lab.export(name) == file
