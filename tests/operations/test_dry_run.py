"""A dry run, which is a preflight and a plan, changes nothing and tells the truth about what then runs.

The other tests of this room hold every operation that ends well against its plan too (`helpers.follow`),
and connect and disconnect are run dry first in `test_roles`; here stands what takes no connection.
"""

import asyncio
from pathlib import Path

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.stack import Stack
from labelbridge.model import (
    ConnectRequest,
    ProjectKind,
    Studio,
    SwitchRequest,
    TrainRequest,
)
from labelbridge.plans import Step, plan
from tests.operations.helpers import Bench, carry_out, dry_then_done, errors_of


async def test_a_dry_run_changes_nothing_and_the_operation_then_takes_the_steps_that_it_showed(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    async def train(kind: ProjectKind) -> None:
        bench = await Bench.make(stack, tmp_path, kind)
        _, done = await dry_then_done(bridge, bench, TrainRequest(model="m1", deployment="production"))
        assert done.model is not None
        assert done.model.deployment == "production"

    await asyncio.gather(*(train(kind) for kind in ProjectKind))


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
