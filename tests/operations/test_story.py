"""The whole life of a connection, for all three project kinds at once, people at work throughout."""

import asyncio

from labelbridge.local.referee import named
from labelbridge.model import Outcome, ProjectKind, Studio, SwitchRequest
from labelbridge.plans import plan
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Rehearsal, eventually
from workers.versioning import replayer


async def test_connected_labelled_switched_synced_trained_switched_back_and_disconnected(
    new_rehearsal: NewRehearsal,
) -> None:
    rehearsals = [new_rehearsal(kind, documents=14, labelled=12) for kind in ProjectKind]
    await asyncio.gather(*(_story(rehearsal) for rehearsal in rehearsals))


async def _story(r: Rehearsal) -> None:
    await asyncio.to_thread(r.labelers.start)
    connected = await r.connect()
    assert (connected.active, connected.epoch) == (Studio.LANGUAGE, 0)
    assert r.evidence.claim()["operation_id"] == connected.operation_id
    assert r.evidence.linked_job()
    await r.gates_become(language=True, azureml=False)

    there = await r.switch(Studio.AZUREML)
    assert (there.active, there.epoch) == (Studio.AZUREML, 1)
    assert there.labels_disabled_seconds is not None
    assert there.snapshot is not None
    assert r.evidence.asset_labels(there.snapshot.id) == r.evidence.snapshot(there.snapshot.id)
    await r.gates_become(language=False, azureml=True)
    await _labels_in(r, Studio.AZUREML, 12)

    snapshot = await r.bridge.sync(r.ref, timeout=300)
    assert snapshot.source == "azureml"
    assert r.evidence.language_labels() == r.evidence.snapshot(snapshot.id)

    trained = await r.bridge.train(r.ref, model="m1", timeout=300)
    assert trained.model is not None
    assert r.evidence.language_labels("m1") == r.evidence.snapshot(trained.model.snapshot)

    back = await r.switch(Studio.LANGUAGE)
    assert (back.active, back.epoch) == (Studio.LANGUAGE, 2)
    assert back.merge is not None
    await r.gates_become(language=True, azureml=False)

    gone = await r.bridge.disconnect(r.ref, timeout=300)
    assert (gone.active, gone.epoch) == (Studio.LANGUAGE, 2)
    await asyncio.to_thread(r.labelers.stop)
    assert await asyncio.to_thread(r.evidence.job_is_retired)
    assert r.evidence.linked_job() is None
    r.assert_nothing_lost(Studio.LANGUAGE)
    await _record_and_trail(r)
    await _histories_replay(r)


async def _labels_in(r: Rehearsal, studio: Studio, documents: int) -> None:
    async def look() -> bool | None:
        seen = await asyncio.to_thread(r.evidence.studio_labels, studio)
        return True if len(seen) >= documents else None

    await eventually(look, f"people labelled too little in {studio}")


async def _record_and_trail(r: Rehearsal) -> None:
    """The record is at rest, the trail names every operation once, each with the steps of its plan."""
    record = r.evidence.record()
    assert record["transition"] is None
    assert record["connection"] is None
    assert [job["name"] for job in record["retired"]] == [r.job_name]
    assert [model["label"] for model in record["models"]] == ["m1"]
    trail = await r.bridge.history(r.ref)
    kinds = ["connect", "switch", "sync", "train", "switch", "disconnect"]
    assert [entry.kind.value for entry in trail] == kinds
    assert {entry.outcome for entry in trail} == {Outcome.COMMITTED}
    for result in r.results:
        assert all(r.evidence.snapshot(one) is not None for one in named(result))


async def test_a_finished_switch_shows_the_steps_of_its_plan(new_rehearsal: NewRehearsal) -> None:
    r = new_rehearsal()
    await r.connect()
    request = SwitchRequest(to=Studio.AZUREML)
    planned = plan(request, await r.bridge.status(r.ref))
    handle = await r.bridge.start(r.ref, request)
    await handle.result(300)
    progress = await eventually(handle.progress, "the timeline of a switch that has ended")
    assert [step.name for step in progress.steps] == [step.name.value for step in planned]


async def _histories_replay(r: Rehearsal) -> None:
    """Every workflow of the story replays to the same commands, from its history alone."""
    replaying = replayer(converter=r.bridge.client.data_converter)
    ids = [r.ref.workflow_id]
    ids += [f"{r.ref.workflow_id}/{entry.operation_id}" for entry in await r.bridge.history(r.ref)]
    for workflow_id in ids:
        history = await r.bridge.client.get_workflow_handle(workflow_id).fetch_history()
        await replaying.replay_workflow(history)
