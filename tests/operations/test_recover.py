"""Operations and entities terminated by hand, which runs no compensation: brought back, or forward."""

import asyncio
import json
from typing import Any

import pytest

from labelbridge.client import OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import CallError
from labelbridge.local.seed import ADMIN, DATA_ACCOUNT
from labelbridge.model import (
    AuditEntry,
    ConnectRequest,
    ImportRequest,
    OperationKind,
    Outcome,
    Request,
    Studio,
    SwitchRequest,
    TrainRequest,
)
from labelbridge.plans import Step
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Fault, Rehearsal, eventually


async def terminated_at(r: Rehearsal, request: Request, step: Step) -> OperationHandle:
    handle = await r.bridge.start(r.ref, request)
    await r.reaches(handle, step)
    await r.bridge.client.get_workflow_handle(handle.workflow_id).terminate("by a test")
    with pytest.raises(LabelbridgeError) as end:
        await handle.result(300)
    assert end.value.code == "terminated"
    return handle


async def entry_of(r: Rehearsal, operation: OperationHandle) -> AuditEntry:
    """The audit entry that says what was found and done."""

    async def look() -> AuditEntry | None:
        for entry in await r.bridge.history(r.ref):
            if entry.kind is OperationKind.RECOVER and operation.operation_id in " ".join(entry.notes):
                return entry
        return None

    entry = await eventually(look, f"nobody looked after {operation.operation_id}", patience=120)
    assert entry.outcome is Outcome.COMMITTED
    assert entry.actor.name == "labelbridge"
    return entry


@pytest.mark.long
async def test_a_terminated_connect_retires_its_job_and_opens_language(new_rehearsal: NewRehearsal) -> None:
    r = new_rehearsal()
    gone = await terminated_at(r, ConnectRequest(job=r.evidence.job), Step.GATE_JOB)
    assert "was undone" in " ".join((await entry_of(r, gone)).notes)
    assert await asyncio.to_thread(r.evidence.job_is_retired)
    assert (await asyncio.to_thread(r.evidence.gates)).language_open
    assert await asyncio.to_thread(r.evidence.linked_job) is None
    record = await asyncio.to_thread(r.evidence.record)
    assert (record["connection"], record["transition"]) == (None, None)


@pytest.mark.long
async def test_a_switch_terminated_after_its_commit_is_finished(new_rehearsal: NewRehearsal) -> None:
    r = new_rehearsal()
    await r.connect()
    gone = await terminated_at(r, SwitchRequest(to=Studio.AZUREML), Step.LOOK_AGAIN)
    entry = await entry_of(r, gone)
    assert "was finished" in " ".join(entry.notes)
    assert (entry.active, entry.epoch) == (Studio.AZUREML, 1)
    await r.gates_become_in_time(language=False, azureml=True)


@pytest.mark.long
async def test_an_entity_terminated_in_mid_switch_is_made_anew_by_the_next_request(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal()
    await r.connect()
    handle = await r.bridge.start(r.ref, SwitchRequest(to=Studio.AZUREML))
    await r.reaches(handle, Step.DRAIN)
    await r.bridge.client.get_workflow_handle(r.ref.workflow_id).terminate("by a test")
    snapshot = await r.bridge.sync(r.ref, timeout=300)
    assert snapshot.source == "language"
    assert "was undone" in " ".join((await entry_of(r, handle)).notes)
    kinds = [entry.kind for entry in await r.bridge.history(r.ref)]
    assert kinds == [OperationKind.CONNECT, OperationKind.RECOVER, OperationKind.SYNC]


@pytest.mark.long
async def test_a_terminated_training_is_cancelled_and_the_audit_says_so(new_rehearsal: NewRehearsal) -> None:
    r = new_rehearsal(documents=12, labelled=12)
    with Fault(r.stack, f"/projects/{r.ref.name}/train/jobs/[^/]+\\?", "delay", seconds=0.5):
        gone = await terminated_at(r, TrainRequest(model="m1"), Step.TRAIN)
    assert (await entry_of(r, gone)).notes
    assert (await r.bridge.status(r.ref)).models == ()


@pytest.mark.long
async def test_a_terminated_import_leaves_no_project(new_rehearsal: NewRehearsal) -> None:
    source = new_rehearsal()
    target = new_rehearsal()
    name = f"i{target.ref.name}"
    row: dict[str, Any] = {"image_url": f"AmlDatastore://{source.project.datastore}/d000.txt", "label": []}
    row["label"] = [{"label": "City", "offsetStart": 0, "offsetEnd": 4}]
    file = source.labelers.log_file.with_name(f"{name}.jsonl")
    file.write_text(json.dumps(row) + "\n")
    ref = source.bridge.project(name)
    request = ImportRequest(
        source=await source.bridge.upload(file),
        account=DATA_ACCOUNT,
        container=source.project.container,
        project_kind=source.project.kind,
        language="en-us",
    )
    handle = await source.bridge.start(ref, request)
    await source.reaches(handle, Step.CREATE_PROJECT)
    admin = source.stack.tenant.caller(ADMIN)

    async def made() -> bool | None:
        try:
            await asyncio.to_thread(admin.language, "GET", source.stack.tenant.language_endpoint, f"/{name}")
        except CallError:
            return None
        return True

    with Fault(source.stack, f"/projects/{name}/:export", "hang"):
        await eventually(made, "the project was not made")
        await source.bridge.client.get_workflow_handle(handle.workflow_id).terminate("by a test")

    async def deleted() -> bool | None:
        entries = await source.bridge.history(ref)
        return True if any(e.kind is OperationKind.RECOVER for e in entries) else None

    await eventually(deleted, "nobody looked after the import", patience=120)
    assert await made() is None
    (entry,) = await source.bridge.history(ref)
    assert "deleted" in " ".join(entry.notes)
