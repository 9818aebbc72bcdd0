"""A gate that is a moment late is looked at again; it is not ordered again."""

import asyncio

import pytest

from activities.gates import Gates
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Studio
from labelbridge.model.steps import GateOrder
from tests.activities.desk import Desk
from tests.conftest import NewProject
from tests.operations.rehearsal import Fault


async def test_a_gate_that_reads_back_late_is_ordered_once(desk: Desk, new_project: NewProject) -> None:
    made = new_project()
    gates = Gates(desk.session, desk.settings)
    shut = GateOrder(project=made.ref, studio=Studio.LANGUAGE, open=False)
    with Fault(desk.stack, f"/{made.ref.name}[?]", "delay", method="PATCH", seconds=0.0) as orders:
        await gates.set_gate(shut)
        assert (await asyncio.to_thread(orders.view))["struck"] == 1


async def test_a_gate_that_stays_as_it_was_is_an_attempt_that_failed(
    desk: Desk, new_project: NewProject
) -> None:
    made = new_project()
    gates = Gates(desk.session, desk.settings)
    shut = GateOrder(project=made.ref, studio=Studio.LANGUAGE, open=False)
    with Fault(desk.stack, f"/{made.ref.name}[?]", "stale", method="GET", seconds=600.0):
        assert (await gates.read_gates(shut)).language_open
        with pytest.raises(LabelbridgeError) as caught:
            await gates.set_gate(shut)
    assert caught.value.code == "not_yet"
