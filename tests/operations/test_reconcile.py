"""Projects whose gates, links, claims or jobs were changed by hand, held against their records."""

import asyncio
import json
import sys
from typing import Any

import pytest

from labelbridge import names
from labelbridge.client import Labelbridge
from labelbridge.errors import ExitCode
from labelbridge.local.referee import Entry
from labelbridge.local.stack import Stack
from labelbridge.model import (
    DriftCode,
    OperationKind,
    OperationResult,
    Outcome,
    ReconcileRequest,
    Studio,
    SwitchRequest,
    SyncRequest,
)
from tests.faults.portal import unarchive
from tests.operations.by_hand import Hand, at_rest
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Rehearsal, eventually
from workers.schedule import ensure_schedule


def codes(result: OperationResult) -> dict[DriftCode, str]:
    return {drift.code: drift.outcome for drift in result.drift}


async def connected(new_rehearsal: NewRehearsal, to: Studio = Studio.LANGUAGE) -> Rehearsal:
    r = new_rehearsal()
    await r.connect()
    if to is Studio.AZUREML:
        await r.switch(to)
    return r


async def reconciled(r: Rehearsal, policy: str | None = None) -> OperationResult:
    return await r.bridge.reconcile(r.ref, policy=policy, timeout=300)  # type: ignore[arg-type]


async def trail(r: Rehearsal) -> list[OperationKind]:
    return [entry.kind for entry in await r.bridge.history(r.ref)]


async def someone_labels(r: Rehearsal, studio: Studio) -> None:
    """Ann and Ben label in the studio that takes it, until one label was acknowledged there."""
    await asyncio.to_thread(r.labelers.start)

    async def labelled() -> bool | None:
        return True if r.labelers.acknowledged(studio) else None

    await eventually(labelled, f"nobody could label in {studio}")


def gate_changes(r: Rehearsal, since: int) -> list[tuple[Studio, str]]:
    """What the studios' log says of gates after its first `since` entries: (studio, opened or closed)."""
    entries: list[Entry] = r.evidence.log()[since:]
    return [(entry.studio, entry.event) for entry in entries if entry.event != "write"]


# Gates.


async def test_gates_that_were_swapped_by_hand_are_swapped_back_the_wrong_one_shut_before_the_right_one_opens(
    new_rehearsal: NewRehearsal,
) -> None:
    await asyncio.gather(
        _swapped_back(new_rehearsal, Studio.LANGUAGE, DriftCode.AZUREML_OPEN, DriftCode.LANGUAGE_SHUT),
        _swapped_back(new_rehearsal, Studio.AZUREML, DriftCode.LANGUAGE_OPEN, DriftCode.AZUREML_SHUT),
    )


async def _swapped_back(
    new_rehearsal: NewRehearsal, active: Studio, wrong: DriftCode, right: DriftCode
) -> None:
    r = await connected(new_rehearsal, active)
    hand, language = Hand(r), active is Studio.LANGUAGE
    await hand.do(hand.settings, isLabelingLocked=True)
    await hand.do(hand.job, "pause")
    await r.gates_become(language=False, azureml=False)
    await (hand.do(hand.job, "resume") if language else hand.do(hand.settings, isLabelingLocked=False))
    await someone_labels(r, active.other)
    before, changes = await trail(r), len(await asyncio.to_thread(r.evidence.log))

    handle = await r.bridge.start(r.ref, ReconcileRequest())
    # Both are asked for while it runs: neither is refused for something that nobody asked for.
    switch = await r.bridge.start(r.ref, SwitchRequest(to=active.other))
    sync = await r.bridge.start(r.ref, SyncRequest())
    result = r.note(await handle.result(300))
    assert codes(result) == {wrong: "closed", right: "closed"}
    r.note(await switch.result(300))
    r.note(await sync.result(300))
    await asyncio.to_thread(r.labelers.stop)

    moves = gate_changes(r, changes)
    assert moves[0] == (active.other, "closed"), moves
    assert moves.index((active.other, "closed")) < moves.index((active, "opened")), moves
    entries = (await r.bridge.history(r.ref))[len(before) :]
    assert [entry.kind for entry in entries] == [
        OperationKind.RECONCILE,
        OperationKind.SWITCH,
        OperationKind.SYNC,
    ]
    assert entries[0].outcome is Outcome.COMMITTED
    (kept,) = [note.rsplit(" ", 1)[-1].rstrip(".") for note in entries[0].notes]
    first = next(w for w in r.labelers.log() if w.studio is active.other and w.outcome == "acknowledged")
    assert first.document in await asyncio.to_thread(r.evidence.snapshot, kept)


# What else can be put right, and what cannot.


@pytest.mark.long
async def test_a_lost_claim_and_a_changed_link_are_written_again_and_a_second_look_leaves_no_trace(
    new_rehearsal: NewRehearsal,
) -> None:
    r = await connected(new_rehearsal)
    hand = Hand(r)
    await hand.do(hand.delete_claim)
    await hand.do(hand.settings, amlProjectPath="elsewhere")
    result = await reconciled(r)
    assert codes(result) == {DriftCode.CLAIM_MISSING: "closed", DriftCode.LINK_DIFFERS: "closed"}
    assert r.evidence.claim()["operation_id"] == result.operation_id
    assert await asyncio.to_thread(r.evidence.linked_job) not in (None, "elsewhere")
    await r.gates_become(language=True, azureml=False)
    assert await trail(r) == [OperationKind.CONNECT, OperationKind.RECONCILE]
    record = await asyncio.to_thread(hand.record)
    assert (await reconciled(r)).drift == ()
    assert await trail(r) == [OperationKind.CONNECT, OperationKind.RECONCILE]
    assert await asyncio.to_thread(hand.record) == record


@pytest.mark.long
async def test_a_claim_of_another_project_is_reported_once_shown_by_the_status_and_forgotten_when_it_is_gone(
    new_rehearsal: NewRehearsal,
) -> None:
    r = await connected(new_rehearsal)
    hand = Hand(r)
    claim = await asyncio.to_thread(r.evidence.claim)
    await hand.do(hand.forge_claim)
    for _ in range(2):
        assert codes(await reconciled(r)) == {DriftCode.CLAIM_FOREIGN: "reported"}
    assert await trail(r) == [OperationKind.CONNECT, OperationKind.RECONCILE]
    (standing,) = (await r.bridge.status(r.ref)).drift
    assert "somebody-else" in standing.message
    assert standing.remedy
    blobs = hand._records
    blobs.upload_blob(r.evidence.job.claim_key, json.dumps(claim), overwrite=True)
    assert (await reconciled(r)).drift == ()
    assert (await r.bridge.status(r.ref)).drift == ()


@pytest.mark.long
async def test_a_job_deleted_by_hand_is_reported_and_discarding_its_labels_opens_language_again(
    new_rehearsal: NewRehearsal,
) -> None:
    r = await connected(new_rehearsal, Studio.AZUREML)
    hand = Hand(r)
    await hand.do(hand.delete_job)
    (found,) = (await reconciled(r)).drift
    assert (found.code, found.outcome) == (DriftCode.JOB_MISSING, "reported")
    assert "--discard-labels" in found.remedy
    result = await r.bridge.disconnect(r.ref, labels="discard", timeout=300)
    assert (result.active, result.snapshot) == (Studio.LANGUAGE, None)
    assert (await asyncio.to_thread(r.evidence.gates)).language_open
    assert await asyncio.to_thread(r.evidence.linked_job) is None


@pytest.mark.long
async def test_a_retired_job_that_was_taken_up_again_by_hand_is_retired_again(
    new_rehearsal: NewRehearsal,
) -> None:
    r = await connected(new_rehearsal)
    await r.bridge.disconnect(r.ref, timeout=300)
    await asyncio.to_thread(unarchive, r.stack.tenant.caller("operator"), r.evidence.job)
    await Hand(r).do(Hand(r).job, "resume")
    await r.gates_become(language=True, azureml=True)
    assert codes(await reconciled(r)) == {DriftCode.RETIRED_OPEN: "closed"}
    assert await asyncio.to_thread(r.evidence.job_is_retired)


# By command, and by itself.


async def _command(stack: Stack, *arguments: str) -> tuple[int, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labelbridge.cli.main", "reconcile", *arguments, "--output", "json"),
        env=stack.environment("operator"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, json.loads(out)


@pytest.mark.long
async def test_the_command_looks_reports_and_closes_and_its_exit_code_says_what_remains(
    stack: Stack, new_rehearsal: NewRehearsal
) -> None:
    r = await connected(new_rehearsal)
    hand = Hand(r)
    await hand.do(hand.settings, isLabelingLocked=True)
    code, planned = await _command(stack, r.ref.name, "--dry-run")
    assert (code, planned["drift"][0]["outcome"]) == (ExitCode.FINDINGS, "found")
    assert await trail(r) == [OperationKind.CONNECT]
    code, reported = await _command(stack, r.ref.name, "--policy", "report")
    assert (code, reported["drift"][0]["outcome"]) == (ExitCode.FINDINGS, "reported")
    assert (await asyncio.to_thread(r.evidence.gates)).language_open is False
    code, closed = await _command(stack, r.ref.name, "--policy", "close")
    assert (code, closed["drift"][0]["outcome"]) == (ExitCode.DONE, "closed")
    await r.gates_become(language=True, azureml=False)
    code, fleet = await _command(stack, "--all", "--dry-run")
    assert {"language_shut"} & {
        d["code"] for one in fleet for d in one["drift"] if one["project"] == r.ref
    } == set()
    unknown, answer = await _command(stack, "nobody")
    assert (unknown, answer["error"]["code"]) == (ExitCode.REFUSED, "project_unknown")


async def test_the_schedule_closes_drift_unasked_and_leaves_projects_alone_that_are_as_recorded(
    stack: Stack, bridge: Labelbridge, new_rehearsal: NewRehearsal
) -> None:
    r, idle = await asyncio.gather(connected(new_rehearsal), connected(new_rehearsal))
    often = bridge.settings.model_copy(deep=True)
    often.reconcile.interval = often.timing.settle
    before = await _length(bridge, idle)
    hand = Hand(r)
    await hand.do(hand.settings, isLabelingLocked=True)
    await ensure_schedule(bridge.client, often)
    await ensure_schedule(bridge.client, often)
    try:

        async def closed() -> bool | None:
            return True if OperationKind.RECONCILE in await trail(r) else None

        await eventually(closed, "nobody looked after the project", patience=120)
        await r.gates_become(language=True, azureml=False)

        async def swept() -> bool | None:
            query = f"WorkflowType = '{names.SWEEP_WORKFLOW}' AND ExecutionStatus = 'Completed'"
            return True if (await bridge.client.count_workflows(query)).count >= 3 else None

        await eventually(swept, "the schedule does not go on", patience=120)
        assert await _length(bridge, idle) == before
    finally:
        often.reconcile.interval = often.reconcile.interval * 0
        await ensure_schedule(bridge.client, often)

    async def removed() -> bool | None:  # a list follows what happened
        listed = [one.id async for one in await bridge.client.list_schedules()]
        return None if names.SWEEP in listed else True

    await eventually(removed, "the schedule is still there")


async def _length(bridge: Labelbridge, r: Rehearsal) -> int:
    """Events in the history of a project's entity that is at rest."""
    await at_rest(r)
    return (await bridge.client.get_workflow_handle(r.ref.workflow_id).describe()).history_length
