"""Cancellation: undone before the commit, completed after it."""

import asyncio

import pytest

from labelbridge.client import OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Outcome, Studio, SwitchRequest, TrainRequest
from labelbridge.plans import Step
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Fault, Rehearsal


async def _cancelled_at(r: Rehearsal, step: Step, to: Studio) -> OperationHandle:
    handle = await r.bridge.start(r.ref, SwitchRequest(to=to))
    await r.reaches(handle, step)
    await handle.cancel()
    return handle


@pytest.mark.parametrize("step", [Step.INTEND, Step.DRAIN])
async def test_a_switch_cancelled_before_its_commit_is_undone(
    new_rehearsal: NewRehearsal, step: Step
) -> None:
    r = new_rehearsal()
    await r.connect()
    await asyncio.to_thread(r.labelers.start)
    before = r.evidence.record()
    handle = await _cancelled_at(r, step, Studio.AZUREML)
    with pytest.raises(LabelbridgeError) as end:
        await handle.result(300)
    assert end.value.code == "cancelled"
    await r.gates_become(language=True, azureml=False)
    after = r.evidence.record()
    assert (after["active"], after["epoch"], after["transition"]) == ("language", before["epoch"], None)
    trail = await r.bridge.history(r.ref)
    assert trail[-1].outcome is Outcome.CANCELLED
    await asyncio.to_thread(r.labelers.stop)
    r.assert_nothing_lost(Studio.LANGUAGE)


async def test_a_switch_back_cancelled_during_its_delivery_gives_language_its_labels_back(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    await r.connect()
    await r.switch(Studio.AZUREML)
    before = r.evidence.language_labels()
    await asyncio.to_thread(r.labelers.start)
    # The import is done and nobody hears of it until the cancellation is on its way.
    with Fault(r.stack, f"/projects/{r.ref.name}/import/jobs/", "hang", method="GET") as held:
        handle = await r.bridge.start(r.ref, SwitchRequest(to=Studio.LANGUAGE))
        await held.holds()
        await handle.cancel()
    with pytest.raises(LabelbridgeError) as end:
        await handle.result(300)
    assert end.value.code == "cancelled"
    await r.gates_become(language=False, azureml=True)
    assert r.evidence.language_labels() == before
    await asyncio.to_thread(r.labelers.stop)
    r.assert_nothing_lost(Studio.AZUREML)


async def test_a_switch_cancelled_after_its_commit_is_completed(new_rehearsal: NewRehearsal) -> None:
    r = new_rehearsal()
    await r.connect()
    await asyncio.to_thread(r.labelers.start)
    handle = await _cancelled_at(r, Step.LOOK_AGAIN, Studio.AZUREML)
    result = r.note(await handle.result(300))
    assert (result.active, result.epoch) == (Studio.AZUREML, 1)
    await r.gates_become(language=False, azureml=True)
    await asyncio.to_thread(r.labelers.stop)
    r.assert_nothing_lost(Studio.AZUREML)


async def test_a_cancelled_training_cancels_the_training_job(new_rehearsal: NewRehearsal) -> None:
    r = new_rehearsal(documents=12, labelled=12)
    with Fault(r.stack, f"/projects/{r.ref.name}/train/jobs", "delay", seconds=0.5):
        handle = await r.bridge.start(r.ref, TrainRequest(model="m1"))
        await r.reaches(handle, Step.TRAIN)
        await handle.cancel()
        with pytest.raises(LabelbridgeError) as end:
            await handle.result(300)
    assert end.value.code == "cancelled"
    assert (await r.bridge.status(r.ref)).models == ()
    assert (await r.bridge.history(r.ref))[-1].outcome is Outcome.CANCELLED
