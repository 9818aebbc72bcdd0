"""Steps that can never succeed: final by type, rolled back at a deadline, or visible until somebody mends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from labelbridge import names
from labelbridge._offline import stores
from labelbridge.client import OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.events.event import EventType
from labelbridge.local.stack import CONFIG_FILE, Stack
from labelbridge.model import ErrorInfo, Outcome, Studio, SwitchRequest, SyncRequest
from labelbridge.plans import Step
from tests.operations.by_hand import Hand, at_rest
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Fault, Rehearsal, eventually

IMPATIENT = {"LABELBRIDGE_TIMING__STEP_PATIENCE": "PT15S"}
RESTLESS = {"LABELBRIDGE_TIMING__DRAIN_DEADLINE": "PT8S"}
TRUNCATED = '{"jobId": "1", "status": "succ'


@pytest.fixture(autouse=True)
async def _impatient_worker(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[None]:
    """For long tests: a worker whose patience they can wait out. The others do without: they wait for none."""
    if request.node.get_closest_marker("long") is None:
        yield
        return
    environment = stack.child("worker-1").environment
    before = dict(environment)
    environment.update(IMPATIENT)
    await asyncio.to_thread(stack.restart, "worker-1")
    yield
    environment.clear()
    environment.update(before)
    await asyncio.to_thread(stack.restart, "worker-1")


async def to_azureml(r: Rehearsal) -> OperationHandle:
    return await r.bridge.start(r.ref, SwitchRequest(to=Studio.AZUREML))


async def needs_a_person(r: Rehearsal, code: str) -> ErrorInfo:
    """Wait until the project's status says so, and hold that lists of projects say it too."""

    async def look() -> ErrorInfo | None:
        return (await r.bridge.status(r.ref)).attention

    why = await eventually(look, "nobody was asked for", patience=120)
    assert why.code == code, why

    async def listed() -> bool | None:
        query = f"{names.ATTENTION_ATTRIBUTE} = '{code}'"
        found = [one.id async for one in r.bridge.client.list_workflows(query)]
        return True if r.ref.workflow_id in found else None

    await eventually(listed, "no list shows it")
    return why


async def told_of(r: Rehearsal, kind: EventType) -> list[str]:
    """Codes of the errors of which events of this type tell, of this project."""
    async with stores(r.bridge.settings) as opened:
        events = await opened.outbox.read(0, 100_000)
    ours = [one for one in events if one.type == kind and one.data["project"]["key"] == r.ref.key]
    return [one.data["error"]["code"] for one in ours]


# Before the commit.


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(
            {"kind": "status", "status": 403}, "forbidden", id="a role that was taken away: at once"
        ),
        pytest.param({"kind": "status", "status": 500}, "unavailable", id="a service that is broken"),
        pytest.param({"kind": "garbage"}, "unavailable", id="a proxy that answers 200 with a page"),
        pytest.param({"kind": "garbage", "body": TRUNCATED}, "unavailable", id="half an answer"),
        pytest.param({"kind": "garbage", "body": "{}"}, "unavailable", id="an answer that says nothing"),
    ],
)
async def test_before_the_commit_what_cannot_succeed_rolls_back(
    new_rehearsal: NewRehearsal, fault: dict[str, object], code: str
) -> None:
    r = new_rehearsal()
    await r.connect()
    before = await asyncio.to_thread(r.evidence.record)
    with Fault(r.stack, f"/projects/{r.ref.name}/(:export|export/)", **fault):  # type: ignore[arg-type]
        handle = await to_azureml(r)
        with pytest.raises(LabelbridgeError) as end:
            await handle.result(300)
    assert end.value.code == code, end.value
    await r.gates_become(language=True, azureml=False)
    after = await asyncio.to_thread(r.evidence.record)
    assert (after["active"], after["epoch"], after["transition"]) == ("language", before["epoch"], None)
    assert (await r.bridge.history(r.ref))[-1].outcome is Outcome.ROLLED_BACK


# After the commit.


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(
            {"kind": "status", "status": 403}, "forbidden", id="a role that was taken away: at once"
        ),
        pytest.param(
            {"kind": "status", "status": 500},
            "unavailable",
            id="a service that is broken",
            marks=pytest.mark.long,
        ),
    ],
)
async def test_after_the_commit_it_is_visible_what_a_person_must_do_and_the_operation_ends_when_that_is_done(
    new_rehearsal: NewRehearsal, fault: dict[str, object], code: str
) -> None:
    r = new_rehearsal()
    await r.connect()
    with Fault(r.stack, f"/{r.job_name}/resume", **fault):  # type: ignore[arg-type]
        handle = await to_azureml(r)
        why = await needs_a_person(r, code)
        assert why.remedy
        progress = await eventually(handle.progress, "the timeline of a switch that needs a person")
        assert progress.attention is not None
        assert progress.attention.code == why.code
        (running,) = [step for step in progress.steps if step.name == Step.OPEN]
        assert running.note.startswith("needs a person: ")
        # It goes only forward: a cancellation is not heeded any more.
        await handle.cancel()
        assert (await r.bridge.status(r.ref)).running is not None
    result = await handle.result(300)
    assert (result.active, result.epoch) == (Studio.AZUREML, 1)
    assert (await r.bridge.status(r.ref)).attention is None
    assert await told_of(r, EventType.PERSON) == [code]


# The record itself.


@pytest.mark.long
async def test_a_record_of_garbage_stops_the_project_visibly_and_nothing_is_overwritten(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    await r.connect()
    await at_rest(r)
    hand = Hand(r)
    whole = await asyncio.to_thread(hand.record)
    await hand.do(hand.overwrite_record, b"<html>gone</html>")
    with pytest.raises(LabelbridgeError) as first:
        await r.bridge.sync(r.ref, timeout=300)
    assert first.value.code == "record_unreadable"
    entity = r.bridge.client.get_workflow_handle(r.ref.workflow_id)

    async def refused() -> bool | None:
        try:
            await r.bridge.start(r.ref, SyncRequest(), accept_timeout=timedelta(seconds=30))
        except LabelbridgeError as error:
            return True if error.code == "record_unreadable" else None
        return None

    await eventually(refused, "requests were not refused", patience=120)
    assert (await entity.describe()).status is not None
    assert await asyncio.to_thread(hand.record) == b"<html>gone</html>"
    await hand.do(hand.overwrite_record, whole)

    async def served() -> bool | None:
        try:
            await r.bridge.sync(r.ref, timeout=300)
        except LabelbridgeError as error:
            return None if error.code == "record_unreadable" else False
        return True

    assert await eventually(served, "the project did not come back", patience=120)


# A drain that cannot settle.


@pytest.mark.long
async def test_labels_that_never_come_to_rest_roll_a_switch_back_at_its_deadline(
    stack: Stack, new_rehearsal: NewRehearsal
) -> None:
    stack.child("worker-1").environment.update(RESTLESS)
    await asyncio.to_thread(stack.restart, "worker-1")
    r = new_rehearsal()
    await r.connect()
    config = stack.directory / CONFIG_FILE
    kind = config.read_text()
    open_session = json.loads(kind)
    open_session["nasty"]["gate_takes_effect_after"] = 3600.0
    config.write_text(json.dumps(open_session))
    try:
        await asyncio.to_thread(stack.restart, "azure")
        await asyncio.to_thread(r.labelers.start)
        handle = await to_azureml(r)
        with pytest.raises(LabelbridgeError) as end:
            await handle.result(300)
        assert end.value.code == "drain_deadline"
        await r.gates_become(language=True, azureml=False)
    finally:
        await asyncio.to_thread(r.labelers.stop)
        config.write_text(kind)
        await asyncio.to_thread(stack.restart, "azure")
    assert r.labelers.acknowledged(Studio.LANGUAGE) > 0
    r.assert_nothing_lost(Studio.LANGUAGE)
    record = await asyncio.to_thread(r.evidence.record)
    assert (record["active"], record["epoch"], record["transition"]) == ("language", 0, None)
