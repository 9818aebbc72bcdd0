"""One act on many projects: found by a filter, a few at once, resumed after a crash, stopped in the middle."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from labelbridge import names
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.client import FleetHandle
from labelbridge.fleet.orders import FleetOrder, FleetOutcome, FleetPhase, FleetState, FleetStatus
from labelbridge.local.stack import Stack
from labelbridge.model import AuditEntry, OperationKind, Outcome, ProjectKind, Studio, SwitchRequest
from tests.operations.conftest import NewRehearsal
from tests.operations.rehearsal import Rehearsal, eventually


@dataclass(frozen=True)
class Fleet:
    """Four projects that are connected, and one that is not."""

    bridge: Labelbridge
    connected: Sequence[Rehearsal]
    loose: Rehearsal

    @property
    def where(self) -> str:
        """These five, of all that the stack's other tests made."""
        return f"name in ({', '.join(r.ref.name for r in (*self.connected, self.loose))})"

    async def listed(self, where: str, count: int) -> None:
        """Wait until lists show so many."""

        async def look() -> bool | None:
            return True if len(await self.bridge.fleet.list(where)) == count else None

        await eventually(look, f"{where} did not become {count}")

    async def epochs(self) -> list[int]:
        return [(await self.bridge.status(r.ref)).epoch for r in self.connected]

    async def switches(self) -> list[AuditEntry]:
        trails = [await self.bridge.history(r.ref) for r in self.connected]
        return [entry for trail in trails for entry in trail if entry.kind is OperationKind.SWITCH]


@pytest.fixture
async def fleet(new_rehearsal: NewRehearsal, bridge: Labelbridge) -> Fleet:
    made = await asyncio.to_thread(
        lambda: [new_rehearsal(ProjectKind.SINGLE_LABEL, documents=3, labelled=2) for _ in range(5)]
    )
    await asyncio.gather(*(one.connect() for one in made[:4]))
    with pytest.raises(LabelbridgeError) as refused:
        await made[4].switch(Studio.AZUREML)
    assert refused.value.code == "not_connected"
    return Fleet(bridge, made[:4], made[4])


def overlap(entries: Sequence[AuditEntry]) -> int:
    """The most operations that ran at one moment."""
    changes = sorted([(e.started_at, 1) for e in entries] + [(e.ended_at, -1) for e in entries])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


async def committed(handle: FleetHandle, count: int) -> FleetStatus:
    """Wait until so many committed and another runs."""

    async def look() -> FleetStatus | None:
        try:
            seen = await handle.status()
        except LabelbridgeError:
            return None
        return seen if seen.counts.get(FleetOutcome.COMMITTED, 0) >= count and seen.running else None

    return await eventually(look, f"never {count} committed with others running", patience=300)


async def test_an_act_on_many_is_resumed_after_a_crash_done_once_for_each_and_can_be_stopped(
    fleet: Fleet, stack: Stack
) -> None:
    await it_switches_all_although_the_worker_is_killed_in_the_middle(fleet, stack)
    await a_stop_begins_nothing_more(fleet)


async def it_switches_all_although_the_worker_is_killed_in_the_middle(fleet: Fleet, stack: Stack) -> None:
    bridge, where = fleet.bridge, f"active=language and {fleet.where}"
    await fleet.listed(where, 5)
    await fleet.listed(f"state=unconnected and {fleet.where}", 1)
    few = await bridge.fleet.switch(to="azureml", where=where, at_most=4)
    with pytest.raises(LabelbridgeError) as refused:
        await few.result(300)
    assert refused.value.code == "not_confirmed"
    assert set(await fleet.epochs()) == {0}

    key = f"f{uuid4().hex[:8]}"
    request = SwitchRequest(to=Studio.AZUREML)
    order = FleetOrder(
        id=key,
        request=request,
        where=where,
        actor=await bridge.actor(),
        submitted_at=datetime.now(UTC),
        max_parallel=2,
    )
    first = await bridge.client.start_workflow(
        names.FLEET_WORKFLOW,
        FleetState(order=order, continue_after=2),
        id=names.FLEET.format(id=key),
        task_queue=bridge.settings.temporal.task_queue,
        memo={names.FLEET_DIGEST: order.digest},
    )
    handle = await bridge.fleet.start(request, where=where, key=key, max_parallel=2)
    with pytest.raises(LabelbridgeError) as reused:
        await bridge.fleet.sync(where=where, key=key)
    assert reused.value.code == "key_reused"
    await committed(handle, 1)
    await fleet.listed(f"state=switching and {fleet.where}", 2)
    await asyncio.to_thread(stack.kill, "worker-1")
    await asyncio.to_thread(stack.restart, "worker-1")
    ended = await handle.result(300)

    assert (ended.phase, ended.projects) == (FleetPhase.ENDED, 5)
    assert ended.counts == {FleetOutcome.COMMITTED: 4, FleetOutcome.REFUSED: 1}
    assert set(await fleet.epochs()) == {1}
    trail = await fleet.switches()
    assert len(trail) == 4
    assert {entry.outcome for entry in trail} == {Outcome.COMMITTED}
    assert all(f"Part of the fleet act {key}." in entry.notes for entry in trail)
    assert overlap(trail) == 2
    report = {row.project.key: row for row in await handle.report()}
    assert {row.operation_id for row in report.values() if row.operation_id} == {
        e.operation_id for e in trail
    }
    assert all(report[r.ref.key].labels_disabled_seconds for r in fleet.connected)
    loose = report[fleet.loose.ref.key]
    assert loose.outcome is FleetOutcome.REFUSED
    assert loose.error is not None
    assert loose.error.code == "not_connected"
    described = await bridge.client.get_workflow_handle(handle.workflow_id).describe()
    assert described.run_id != first.result_run_id, "the act never continued as new: this proves nothing"
    assert await (await bridge.fleet.start(request, where=where, key=key)).result(10) == ended


async def a_stop_begins_nothing_more(fleet: Fleet) -> None:
    bridge, where = fleet.bridge, f"{fleet.where} and not (active=language or workspace=none)"
    await fleet.listed(where, 4)
    handle = await bridge.fleet.switch(to=Studio.LANGUAGE, where=where, max_parallel=1)
    await committed(handle, 0)
    await handle.cancel()
    ended = await handle.result(90)
    assert ended.stopped == "cancelled"
    assert ended.counts == {FleetOutcome.COMMITTED: 1, FleetOutcome.NOT_BEGUN: 3}
    assert Counter(await fleet.epochs()) == {1: 3, 2: 1}
    report = await handle.report()
    assert Counter(row.outcome for row in report) == ended.counts
    assert {row.operation_id is None for row in report if row.outcome is FleetOutcome.NOT_BEGUN} == {True}
