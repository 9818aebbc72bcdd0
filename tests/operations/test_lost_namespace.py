"""Temporal's database is gone, Azure's state is not: entities are made anew, half-done operations recovered."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from labelbridge.client import OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.stack import Stack
from labelbridge.model import (
    AuditEntry,
    ConnectRequest,
    OperationKind,
    Studio,
    SwitchRequest,
    SyncRequest,
)
from labelbridge.plans import Step
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Fault, Rehearsal, eventually


@pytest.fixture
async def _swept(stack: Stack) -> AsyncIterator[None]:
    """A worker that has the fleet looked at every two seconds."""
    environment = stack.child("worker-1").environment
    before = environment["LABELBRIDGE_RECONCILE__INTERVAL"]
    environment["LABELBRIDGE_RECONCILE__INTERVAL"] = "PT2S"
    await asyncio.to_thread(stack.restart, "worker-1")
    yield
    environment["LABELBRIDGE_RECONCILE__INTERVAL"] = before
    await asyncio.to_thread(stack.restart, "worker-1")


def lose_temporal(stack: Stack) -> None:
    """Kill the server, delete its database, start it again at its old address."""
    stack.kill("temporal")
    for file in (stack.directory / "temporal").glob("temporal.db*"):
        file.unlink()
    stack.restart("temporal")


async def recovered(r: Rehearsal, operation: OperationHandle) -> AuditEntry:
    """The audit entry of the recovery of an operation that nobody ended."""

    async def look() -> AuditEntry | None:
        entries = await r.bridge.history(r.ref)
        found = [e for e in entries if e.kind is OperationKind.RECOVER]
        return next((e for e in found if operation.operation_id in " ".join(e.notes)), None)

    return await eventually(look, f"{operation.operation_id} was not recovered", patience=150)


@pytest.mark.usefixtures("_swept")
async def test_with_temporals_memory_gone_half_done_operations_are_recovered_unasked_and_requests_are_served(
    stack: Stack, new_rehearsal: NewRehearsal
) -> None:
    idle, before, after, connecting = (new_rehearsal() for _ in range(4))
    await asyncio.gather(*(r.connect() for r in (idle, before, after)))
    await asyncio.to_thread(before.labelers.start)
    with (
        Fault(stack, f"/{after.job_name}/resume", "hang"),
        Fault(stack, f"/{connecting.job_name}/pause", "hang"),  # or it commits while the others come along
    ):
        committed = await after.bridge.start(after.ref, SwitchRequest(to=Studio.AZUREML))
        await after.reaches(committed, Step.OPEN)
        connect = await connecting.bridge.start(connecting.ref, ConnectRequest(job=connecting.evidence.job))
        await connecting.reaches(connect, Step.GATE_JOB)
        undone = await before.bridge.start(before.ref, SwitchRequest(to=Studio.AZUREML))
        await before.reaches(undone, Step.DRAIN)
        waiting = await before.bridge.start(before.ref, SyncRequest())
        await asyncio.to_thread(lose_temporal, stack)

    assert "undone" in " ".join((await recovered(before, undone)).notes)
    assert "finished" in " ".join((await recovered(after, committed)).notes)
    assert "undone" in " ".join((await recovered(connecting, connect)).notes)
    await before.gates_become_in_time(language=True, azureml=False)
    await after.gates_become_in_time(language=False, azureml=True)
    assert await asyncio.to_thread(connecting.evidence.job_is_retired)
    assert (await asyncio.to_thread(connecting.evidence.gates)).language_open
    records = [await asyncio.to_thread(r.evidence.record) for r in (before, after, connecting)]
    assert [(one["active"], one["epoch"], one["transition"]) for one in records] == [
        ("language", 0, None),
        ("azureml", 1, None),
        ("language", 0, None),
    ]
    assert records[2]["connection"] is None
    await asyncio.to_thread(before.labelers.stop)
    before.assert_nothing_lost(Studio.LANGUAGE)
    with pytest.raises(LabelbridgeError) as lost:
        await waiting.result(300)
    assert lost.value.code == "operation_unknown"
    snapshot = await idle.bridge.sync(idle.ref, timeout=300)
    assert snapshot.source == "language"
