"""A worker, Temporal or the studios' server dies in the middle of a switch; the logs judge what is left."""

import asyncio

import pytest

from labelbridge.client import OperationHandle
from labelbridge.model import Studio, SwitchRequest
from labelbridge.plans import Step
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Fault, Rehearsal


async def _switch_under_way(r: Rehearsal) -> OperationHandle:
    return await r.bridge.start(r.ref, SwitchRequest(to=Studio.LANGUAGE))


async def _in_azureml(new_rehearsal: NewRehearsal) -> Rehearsal:
    r = new_rehearsal()
    await r.connect()
    await r.switch(Studio.AZUREML)
    await asyncio.to_thread(r.labelers.start)
    return r


async def _ends_in_language(r: Rehearsal, handle: OperationHandle) -> None:
    r.note(await handle.result(300))
    await r.gates_become(language=True, azureml=False)
    await asyncio.to_thread(r.labelers.stop)
    r.assert_nothing_lost(Studio.LANGUAGE)
    assert r.evidence.record()["transition"] is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/pause", "hang", id="at the gate, before its effect"),
        pytest.param("/:import", "hang_after", id="at the delivery, after its effect"),
        pytest.param("/read-nothing", "hang", id="while labels come to rest"),
    ],
)
async def test_a_worker_killed_in_the_middle_of_a_switch_is_replaced_and_the_switch_completes(
    new_rehearsal: NewRehearsal, path: str, kind: str
) -> None:
    r = await _in_azureml(new_rehearsal)
    with Fault(r.stack, path, kind, times=1) as fault:
        handle = await _switch_under_way(r)
        if path == "/read-nothing":
            await r.reaches(handle, Step.DRAIN)
        else:
            await fault.holds()
        await asyncio.to_thread(r.stack.kill, "worker-1")
    await asyncio.to_thread(r.stack.restart, "worker-1")
    await _ends_in_language(r, handle)


async def test_a_worker_killed_between_the_commit_and_the_opening_is_replaced_and_language_opens(
    new_rehearsal: NewRehearsal,
) -> None:
    r = await _in_azureml(new_rehearsal)
    handle = await _switch_under_way(r)
    await r.reaches(handle, Step.OPEN)
    await asyncio.to_thread(r.stack.kill, "worker-1")
    assert r.evidence.record()["active"] == "language"
    await asyncio.to_thread(r.stack.restart, "worker-1")
    await _ends_in_language(r, handle)


@pytest.mark.parametrize("part", ["temporal", "azure", "azurite"])
async def test_a_server_killed_and_restarted_in_the_middle_of_a_switch_loses_nothing(
    new_rehearsal: NewRehearsal, part: str
) -> None:
    r = await _in_azureml(new_rehearsal)
    handle = await _switch_under_way(r)
    await r.reaches(handle, Step.DRAIN)
    await asyncio.to_thread(r.stack.kill, part)
    await asyncio.to_thread(r.stack.restart, part)
    await _ends_in_language(r, handle)


async def test_an_operation_terminated_by_hand_is_brought_back_by_itself(new_rehearsal: NewRehearsal) -> None:
    r = await _in_azureml(new_rehearsal)
    handle = await _switch_under_way(r)
    await r.reaches(handle, Step.DRAIN)
    await r.bridge.client.get_workflow_handle(handle.workflow_id).terminate("by a test")
    await r.gates_become_in_time(language=False, azureml=True)
    await asyncio.to_thread(r.labelers.stop)
    r.assert_nothing_lost(Studio.AZUREML)
    record = r.evidence.record()
    assert (record["active"], record["epoch"]) == ("azureml", 1)
    result = await r.switch(Studio.LANGUAGE)
    assert result.epoch == 2
