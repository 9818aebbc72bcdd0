"""A dry run, which is a preflight and a plan, changes nothing and tells the truth about what then runs.

The other tests of this room hold every operation that ends well against its plan too (`helpers.follow`);
here stand those that need no labels.
"""

import asyncio
from pathlib import Path

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.stack import Stack
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    OperationResult,
    ProjectKind,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.plans import Step, plan
from tests.operations.helpers import Bench, carry_out, errors_of, follow


async def test_a_dry_run_changes_nothing_and_the_operation_then_takes_the_steps_that_it_showed(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    await asyncio.gather(*(_one_life(bridge, stack, tmp_path, kind) for kind in ProjectKind))


async def _one_life(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    bench = await Bench.make(stack, path, kind)
    connected = await _dry_then_done(bridge, bench, ConnectRequest(job=bench.job))
    assert (connected.active, connected.epoch) == (Studio.LANGUAGE, 0)
    synced = await _dry_then_done(bridge, bench, SyncRequest())
    assert synced.snapshot is not None
    assert synced.snapshot.source == "language"
    await _dry_then_done(bridge, bench, TrainRequest(model="m1"))
    gone = await _dry_then_done(bridge, bench, DisconnectRequest())
    assert (gone.active, gone.epoch) == (Studio.LANGUAGE, 0)


async def _dry_then_done(bridge: Labelbridge, bench: Bench, request: Request) -> OperationResult:
    """Look first: no errors, the facts are right, nothing changed. Then do it as planned."""
    before = await bench.standing()
    seen = await bridge.preflight(bench.ref, request)
    assert seen.errors == ()
    assert (seen.kind, seen.container, seen.documents) == (bench.kind, bench.project.container, 12)
    after = await bench.standing()
    assert after == before
    assert after.operations == before.operations
    return await follow(bridge, bench.ref, request)


async def test_a_dry_run_finds_what_the_operation_would_stop_at(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    bench = await Bench.make(stack, tmp_path)
    before = await bench.standing()
    elsewhere = ConnectRequest(job=bench.job, datastore="another")
    seen = await bridge.preflight(bench.ref, elsewhere)
    with pytest.raises(LabelbridgeError) as refusal:
        await carry_out(bridge, bench.ref, elsewhere)
    assert {finding.code for finding in seen.errors} == errors_of(refusal.value) == {"datastore_missing"}
    assert await bench.standing() == before


async def test_a_dry_run_of_what_the_state_forbids_says_so(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    bench = await Bench.make(stack, tmp_path)
    seen = await bridge.preflight(bench.ref, SwitchRequest(to=Studio.AZUREML))
    assert [finding.code for finding in seen.errors] == ["not_connected"]
    steps = [step.name for step in plan(SwitchRequest(to=Studio.AZUREML), await bridge.status(bench.ref))]
    assert steps[0] is Step.PREFLIGHT
    assert steps.index(Step.GATE) < steps.index(Step.COMMIT) < steps.index(Step.OPEN)
