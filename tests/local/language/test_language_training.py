"""Training, models, evaluation and deployments of the local Language resource."""

from typing import Any

import pytest

from tests.local.language.lab import MULTI, NER, SINGLE, Lab, classified, project_file, texts, unique

TRAIN = {"modelLabel": "m", "trainingConfigVersion": "latest"}


def project(lab: Lab, kind: str = SINGLE, count: int = 12) -> str:
    name = unique()
    if kind == NER:
        documents = {f"d{n}.txt": f"{'Ann' if n % 2 else 'Bob'} lives in Rome\r\n" for n in range(count)}
        labels = [
            {"category": "Who", "offset": 0, "length": 3},
            {"category": "City", "offset": 13, "length": 4},
        ]
        rows: list[dict[str, Any]] = [
            {"location": d, "entities": [{"regionOffset": 0, "regionLength": 19, "labels": labels}]}
            for d in documents
        ]
        file = project_file(name, lab.container(documents), documents=rows)
    else:
        file = project_file(
            name, lab.container(texts(count)), kind, categories=("A", "B"), documents=classified(count, kind)
        )
    job = lab.finish(lab.call("POST", f"/{name}/:import", file))
    assert job["status"] == "succeeded", job
    return name


def train(lab: Lab, name: str, **more: Any) -> dict[str, Any]:
    return lab.finish(lab.call("POST", f"/{name}/:train", TRAIN | more))


@pytest.mark.parametrize("kind", [NER, SINGLE, MULTI])
def test_a_training_makes_a_model_with_a_computed_evaluation(lab: Lab, kind: str) -> None:
    name = project(lab, kind)
    job = train(lab, name)
    assert job["status"] == "succeeded"
    assert job["result"]["trainingStatus"]["percentComplete"] == 100
    assert job["result"]["evaluationStatus"]["percentComplete"] == 100
    model = lab.call("GET", f"/{name}/models/m").body
    assert model["modelTrainingConfigVersion"] == "2022-05-01"
    summary = lab.call("GET", f"/{name}/models/m/evaluation/summary-result").body
    (part,) = (value for key, value in summary.items() if key.endswith("Evaluation"))
    rows = lab.call("GET", f"/{name}/models/m/evaluation/result?stringIndexType=Utf16CodeUnit").body["value"]
    assert len(rows) == 2
    if kind == NER:
        assert part["microF1"] == 1.0
    else:
        true = sum(counts["truePositiveCount"] for counts in part["classes"].values())
        assert true == sum("A" in str(row).split("predicted")[0] for row in rows)
    assert "lastTrainedDateTime" in lab.call("GET", f"/{name}").body
    assert lab.call("GET", f"/{name}/models/m/evaluation/result").status == 400


def test_the_percentages_of_a_running_training_move(slow_lab: Lab) -> None:
    name = project(slow_lab)
    started = slow_lab.call("POST", f"/{name}/:train", TRAIN)
    seen: list[tuple[int, int]] = []
    while not seen or seen[-1] != (100, 100):
        result = slow_lab.admin.request(
            "GET", started.headers["operation-location"], resource="https://cognitiveservices.azure.com"
        ).body["result"]
        seen.append(
            (result["trainingStatus"]["percentComplete"], result["evaluationStatus"]["percentComplete"])
        )
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


def test_only_one_training_runs_at_a_time_and_it_can_be_cancelled(slow_lab: Lab) -> None:
    name = project(slow_lab)
    started = slow_lab.call("POST", f"/{name}/:train", TRAIN)
    assert slow_lab.call("POST", f"/{name}/:train", TRAIN).status == 409
    (job,) = slow_lab.call("GET", f"/{name}/train/jobs").body["value"]
    cancelled = slow_lab.call("POST", f"/{name}/train/jobs/{job['jobId']}/:cancel")
    assert slow_lab.finish(cancelled)["status"] == "cancelled"
    assert slow_lab.finish(started)["status"] == "cancelled"
    assert slow_lab.call("GET", f"/{name}/models").body["value"] == []
    assert slow_lab.call("POST", f"/{name}/train/jobs/{job['jobId']}/:cancel").status == 409
    assert train(slow_lab, name)["status"] == "succeeded"


def test_too_few_documents_fail_the_job(lab: Lab) -> None:
    job = train(lab, project(lab, count=9))
    assert job["status"] == "failed"
    assert "at least 10 documents" in job["errors"][0]["message"]


def test_a_manual_split_needs_test_documents(lab: Lab) -> None:
    job = train(lab, project(lab), evaluationOptions={"kind": "manual"})
    assert job["status"] == "failed"
    assert "Test" in job["errors"][0]["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"modelLabel": None},
        {"modelLabel": "with space"},
        {"trainingConfigVersion": "1999-01-01"},
        {"evaluationOptions": {"kind": "guess"}},
        {"evaluationOptions": {"trainingSplitPercentage": 80, "testingSplitPercentage": 30}},
        {"evaluationOptions": {"trainingSplitPercentage": 79.5, "testingSplitPercentage": 20.5}},
        {"dataGenerationSettings": {"x": 1}},
    ],
)
def test_a_training_request_that_language_would_not_take_is_refused(lab: Lab, change: dict[str, Any]) -> None:
    assert lab.call("POST", f"/{unique()}/:train", TRAIN | change).status == 400


def test_a_model_keeps_the_project_as_it_was_trained(lab: Lab) -> None:
    name = project(lab)
    train(lab, name)
    before = lab.export(name)
    assert lab.studio("PUT", name, "/d1.txt/labels", {"labels": "B"}).status == 200
    assert lab.export(name) != before
    assert lab.export(name, "&trainedModelLabel=m") == before
    restored = lab.finish(lab.call("POST", f"/{name}/models/m/:load-snapshot"))
    assert restored["status"] == "succeeded"
    assert lab.export(name) == before
    missing = lab.call("POST", f"/{name}/:export?stringIndexType=Utf16CodeUnit&trainedModelLabel=no")
    assert missing.status == 404


def test_a_training_reads_the_labels_when_it_runs(slow_lab: Lab) -> None:
    name = project(slow_lab)
    started = slow_lab.call("POST", f"/{name}/:train", TRAIN)
    assert slow_lab.studio("PUT", name, "/d1.txt/labels", {"labels": "B"}).status == 200
    slow_lab.finish(started)
    labels = {
        d["location"]: d["class"]
        for d in slow_lab.export(name, "&trainedModelLabel=m")["assets"]["documents"]
    }
    assert labels["d1.txt"] == {"category": "B"}


def test_a_project_holds_ten_models_and_a_known_label_is_overwritten(lab: Lab) -> None:
    name = project(lab)
    for number in range(10):
        assert train(lab, name, modelLabel=f"m{number}")["status"] == "succeeded"
    assert lab.call("POST", f"/{name}/:train", TRAIN).code == "QuotaExceeded"
    assert train(lab, name, modelLabel="m3")["status"] == "succeeded"
    assert len(lab.call("GET", f"/{name}/models").body["value"]) == 10


def test_models_are_deployed_swapped_and_undeployed(lab: Lab) -> None:
    name = project(lab)
    ids = {}
    for label, deployment in (("m1", "production"), ("m2", "staging")):
        train(lab, name, modelLabel=label)
        put = lab.call("PUT", f"/{name}/deployments/{deployment}", {"trainedModelLabel": label})
        assert lab.finish(put)["status"] == "succeeded"
        ids[deployment] = lab.call("GET", f"/{name}/deployments/{deployment}").body["modelId"]
    assert "lastDeployedDateTime" in lab.call("GET", f"/{name}").body
    names = {"firstDeploymentName": "production", "secondDeploymentName": "staging"}
    assert lab.finish(lab.call("POST", f"/{name}/deployments/:swap", names))["status"] == "succeeded"
    swapped = lab.call("GET", f"/{name}/deployments").body["value"]
    assert {one["deploymentName"]: one["modelId"] for one in swapped} == {
        "production": ids["staging"],
        "staging": ids["production"],
    }
    assert lab.call("DELETE", f"/{name}/models/m1").status == 409
    assert lab.finish(lab.call("DELETE", f"/{name}/deployments/staging"))["status"] == "succeeded"
    assert lab.call("GET", f"/{name}/deployments/staging").status == 404
    assert lab.call("DELETE", f"/{name}/models/m1").status == 204
    assert lab.call("GET", f"/{name}/models/m1").status == 404
    assert lab.call("PUT", f"/{name}/deployments/x", {"trainedModelLabel": "m1"}).status == 400
    assert lab.call("DELETE", f"/{name}/deployments/x").status == 404
