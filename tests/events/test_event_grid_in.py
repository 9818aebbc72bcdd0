"""Event Grid delivers: both handshakes, who may, how much, and once."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.client import Client

from labelbridge.azure.session import AzureSession
from labelbridge.console import eventgrid, problems
from labelbridge.errors import LabelbridgeError
from labelbridge.events.exports import export_of
from labelbridge.model import Actor, Claim, JobRef, ProjectRef
from labelbridge.registry import Registry
from labelbridge.settings import Settings
from tests.events.conftest import MakeSettings, OpenStores

KEY = "a-long-shared-key"
TOPIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contosodata"
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


class Parts:
    """What the console's application has at hand."""

    def __init__(self, client: Client, session: AzureSession) -> None:
        self._client = client
        self._session = session

    async def client(self) -> Client:
        return self._client

    async def session(self) -> AzureSession:
        return self._session

    async def claims(self, token: str) -> dict[str, Any]:
        """Checked elsewhere (tests/console); here only what is made of the claims."""
        if token == "good":
            return {"oid": "1", "roles": [eventgrid.APP_ROLE]}
        if token == "a reader":
            return {"oid": "1", "roles": ["Labelbridge.Reader"]}
        raise LabelbridgeError("unauthenticated")


def _http(settings: Settings, client: Client, session: AzureSession) -> httpx.AsyncClient:
    app = FastAPI()
    parts = Parts(client, session)
    app.state.settings = settings
    app.state.temporal = app.state.reading = app.state.provider = parts
    app.include_router(eventgrid.router)
    for kind in problems.HANDLED:
        app.add_exception_handler(kind, problems.handle)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://console.example")


@pytest.fixture
def settings(events_settings: MakeSettings) -> Settings:
    found = events_settings()
    return found.model_copy(
        update={
            "events": found.events.model_copy(update={"event_grid_key": SecretStr(KEY), "body_limit": 9000})
        }
    )


@pytest.fixture
def http(settings: Settings, client: Client, session: AzureSession) -> httpx.AsyncClient:
    return _http(settings, client, session)


def blob_created(job: str, number: int = 1, *, cloud: bool = False, **changes: Any) -> dict[str, Any]:
    """An event as Event Grid's documentation of Blob Storage has it."""
    subject = f"/blobServices/default/containers/ws/blobs/Labeling/export/dataset/{job}/{number}/labels.jsonl"
    data = {"api": "PutBlob", "eTag": "0x8D4BCC2E4835CD0", "contentLength": 524288, "blobType": "BlockBlob"}
    event = {"id": f"831e1650-001e-001b-66ab-eeb76e06963{number}", "subject": subject, "data": data}
    if cloud:
        event |= {"specversion": "1.0", "type": "Microsoft.Storage.BlobCreated", "source": TOPIC}
        return {**event, "time": "2026-03-01T12:00:00Z", **changes}
    event |= {
        "topic": TOPIC,
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-03-01T12:00:00Z",
    }
    return {**event, "dataVersion": "", "metadataVersion": "1", **changes}


async def test_the_validation_event_is_answered_with_its_code(http: httpx.AsyncClient) -> None:
    event = {
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
        "topic": TOPIC,
        "subject": "",
        "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://x"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-03-01T12:00:00Z",
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    answer = await http.post(eventgrid.PATH, params={"key": KEY}, json=[event])
    assert answer.status_code == 200
    assert answer.json() == {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}


async def test_the_handshake_of_cloudevents_is_answered_for_event_grid_and_nobody_else(
    http: httpx.AsyncClient,
) -> None:
    asked = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    answer = await http.options(eventgrid.PATH, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert answer.headers["webhook-allowed-rate"] == "*"
    for other in ({"WebHook-Request-Origin": "evil.example"}, {}):
        answer = await http.options(eventgrid.PATH, headers=other)
        assert answer.status_code == 403
        assert "webhook-allowed-origin" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({}, 401, "unauthenticated"),
        ({"params": {"key": "wrong"}}, 401, "unauthenticated"),
        ({"params": {"key": KEY + "x"}}, 401, "unauthenticated"),
        ({"headers": {"x-labelbridge-key": "wrong", "authorization": "Bearer good"}}, 401, "unauthenticated"),
        ({"headers": {"authorization": "Bearer forged"}}, 401, "unauthenticated"),
        ({"headers": {"authorization": f"Basic {KEY}"}}, 401, "unauthenticated"),
        ({"headers": {"authorization": "Bearer a reader"}}, 403, "role_missing"),
        ({"headers": {"authorization": "Bearer good"}}, 200, None),
        ({"headers": {"x-labelbridge-key": KEY}}, 200, None),
        ({"params": {"key": KEY}}, 200, None),
    ],
)
async def test_only_event_grid_may_deliver(
    http: httpx.AsyncClient, sent: dict[str, Any], status: int, code: str | None
) -> None:
    answer = await http.post(eventgrid.PATH, content=b"[]", **sent)
    assert answer.status_code == status
    if code:
        assert answer.json()["code"] == code


async def test_without_a_key_in_the_settings_no_key_opens(
    events_settings: MakeSettings, client: Client, session: AzureSession
) -> None:
    http = _http(events_settings(), client, session)
    for key in ("", "x", "None"):
        answer = await http.post(eventgrid.PATH, content=b"[]", params={"key": key})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 422, "input_invalid"),
        (b"[1]", 422, "input_invalid"),
        (b'"x"', 422, "input_invalid"),
        (b"[{}]", 422, "input_invalid"),
        (b'{"specversion": "1.0", "id": "", "source": "x", "type": "y"}', 422, "input_invalid"),
        (b"[" * 4000, 422, "input_invalid"),
        (b" " * 9001, 413, "too_large"),
    ],
)
async def test_what_is_no_event_or_too_large_is_refused(
    http: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    answer = await http.post(eventgrid.PATH, content=body, params={"key": KEY})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_event_that_comes_many_times_in_both_schemas_starts_one_look_for_each_project(
    http: httpx.AsyncClient,
    settings: Settings,
    open_stores: OpenStores,
    client: Client,
    session: AzureSession,
) -> None:
    await open_stores(settings)
    job = settings.temporal.task_queue
    registry = Registry(session.blobs(settings.registry.account), settings.registry.container)
    for workspace in (WORKSPACE, f"{WORKSPACE}2"):  # two workspaces, one name
        project = ProjectRef(language_resource=RESOURCE, name=f"p{len(workspace)}-{job}")
        claim = Claim(
            job=JobRef(workspace=workspace, name=job),
            project=project,
            operation_id="000001-connect-x",
            actor=Actor(object_id="1"),
            claimed_at=datetime.now(UTC),
        )
        await registry.claim(claim)

    async def send(*events: dict[str, Any], batch: bool = True) -> int:
        body = json.dumps(list(events) if batch else events[0])
        answer = await http.post(eventgrid.PATH, params={"key": KEY}, content=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["started"])

    same = [blob_created(job, 1, cloud=one % 2 == 0) for one in range(6)]
    counts = await asyncio.gather(*(send(event, batch=number < 3) for number, event in enumerate(same)))
    assert sum(counts) == 2, "one for each project, however often it came"
    assert await send(*same) == 0
    assert await send(blob_created(job, 1, topic=f"{TOPIC}2"), blob_created(job, 2)) == 4
    assert await send(blob_created("another-job", 3), blob_created(job, 4, eventType="x.BlobDeleted")) == 0
    for name in (f"p{len(WORKSPACE)}-{job}", f"p{len(WORKSPACE) + 1}-{job}"):
        key = ProjectRef(language_resource=RESOURCE, name=name).key
        query = f"WorkflowId STARTS_WITH 'labelbridge/auto-sync/{key}/'"
        async for one in client.list_workflows(query):
            await client.get_workflow_handle(one.id).terminate("no worker serves this queue")


@pytest.mark.parametrize(
    ("path", "job"),
    [
        ("Labeling/export/dataset/job-1/7/labels.jsonl", "job-1"),
        ("some/folder/Labeling/export/csv/job-1/7/labels.csv", "job-1"),
        ("Labeling/export/job-1/x/labels.jsonl", "job-1"),
        ("Labeling/export/dataset/job-1/7/MLTable", None),
        ("labels.jsonl", None),
        ("xLabeling/export/dataset/job-1/7/labels.jsonl", None),
    ],
)
def test_a_path_is_that_of_an_export_of_a_labeling_job_or_of_none(
    settings: Settings, path: str, job: str | None
) -> None:
    found = export_of(
        TOPIC, f"/blobServices/default/containers/ws/blobs/{path}", settings.events.export_pattern
    )
    assert (found.job if found else None) == job
    if found:
        assert (found.account, found.container, found.path) == ("contosodata", "ws", path)
