"""Export and import of whole projects, with what they carry: labels, unknown fields and the gate."""

import copy
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

EMOJI = "\U0001f600 Ann lives in Rome\r\n"
LABEL = {"category": "Who", "offset": 3, "length": 3}


def spans(*labels: dict[str, Any], location: str = "a.txt") -> dict[str, Any]:
    region = {"regionOffset": 0, "regionLength": 22, "labels": list(labels)}
    return {"location": location, "language": "en-us", "dataset": "Train", "entities": [region]}


def imported(lab: Lab, file: dict[str, Any], *, name: str | None = None) -> dict[str, Any]:
    return lab.finish(lab.call("POST", f"/{name or file['metadata']['projectName']}/:import", file))


def entities(lab: Lab, **more: Any) -> dict[str, Any]:
    container = lab.container({"a.txt": EMOJI, "b.txt": "b", "empty.txt": "", "sub/c.txt": "c"})
    return project_file(unique(), container, documents=[spans(LABEL)], **more)


@pytest.mark.parametrize("kind", [NER, SINGLE, MULTI])
def test_what_was_imported_is_exported_with_every_unknown_field(lab: Lab, kind: str) -> None:
    if kind == NER:
        file = entities(lab)
    else:
        container = lab.container(texts(3))
        file = project_file(unique(), container, kind, categories=("A", "B"), documents=classified(3, kind))
    file["vendor"] = {"x": [1]}
    file["metadata"]["newField"] = None
    file["assets"]["documents"][0]["mine"] = "\U0001f600"
    file["assets"]["prebuilt"] = {"y": 2}
    assert imported(lab, file)["status"] == "succeeded"
    assert lab.export(file["metadata"]["projectName"]) == file


@pytest.mark.parametrize("sample", ["loan-agreements", "web-of-science"])
def test_the_published_sample_projects_are_imported_with_their_documents(
    lab: Lab, shared: Path, sample: str
) -> None:
    folder = shared / "data" / sample
    (labels,) = folder.glob("*.json")
    file = load(labels)
    name = unique()
    container = lab.container({path.name: path.read_bytes() for path in folder.glob("*.txt")})
    file["metadata"] |= {"projectName": name, "storageInputContainerName": container}
    assert imported(lab, file)["errors"] == []
    assert lab.export(name) == file


def test_mismatched_kinds_fail_the_job_in_azures_words(lab: Lab) -> None:
    file = entities(lab)
    file["assets"]["projectKind"] = SINGLE
    job = imported(lab, file)
    assert job["status"] == "failed"
    assert job["errors"] == [
        {
            "code": "InvalidArgument",
            "message": "The project kind in the exported project's metadata must match the assets' project kind.",
        }
    ]
    assert lab.call("GET", f"/{file['metadata']['projectName']}").status == 404


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (spans(location="missing.txt"), "does not exist"),
        (spans(location="empty.txt"), "empty"),
        (spans(location="sub/c.txt"), "not allowed"),
        (spans({**LABEL, "offset": 1, "length": 2}), "surrogate"),
        (spans({**LABEL, "offset": 20, "length": 3}), "outside"),
        (spans({**LABEL, "category": "Nobody"}), "not defined"),
        (
            {"location": "a.txt", "entities": [{"regionOffset": 0, "regionLength": 99, "labels": []}]},
            "region",
        ),
    ],
)
def test_a_document_or_label_that_does_not_fit_fails_the_job_and_changes_nothing(
    lab: Lab, document: dict[str, Any], message: str
) -> None:
    file = entities(lab)
    assert imported(lab, file)["status"] == "succeeded"
    wrong = copy.deepcopy(file)
    wrong["assets"]["documents"].append(document)
    if document["location"] == "a.txt":
        wrong["assets"]["documents"] = [document]
    job = imported(lab, wrong)
    assert job["status"] == "failed"
    assert message in job["errors"][0]["message"]
    assert lab.export(file["metadata"]["projectName"]) == file


def test_an_import_into_another_kind_container_or_name_fails(lab: Lab) -> None:
    file = entities(lab)
    name = file["metadata"]["projectName"]
    assert imported(lab, file)["status"] == "succeeded"
    other_kind = project_file(name, file["metadata"]["storageInputContainerName"], SINGLE)
    assert imported(lab, other_kind)["status"] == "failed"
    elsewhere = copy.deepcopy(file)
    elsewhere["metadata"]["storageInputContainerName"] = lab.container({"a.txt": EMOJI})
    assert imported(lab, elsewhere)["status"] == "failed"
    nowhere = copy.deepcopy(file)
    nowhere["metadata"] |= {"storageInputContainerName": "nosuchcontainer", "projectName": unique()}
    job = imported(lab, nowhere)
    assert "does not exist" in job["errors"][0]["message"]
    assert imported(lab, file, name=unique())["status"] == "failed"


def test_an_import_replaces_the_settings_and_opens_a_gate_that_it_does_not_carry(lab: Lab) -> None:
    file = entities(lab, settings={"isLabelingLocked": True, "amlProjectPath": "/job"})
    name = file["metadata"]["projectName"]
    imported(lab, file)
    assert lab.studio("PUT", name, "/a.txt/labels", {"labels": []}).code == "LabelingLocked"
    file["metadata"]["settings"] = {}
    imported(lab, file)
    assert lab.studio("PUT", name, "/a.txt/labels", {"labels": []}).status == 200
    assert [row["event"] for row in lab.log(name)] == ["opened", "write"]


def test_an_import_that_carries_the_gate_keeps_it_shut(lab: Lab) -> None:
    file = entities(lab, settings={"isLabelingLocked": True})
    name = file["metadata"]["projectName"]
    imported(lab, file)
    imported(lab, file)
    assert lab.call("GET", f"/{name}").body["settings"]["isLabelingLocked"] is True
    assert lab.studio("PUT", name, "/a.txt/labels", {"labels": []}).code == "LabelingLocked"
    assert lab.log(name) == []


def test_an_export_shows_the_labels_as_of_when_it_ran(slow_lab: Lab) -> None:
    file = entities(slow_lab)
    name = file["metadata"]["projectName"]
    imported(slow_lab, file)
    started = slow_lab.call("POST", f"/{name}/:export?stringIndexType=Utf16CodeUnit")
    assert slow_lab.studio("PUT", name, "/b.txt/labels", {"labels": []}).status == 200
    job = slow_lab.finish(started)
    exported = slow_lab.admin.request(
        "GET", job["resultUrl"], resource="https://cognitiveservices.azure.com"
    ).body
    assert [document["location"] for document in exported["assets"]["documents"]] == ["a.txt", "b.txt"]


def test_an_export_needs_its_string_index_type_and_its_result_a_token(lab: Lab) -> None:
    file = entities(lab)
    name = file["metadata"]["projectName"]
    imported(lab, file)
    assert lab.call("POST", f"/{name}/:export").status == 400
    assert lab.call("POST", f"/{name}/:export?stringIndexType=UnicodeCodePoint").status == 400
    assert lab.call("POST", f"/{unique()}/:export?stringIndexType=Utf16CodeUnit").status == 404
    job = lab.finish(lab.call("POST", f"/{name}/:export?stringIndexType=Utf16CodeUnit"))
    refused = lab.principal().request(
        "GET", job["resultUrl"], resource="https://cognitiveservices.azure.com", expect=None
    )
    assert refused.status == 403


def test_the_import_format_is_a_previews_and_aml_is_not_published(lab: Lab) -> None:
    file = entities(lab)
    path = f"/{file['metadata']['projectName']}/:import"
    assert lab.call("POST", path, file, headers={"format": "aml"}).status == 400
    assert lab.call("POST", path, file, headers={"format": "json"}, version=STABLE).status == 400
    assert lab.call("POST", path, file, headers={"format": "json"}).status == 202


def test_the_stable_version_refuses_and_hides_the_connection_settings_in_files(lab: Lab) -> None:
    file = entities(lab, settings={"isLabelingLocked": True, "confidenceThreshold": 0.5})
    name = file["metadata"]["projectName"]
    assert lab.call("POST", f"/{name}/:import", file, version=STABLE).status == 400
    imported(lab, file)
    assert lab.export(name, version=STABLE)["metadata"]["settings"] == {"confidenceThreshold": 0.5}


def test_bodies_that_are_no_json_object_are_refused(lab: Lab) -> None:
    bodies: tuple[Any, ...] = ([], 7, "x", {"metadata": {"description": "\ud800"}}, {"x": float("nan")})
    for body in bodies:
        refused = lab.call("POST", f"/{unique()}/:import", body)
        assert (refused.status, refused.code) == (400, "InvalidArgument")


def test_an_unknown_job_or_one_of_another_project_is_not_found(lab: Lab) -> None:
    file = entities(lab)
    name = file["metadata"]["projectName"]
    job = imported(lab, file)
    assert lab.call("GET", f"/{name}/import/jobs/{job['jobId']}").status == 200
    for path in (
        f"/{name}/export/jobs/{job['jobId']}",
        f"/other/import/jobs/{job['jobId']}",
        f"/{name}/import/jobs/x",
    ):
        assert lab.call("GET", path).code == "OperationNotFound"
