"""Whatever a workflow does, its history holds its values encrypted: by a real server and worker."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from labelbridge import converter
from labelbridge.encryption.marks import ENCODING
from labelbridge.local.temporal import TemporalServer
from labelbridge.settings import Settings
from tests.encryption.histories import payloads, sealed_by
from tests.encryption.test_keys import written

SECRET = "ward-7-tickets"


@activity.defn(name="fails")
async def fails(text: str) -> str:
    """Beats, then fails with what it was told."""
    activity.heartbeat(text)
    raise ApplicationError(f"cannot do {text}", {"why": text}, type="unavailable")


@workflow.defn(name="child", sandboxed=False)
class Child:
    """Gives back what it got."""

    @workflow.run
    async def run(self, text: str) -> str:
        return text


@workflow.defn(name="chatty", sandboxed=False)
class Chatty:
    """Puts a secret wherever a workflow can put a value."""

    def __init__(self) -> None:
        self.told = ""

    @workflow.run
    async def run(self, text: str) -> str:
        workflow.upsert_memo({"later": text})
        await workflow.execute_child_workflow(
            Child.run, text, id=f"{workflow.info().workflow_id}/child", memo={"c": text}
        )
        await workflow.sleep(0.01, summary=text)
        try:
            await workflow.execute_activity(
                fails,
                text,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=text,
            )
        except ActivityError as error:
            await workflow.wait_condition(lambda: bool(self.told))
            raise ApplicationError(f"gave up {text}", self.told, type="gave_up") from error
        return text

    @workflow.update
    async def tell(self, text: str) -> str:
        return text

    @workflow.signal
    def end(self, text: str) -> None:
        self.told = text

    @workflow.query
    def asked(self, text: str) -> str:
        return text


async def test_every_value_of_a_history_is_encrypted_but_search_attributes(
    temporal: TemporalServer, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, encryption={"keys_file": written(tmp_path / "keys.json")})
    client = await Client.connect(
        temporal.address, data_converter=converter.data_converter(settings, "default")
    )
    workflow_id = f"chatty-{uuid.uuid4().hex}"
    async with Worker(client, task_queue="q", workflows=[Chatty, Child], activities=[fails]):
        handle = await client.start_workflow(
            Chatty.run, SECRET, id=workflow_id, task_queue="q", memo={"first": SECRET}, static_summary=SECRET
        )
        assert await handle.execute_update(Chatty.tell, SECRET) == SECRET
        assert await handle.query(Chatty.asked, SECRET) == SECRET
        await handle.signal(Chatty.end, SECRET)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, ApplicationError)
        assert (caught.value.cause.message, caught.value.cause.details) == (f"gave up {SECRET}", (SECRET,))
        assert await (await handle.describe()).memo_value("later") == SECRET

    raw = await Client.connect(temporal.address)
    seen = 0
    for one in (workflow_id, f"{workflow_id}/child"):
        described = await raw.get_workflow_handle(one).describe()
        history = await raw.get_workflow_handle(one).fetch_history()
        for message in (*history.events, described.raw_description):
            assert sealed_by(message) <= {"a"}
            assert SECRET not in str(message)
            seen += sum(p.metadata["encoding"] == ENCODING for p, _ in payloads(message))
    assert seen >= 15
