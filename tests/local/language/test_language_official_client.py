"""Microsoft's own client works against the local Azure, unchanged: bearer over TLS, its own models."""

import base64
from typing import Any

import pytest
from azure.ai.textanalytics.authoring import models as wire
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.identity import DefaultAzureCredential

from labelbridge.local import seed
from tests.local.language.lab import (
    NER,
    SINGLE,
    STABLE,
    VERSION,
    Lab,
    classified,
    project_file,
    texts,
    unique,
)

UTF16 = wire.StringIndexType.UTF16_CODE_UNIT


@pytest.fixture
def credential(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> DefaultAzureCredential:
    """The credential that the product uses, fed by the local managed-identity endpoint."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", lab.place.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", lab.tenant.principals[seed.ADMIN].identity_header)
    return DefaultAzureCredential()


def imported(lab: Lab, count: int = 12) -> str:
    name = unique()
    container = lab.container(texts(count))
    file = project_file(name, container, SINGLE, categories=("A", "B"), documents=classified(count))
    assert lab.finish(lab.call("POST", f"/{name}/:import", file))["status"] == "succeeded"
    return name


@pytest.mark.parametrize("version", [STABLE, VERSION])
def test_it_creates_reads_lists_and_deletes_a_project(
    lab: Lab, credential: DefaultAzureCredential, version: str
) -> None:
    name, client = unique(), lab.client(credential, version)
    options = wire.CreateProjectOptions(
        project_kind=NER,
        storage_input_container_name=lab.container({}),
        project_name=name,
        language="en-us",
        settings=wire.ProjectSettings(confidence_threshold=0.5),
        multilingual=False,
        description="from the official client",
    )
    made = client.create_project(name, options)
    assert isinstance(made, wire.ProjectDetails)
    assert made.settings is not None
    assert made.settings.confidence_threshold == 0.5
    found = client.get_project(name)
    assert (found.project_name, found.project_kind, found.language) == (name, NER, "en-us")
    assert found.created_on is not None
    assert name in [project.project_name for project in client.list_projects()]
    assert "de" in [one.language_code for one in client.list_supported_languages(project_kind=NER)]
    (config,) = client.list_training_config_versions(project_kind=NER)
    assert config.training_config_version == "2022-05-01"
    client.begin_delete_project(name).result()
    with pytest.raises(HttpResponseError) as gone:
        client.get_project(name)
    assert gone.value.status_code == 404


def test_it_imports_and_exports_a_project_file(lab: Lab, credential: DefaultAzureCredential) -> None:
    name, container = unique(), lab.container(texts(3))
    file = project_file(name, container, SINGLE, categories=("A", "B"), documents=classified(3))
    client = lab.project_client(name, credential)
    client.project.begin_import(wire.ExportedProject(file)).result()
    locations: list[str] = []

    def keep(response: Any) -> None:
        locations.extend(filter(None, [response.http_response.headers.get("operation-location")]))

    client.project.begin_export(string_index_type=UTF16, raw_response_hook=keep).result()
    job_id = locations[0].partition("?")[0].rsplit("/", 1)[1]
    job = client.project._get_export_status(job_id)
    assert job.result_url is not None
    answer = client.send_request(HttpRequest("GET", job.result_url))
    assert answer.json() == file


def test_an_import_that_fails_raises_and_its_job_says_why(
    lab: Lab, credential: DefaultAzureCredential
) -> None:
    name = unique()
    file = project_file(name, "nosuchcontainer", SINGLE)
    with pytest.raises(HttpResponseError, match="Operation returned an invalid status"):
        lab.project_client(name, credential).project.begin_import(file).result()


def test_it_locks_labeling_through_the_settings(lab: Lab, credential: DefaultAzureCredential) -> None:
    name = imported(lab)
    before = lab.client(credential).get_project(name)
    options = wire.CreateProjectOptions(
        project_kind=before.project_kind,
        storage_input_container_name=before.storage_input_container_name,
        project_name=name,
        language=before.language,
        settings=wire.ProjectSettings(aml_project_path="/jobs/x", is_labeling_locked=True),
    )
    changed = lab.client(credential).create_project(name, options)
    assert changed.settings is not None
    assert changed.settings.is_labeling_locked is True
    assert changed.settings.aml_project_path == "/jobs/x"


def test_it_trains_evaluates_deploys_swaps_and_cleans_up(
    lab: Lab, credential: DefaultAzureCredential
) -> None:
    name = imported(lab)
    client = lab.project_client(name, credential)
    details = wire.TrainingJobDetails(
        model_label="m",
        training_config_version="latest",
        evaluation_options=wire.EvaluationDetails(
            kind="percentage", training_split_percentage=80, testing_split_percentage=20
        ),
    )
    result = client.project.begin_train(details).result()
    assert result.model_label == "m"
    assert result.training_status.percent_complete == 100
    (job,) = client.project.list_training_jobs()
    assert job.status == "succeeded"
    (model,) = client.project.list_trained_models()
    assert (model.label, model.has_snapshot) == ("m", True)
    assert client.trained_model.get_trained_model("m").model_id == model.model_id
    summary = client.trained_model.get_model_evaluation_summary("m")
    assert isinstance(summary, wire.CustomSingleLabelClassificationEvalSummary)
    figures = summary.custom_single_label_classification_evaluation
    assert 0 <= figures.micro_f1 <= 1
    assert set(figures.confusion_matrix) == {"A", "B", "$none"}
    rows = list(client.trained_model.list_model_evaluation_results("m", string_index_type=UTF16))
    assert len(rows) == 2
    client.trained_model.begin_load_snapshot("m").result()
    for deployment in ("one", "two"):
        client.deployment.begin_deploy_project(
            deployment, wire.CreateDeploymentDetails(trained_model_label="m")
        ).result()
    assert client.deployment.get_deployment("one").model_id == model.model_id
    swap = wire.SwapDeploymentsDetails(first_deployment_name="one", second_deployment_name="two")
    client.project.begin_swap_deployments(swap).result()
    assert {one.deployment_name for one in client.project.list_deployments()} == {"one", "two"}
    for deployment in ("one", "two"):
        client.deployment.begin_delete_deployment(deployment).result()
    client.trained_model.delete_trained_model("m")
    assert list(client.project.list_trained_models()) == []


def test_its_paged_lists_follow_the_next_link(lab: Lab, credential: DefaultAzureCredential) -> None:
    name = imported(lab)
    for label in ("m1", "m2", "m3"):
        lab.finish(
            lab.call("POST", f"/{name}/:train", {"modelLabel": label, "trainingConfigVersion": "latest"})
        )
    client = lab.project_client(name, credential)
    pages = [list(page) for page in client.project.list_trained_models(maxpagesize=2).by_page()]
    assert [[model.label for model in page] for page in pages] == [["m1", "m2"], ["m3"]]


def test_a_token_is_three_parts_and_names_its_audience(credential: DefaultAzureCredential) -> None:
    token = credential.get_token("https://cognitiveservices.azure.com/.default").token
    body = token.split(".")[1]
    assert b"cognitiveservices.azure.com" in base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
