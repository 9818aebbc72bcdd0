"""What a request leaves behind in the caller's process when nobody answers it."""

import asyncio
import gc
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import _submit
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Actor, ProjectRef, Submission, SyncRequest

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"


async def test_a_request_that_was_not_answered_leaves_nothing_for_asyncio_to_complain_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RPCError("out of breath", RPCStatusCode.UNAVAILABLE, b"")

    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    client = await Client.connect("127.0.0.1:9", lazy=True, data_converter=pydantic_data_converter)
    monkeypatch.setattr(client.workflow_service, "execute_multi_operation", fail)
    monkeypatch.setattr(client.workflow_service, "signal_with_start_workflow_execution", fail)
    submission = Submission(
        request_id="once",
        actor=Actor(object_id="00000000-0000-0000-0000-000000000001", name="ann"),
        submitted_at=datetime.now(UTC),
        request=SyncRequest(),
    )
    with pytest.raises(LabelbridgeError) as refusal:
        await _submit.submit(
            client, "queue", ProjectRef(language_resource=RESOURCE, name="letters"), submission, 0
        )
    assert refusal.value.code == "temporal_unreachable"
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
