"""The entity: exactly once through continue-as-new, outages of workers, races and many callers."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from labelbridge import _submit, names
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.labelers import Write
from labelbridge.local.referee import Labels
from labelbridge.local.stack import Stack
from labelbridge.model import (
    OperationKind,
    Outcome,
    Studio,
    Submission,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.model.steps import EntityState, LedgerEntry
from labelbridge.plans import Step
from labelbridge.registry import Registry
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Fault, Rehearsal, eventually


async def test_an_entity_that_continues_as_new_under_six_clients_runs_each_request_exactly_once(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    client = r.bridge.client
    first = await client.start_workflow(
        names.ENTITY_WORKFLOW,
        EntityState(project=r.ref, continue_after=3),
        id=r.ref.workflow_id,
        task_queue=r.bridge.settings.temporal.task_queue,
    )
    await r.connect()
    answers: dict[str, str] = {}

    async def caller(number: int) -> None:
        for turn in range(5):
            key = f"{number}-{turn}"
            handle = await r.bridge.start(r.ref, SyncRequest(), key=key)
            answers[key] = handle.operation_id
            await handle.result(300)

    await asyncio.gather(*(caller(number) for number in range(6)))
    assert len(answers) == 30

    repeated = {key: (await r.bridge.start(r.ref, SyncRequest(), key=key)).operation_id for key in answers}
    assert repeated == answers
    trail = [e for e in await r.bridge.history(r.ref) if e.kind is OperationKind.SYNC]
    ran = [entry.operation_id for entry in trail]
    assert sorted(ran) == sorted(set(answers.values()))
    assert {entry.outcome for entry in trail} == {Outcome.COMMITTED}
    described = await client.get_workflow_handle(r.ref.workflow_id).describe()
    assert described.run_id != first.result_run_id, "the entity never continued as new: this proves nothing"


async def test_fifty_callers_of_sync_at_once_make_at_most_two_exports_and_each_gets_fresh_labels(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    await r.connect()
    await r.switch(Studio.AZUREML)
    await asyncio.to_thread(r.labelers.start)

    async def labelled() -> bool | None:
        return True if r.labelers.acknowledged(Studio.AZUREML) >= 10 else None

    await eventually(labelled, "nobody labels in Azure ML: this proves nothing")
    asked = datetime.now(UTC).isoformat(timespec="milliseconds")
    with Fault(r.stack, f"/{r.job_name}/exportLabels", "delay", seconds=0.0) as exports:
        # With keys of their own they do not share one request, as callers in fifty processes do not.
        snapshots = await asyncio.gather(
            *(r.bridge.sync(r.ref, key=uuid4().hex, timeout=300) for _ in range(50))
        )
        assert 1 <= (await asyncio.to_thread(exports.view))["struck"] <= 2
    await asyncio.to_thread(r.labelers.stop)
    assert len({snapshot.id for snapshot in snapshots}) <= 2
    for one in {snapshot.id for snapshot in snapshots}:
        assert _older_than(asked, r.labelers.log(), r.evidence.snapshot(one)) == []


def _older_than(asked: str, log: Sequence[Write], held: Labels) -> list[str]:
    """Documents of which a snapshot shows neither what was acknowledged by then nor anything later."""
    writes = [write for write in log if write.studio is Studio.AZUREML]
    found = []
    for document in {write.document for write in writes}:
        ours = [write for write in writes if write.document == document]
        before = [w.sequence for w in ours if w.outcome == "acknowledged" and w.sequence and w.at < asked]
        good = [w.labels for w in ours if w.sequence is None or w.sequence >= max(before, default=0)]
        if before and held.get(document, ()) not in good:
            found.append(document)
    return found


async def test_a_sync_asked_for_before_another_began_and_heard_after_it_ended_shares_it(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    await r.connect()
    client, queue = r.bridge.client, r.bridge.settings.temporal.task_queue
    before = await _submit.syncs_begun(client, r.ref)
    handle = await r.bridge.start(r.ref, SyncRequest())
    await handle.result(300)
    after = await _submit.syncs_begun(client, r.ref)
    assert before is not None
    assert after == before + 1

    async def ask(begun: int | None, request: SyncRequest) -> str:
        submission = Submission(
            request_id=uuid4().hex,
            actor=await r.bridge.actor(),
            submitted_at=datetime.now(UTC),
            syncs_begun=begun,
            request=request,
        )
        return (await _submit.submit(client, queue, r.ref, submission, 60)).operation_id

    assert await ask(before, SyncRequest()) == handle.operation_id
    assert await ask(before, SyncRequest(merge=True)) != handle.operation_id
    assert await ask(after, SyncRequest()) != handle.operation_id
    assert await ask(None, SyncRequest()) != handle.operation_id


async def test_a_request_made_while_no_worker_is_up_is_kept_and_runs_once(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal(documents=12, labelled=12)
    request = TrainRequest(model="m1")
    await asyncio.to_thread(r.stack.kill, "worker-1")
    try:
        with pytest.raises(LabelbridgeError) as answer:
            await r.bridge.start(r.ref, request, key="only-once", accept_timeout=timedelta(seconds=6))
        assert answer.value.code == "no_worker"
    finally:
        await asyncio.to_thread(r.stack.restart, "worker-1")

    async def ran() -> bool | None:
        return True if await r.bridge.history(r.ref) else None

    await eventually(ran, "the request that was kept did not run")
    handle = await r.bridge.start(r.ref, request, key="only-once")
    await handle.result(300)
    trail = await r.bridge.history(r.ref)
    assert [(e.kind, e.operation_id) for e in trail] == [(OperationKind.TRAIN, handle.operation_id)]


async def test_a_key_that_was_refused_is_judged_anew_when_it_is_used_again(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    await r.connect()
    switch = await r.bridge.start(r.ref, SwitchRequest(to=Studio.AZUREML))
    with pytest.raises(LabelbridgeError, match="operation_running"):
        await r.bridge.start(r.ref, TrainRequest(model="m1"), key="while another ran")
    await switch.result(300)
    with Fault(r.stack, f"/projects/{r.ref.name}\\?", "status", method="GET", status=403):
        with pytest.raises(LabelbridgeError):
            await r.bridge.sync(r.ref, timeout=300)
        await eventually(lambda: _attention(r), "the entity can look at the project")
        with pytest.raises(LabelbridgeError, match="registry_unreachable"):
            await r.bridge.start(r.ref, SyncRequest(), key="while a role was missing")

    async def sees() -> bool | None:
        return None if await _attention(r) else True

    await eventually(sees, "the entity does not look again")
    synced = await r.bridge.start(r.ref, SyncRequest(), key="while a role was missing")
    await synced.result(300)
    again = await r.bridge.start(r.ref, SyncRequest(), key="while a role was missing")
    assert again.operation_id == synced.operation_id, "one key ran twice"


async def test_a_refusal_of_what_was_left_as_a_signal_does_not_outlive_the_operation_that_it_named(
    new_rehearsal: NewRehearsal,
) -> None:
    r, key = new_rehearsal(documents=12, labelled=12), "left as a signal"
    request = TrainRequest(model="m1", labels="as-is")
    client, queue = r.bridge.client, r.bridge.settings.temporal.task_queue
    submission = Submission(
        request_id=key, actor=await r.bridge.actor(), submitted_at=datetime.now(UTC), request=request
    )
    await r.connect()
    switch = await r.bridge.start(r.ref, SwitchRequest(to=Studio.AZUREML))
    assert await _submit._signal(client, queue, r.ref, submission)

    async def remembered() -> str | None:
        entity = client.get_workflow_handle(r.ref.workflow_id)
        seen: LedgerEntry | None = await entity.query(names.OUTCOME, submission, result_type=LedgerEntry)
        return seen.refused.code if seen and seen.refused else None

    assert await eventually(remembered, "the signal was not answered") == "operation_running"
    with pytest.raises(LabelbridgeError, match="operation_running"):
        await r.bridge.start(r.ref, request, key=key)
    await switch.result(300)
    trained = await r.bridge.start(r.ref, request, key=key)
    again = await r.bridge.start(r.ref, request, key=key)
    assert again.operation_id == trained.operation_id, "one key ran twice"
    assert (await trained.result(300)).model is not None
    assert await remembered() == "operation_running", "the refusal was forgotten: this proves nothing"
    trained = await r.bridge.start(r.ref, TrainRequest(model="m1", labels="as-is"), key="while another ran")
    assert trained.operation_id != switch.operation_id
    await trained.cancel()


async def _attention(r: Rehearsal) -> str | None:
    seen = (await r.bridge.status(r.ref)).attention
    return seen.code if seen else None


async def test_a_record_edited_by_hand_in_mid_switch_is_not_overwritten_and_the_switch_is_undone(
    new_rehearsal: NewRehearsal,
) -> None:
    from labelbridge.azure.session import AzureSession

    r = new_rehearsal()
    await r.connect()
    await asyncio.to_thread(r.labelers.start)
    handle = await r.bridge.start(r.ref, SwitchRequest(to=Studio.AZUREML))
    await r.reaches(handle, Step.DRAIN)
    settings = r.bridge.settings
    async with AzureSession(settings) as session:
        registry = Registry(session.blobs(settings.registry.account), settings.registry.container)
        stored = await registry.load(r.ref)
        assert stored is not None
        await registry.save(stored.record.model_copy(update={"updated_by": "somebody"}), stored.etag)
        with pytest.raises(LabelbridgeError) as stale:
            await registry.save(stored.record.model_copy(update={"epoch": 99}), stored.etag)
        assert stale.value.code == "record_conflict"
    with pytest.raises(LabelbridgeError) as end:
        await handle.result(90)
    assert end.value.code == "record_conflict"
    await r.gates_become(language=True, azureml=False)
    record = r.evidence.record()
    assert (record["active"], record["epoch"], record["transition"]) == ("language", 0, None)
    await asyncio.to_thread(r.labelers.stop)
    r.assert_nothing_lost(Studio.LANGUAGE)


async def test_of_two_processes_that_connect_two_projects_to_one_job_exactly_one_wins(
    stack: Stack, bridge: Labelbridge, new_rehearsal: NewRehearsal
) -> None:
    racers = [new_rehearsal(), new_rehearsal()]
    job = racers[0].job_name

    async def connect(r: Rehearsal) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "labelbridge.cli.main", "connect", r.ref.name, "--job", job),
            *("--confirm", r.ref.name, "--output", "json", "--timeout", "120"),
            env=stack.environment("operator"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    ends = await asyncio.gather(*(connect(r) for r in racers))
    codes = sorted(code for code, _ in ends)
    assert codes == [0, 3], ends
    assert "job_claimed" in next(out for code, out in ends if code == 3)
    connected = [(await bridge.status(r.ref)).connected for r in racers]
    assert sorted(connected) == [False, True]
    for r in racers:
        assert (await asyncio.to_thread(r.evidence.gates)).language_open
