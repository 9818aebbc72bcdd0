"""What is not legal now is refused at once, with a code and a remedy, and leaves no trace."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.stack import Stack
from labelbridge.model import (
    BlobRef,
    ConnectRequest,
    ImportRequest,
    ProjectKind,
    ProjectRef,
    Studio,
    SyncRequest,
)
from tests.operations.helpers import TIMEOUT, Bench, refused_at_once

IMPORT = ImportRequest(
    source=BlobRef(account="account", container="letters", name="labels.jsonl"),
    account="account",
    container="letters",
    project_kind=ProjectKind.ENTITIES,
    language="en-us",
)


def _asks(bridge: Labelbridge, ref: ProjectRef, job: str) -> dict[str, Awaitable[Any]]:
    """Everything that can be asked for but a sync."""
    return {
        "switch to language": bridge.switch(ref, to="language"),
        "switch to azureml": bridge.switch(ref, to="azureml"),
        "connect": bridge.connect_project(ref, job=job),
        "disconnect": bridge.disconnect(ref, labels="sync"),
        "train": bridge.train(ref, model="m1"),
        "import": bridge.import_labels(ref, IMPORT),
    }


async def test_what_the_state_forbids_is_refused_at_once_and_leaves_no_trace(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    await asyncio.gather(*(_one_life(bridge, stack, tmp_path, kind) for kind in ProjectKind))


async def _one_life(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    bench, other = await asyncio.gather(Bench.make(stack, path, kind), Bench.make(stack, path, kind))
    await _without_a_connection(bridge, bench)
    await _while_a_connect_runs(bridge, bench)
    await _with_language_active(bridge, bench, other)
    assert await bench.gates_become(language=True, azureml=False)


async def _without_a_connection(bridge: Labelbridge, bench: Bench) -> None:
    for ask in (
        bridge.switch(bench.ref, to="azureml"),
        bridge.switch(bench.ref, to="language"),
        bridge.sync(bench.ref),
        bridge.disconnect(bench.ref),
    ):
        await refused_at_once(bench, ask, "not_connected")
    await refused_at_once(bench, bridge.import_labels(bench.ref, IMPORT), "project_exists")


async def _with_language_active(bridge: Labelbridge, bench: Bench, other: Bench) -> None:
    await refused_at_once(bench, bridge.switch(bench.ref, to="language"), "already_active")
    again = bridge.connect_project(bench.ref, job=bench.job)
    await refused_at_once(bench, again, "already_connected")
    elsewhere = bridge.connect_project(bench.ref, job=f"{bench.job.name}-2")
    await refused_at_once(bench, elsewhere, "already_connected")
    taken = bridge.connect_project(other.ref, job=bench.job)
    refusal = await refused_at_once(other.with_job(bench.job), taken, "job_claimed")
    assert refusal.data == {"job": bench.job.name, "holder": bench.ref.name}
    shouted = bridge.connect_project(other.ref, job=bench.job.name.upper())
    await refused_at_once(other, shouted, "job_claimed")


async def _while_a_connect_runs(bridge: Labelbridge, bench: Bench) -> None:
    """All but a sync is refused with which, who and since when; the sync takes its turn after it."""
    connect = await bridge.start(bench.ref, ConnectRequest(job=bench.job))
    refusals = await asyncio.gather(
        *_asks(bridge, bench.ref, bench.job.name).values(), return_exceptions=True
    )
    sync = await bridge.start(bench.ref, SyncRequest())
    status = await bridge.status(bench.ref)
    assert status.running is not None
    assert status.running.operation_id == connect.operation_id
    assert [waiting.operation_id for waiting in status.queued] == [sync.operation_id]
    for refusal in refusals:
        assert isinstance(refusal, LabelbridgeError)
        assert refusal.code == "operation_running"
        assert refusal.data["operation_id"] == connect.operation_id
        assert refusal.data["kind"] == "connect"
        assert refusal.data["actor_object_id"] == (await bridge.actor()).object_id
        assert refusal.data["since"] == status.running.started_at.isoformat(timespec="seconds")
        assert connect.operation_id in refusal.message
    assert (await connect.result(TIMEOUT)).active is Studio.LANGUAGE
    assert (await sync.result(TIMEOUT)).snapshot is not None
    done = await bridge.history(bench.ref)
    assert [entry.operation_id for entry in done] == [connect.operation_id, sync.operation_id]


async def test_nothing_but_an_import_can_be_done_to_a_project_that_language_does_not_have(
    bridge: Labelbridge, stack: Stack
) -> None:
    ref = ProjectRef(language_resource=stack.tenant.language_resource, name="nobody-made-this")
    asks = {**_asks(bridge, ref, "job-of-nobody"), "sync": bridge.sync(ref)}
    asks.pop("import").close()  # type: ignore[attr-defined]
    for name, ask in asks.items():
        with pytest.raises(LabelbridgeError) as refusal:
            await ask
        assert refusal.value.code == "project_unknown", name
    status = await bridge.status(ref)
    assert not status.known
    assert await bridge.history(ref) == []


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 51, "../x", "naïve"])
async def test_a_name_that_azure_could_not_have_is_refused_before_anything_is_asked(
    bridge: Labelbridge, stack: Stack, name: str
) -> None:
    ref = ProjectRef(language_resource=stack.tenant.language_resource, name="letters")
    for ask, code in (
        (bridge.sync(name), "project_unknown"),
        (bridge.connect_project(ref, job=name if len(name) < 51 else "x" * 256), "invalid_request"),
        (bridge.train(ref, model=name), "input_invalid"),
        (bridge.train(ref, model="m1", deployment=name), "input_invalid"),
    ):
        with pytest.raises(LabelbridgeError) as refusal:
            await ask
        assert refusal.value.code == code
        assert refusal.value.remedy


async def test_what_no_studio_or_set_of_labels_is_called_is_refused_before_anything_is_asked(
    bridge: Labelbridge, stack: Stack
) -> None:
    ref = ProjectRef(language_resource=stack.tenant.language_resource, name="letters")
    fate: Any = "burn"
    for ask in (
        bridge.switch(ref, to="excel"),
        bridge.train(ref, model="m1", labels="newest"),
        bridge.train(ref, model="m1", train_percent=100),
        bridge.disconnect(ref, labels=fate),
        bridge.switch(ref, to="azureml", key="k" * 201),
        bridge.connect_project(ref, job="job", instructions="x" * 65_537),
    ):
        with pytest.raises(LabelbridgeError) as refusal:
            await ask
        assert refusal.value.code == "input_invalid"
