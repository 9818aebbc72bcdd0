"""Each record can be tied to its operation, is written once, and holds no secret."""

import io
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from labelbridge import converter
from labelbridge.errors import LabelbridgeError
from labelbridge.local.temporal import TemporalServer
from labelbridge.settings import Settings
from tests.workers.logged import Logged, speak
from workers import logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    stream = io.StringIO()
    logs.configure(Settings(log_format="json"), stream=stream)
    yield stream
    root.handlers = before
    structlog.reset_defaults()


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_records_name_their_operation_and_are_not_repeated_by_a_replay(
    temporal: TemporalServer, written: io.StringIO
) -> None:
    client = await Client.connect(temporal.address, data_converter=converter.PLAIN)
    queue, operation = uuid.uuid4().hex, "000042-switch"
    workflow_id = f"labelbridge/contoso-1a2b3c4d.tickets/{operation}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Logged],
        activities=[speak],
        interceptors=[logs.LogContext()],
        max_cached_workflows=0,
    ):
        await client.execute_workflow(Logged.run, id=workflow_id, task_queue=queue)
    lines = records(written)
    ours = [line for line in lines if line["event"] == "from workflow"]
    assert [line["number"] for line in ours] == [0, 1, 2]
    theirs = [line["event"] for line in lines if line["event"].startswith("from the SDK")]
    assert len(theirs) == 3
    for line in [*ours, *(line for line in lines if line["event"] == "from activity")]:
        assert line["project"] == "contoso-1a2b3c4d.tickets"
        assert line["operation"] == operation
        assert line["workflow_id"] == workflow_id
    assert {line["epoch"] for line in ours} == {7}
    activities = [line for line in lines if line["event"] == "from activity"]
    assert [(line["epoch"], line["step"]) for line in activities] == [(0, 0), (1, 1), (2, 2)]
    assert {line["activity"] for line in activities} == {"speak"}


def test_records_of_the_sdks_come_through_at_warning_and_without_secrets(written: io.StringIO) -> None:
    azure = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    azure.info("Request headers: Authorization: Bearer abcdefgh12345678")
    azure.warning("refused: %s", "https://a.blob.core.windows.net/c?sig=SECRETSECRET")
    (line,) = records(written)
    assert line["level"] == "warning"
    assert line["logger"] == azure.name
    assert "SECRETSECRET" not in line["event"]


def test_a_secret_in_an_exception_is_taken_out_of_its_traceback(written: io.StringIO) -> None:
    try:
        raise RuntimeError("GET https://a.blob.core.windows.net/c?sig=SECRETSECRET")
    except RuntimeError:
        structlog.get_logger("workers.test").exception("failed", token="SECRETSECRET")
    assert "RuntimeError" in written.getvalue()
    assert "SECRETSECRET" not in written.getvalue()


def test_pretty_records_are_one_line_without_colours_in_a_file() -> None:
    stream, before = io.StringIO(), list(logging.getLogger().handlers)
    try:
        logs.configure(Settings(log_format="pretty"), stream=stream)
        structlog.get_logger("workers.test").info("worker_ready", pid=1)
    finally:
        logging.getLogger().handlers = before
        structlog.reset_defaults()
    assert "worker_ready" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(LabelbridgeError) as caught:
        logs.configure(Settings(log_level="loud"))
    assert caught.value.code == "settings_invalid"
