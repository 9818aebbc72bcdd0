"""The act's workflow alone, on a real Temporal server, with steps that only note what is asked of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities._errors import application_error
from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.orders import (
    PAGE,
    FleetAwaited,
    FleetEnded,
    FleetGathered,
    FleetLook,
    FleetOrder,
    FleetOutcome,
    FleetPageWrite,
    FleetProjects,
    FleetRange,
    FleetRow,
    FleetState,
    FleetStatus,
    FleetStop,
    FleetTurn,
)
from labelbridge.local.temporal import TemporalServer
from labelbridge.model import Accepted, Actor, ProjectRef, Studio, SwitchRequest
from workers.versioning import PASSTHROUGH
from workflows.fleet import FleetWorkflow

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"
QUEUE = "fleet"


class Steps:
    """Steps without a project behind them: operations end when `gate` is open."""

    def __init__(self, projects: int) -> None:
        self.projects = tuple(
            ProjectRef(language_resource=RESOURCE, name=f"p{n:04d}") for n in range(projects)
        )
        self.submitted: Counter[str] = Counter()
        self.running: set[str] = set()
        self.most = 0
        self.cancelled: set[str] = set()
        self.pages: dict[int, tuple[FleetRow, ...]] = {}
        self.ended: FleetStatus | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.faults = 0

    @activity.defn(name="fleet_gather")
    async def gather(self, order: FleetOrder) -> FleetGathered:
        return FleetGathered(projects=len(self.projects))

    @activity.defn(name="fleet_projects")
    async def some(self, wanted: FleetRange) -> FleetProjects:
        return FleetProjects(projects=self.projects[wanted.start : wanted.start + PAGE])

    @activity.defn(name="fleet_look")
    async def look(self, turn: FleetTurn) -> FleetLook:
        if turn.project.name.endswith("7"):
            return FleetLook(row=FleetRow(project=turn.project, outcome=FleetOutcome.LEFT_OUT))
        return FleetLook()

    @activity.defn(name="fleet_submit")
    async def submit(self, turn: FleetTurn) -> Accepted:
        name = turn.project.name
        if name.endswith("3"):
            raise application_error(LabelbridgeError("not_connected"))
        self.submitted[name] += 1
        self.running.add(name)
        self.most = max(self.most, len(self.running))
        return Accepted(operation_id=f"operation-{name}", workflow_id=name)

    @activity.defn(name="fleet_await")
    async def await_first(self, awaited: FleetAwaited) -> FleetEnded:
        self.faults += 1
        if self.faults == 2:  # an answer that gets lost: the same is asked again
            raise ApplicationError("lost")
        while not self.gate.is_set() and not self.cancelled:
            activity.heartbeat()
            await asyncio.sleep(0.02)
        rows = []
        for one in awaited.running:
            if self.gate.is_set() or one.project.name in self.cancelled:
                self.running.discard(one.project.name)
                gone = one.project.name in self.cancelled
                outcome = FleetOutcome.CANCELLED if gone else FleetOutcome.COMMITTED
                rows.append(FleetRow(project=one.project, outcome=outcome, operation_id=one.operation_id))
        return FleetEnded(rows=tuple(rows[:2]))

    @activity.defn(name="fleet_cancel")
    async def cancel(self, awaited: FleetAwaited) -> None:
        self.cancelled |= {one.project.name for one in awaited.running}

    @activity.defn(name="fleet_page")
    async def page(self, page: FleetPageWrite) -> None:
        self.pages.setdefault(page.number, page.rows)

    @activity.defn(name="fleet_end")
    async def end(self, status: FleetStatus) -> None:
        self.ended = self.ended or status

    @property
    def rows(self) -> list[FleetRow]:
        return [row for number in sorted(self.pages) for row in self.pages[number]]

    def all(self) -> list[Any]:
        return [
            self.gather,
            self.some,
            self.look,
            self.submit,
            self.await_first,
            self.cancel,
            self.page,
            self.end,
        ]


@asynccontextmanager
async def act(
    temporal: TemporalServer, steps: Steps, key: str, *, continue_after: int | None = None, **options: Any
) -> AsyncIterator[WorkflowHandle[Any, FleetStatus]]:
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
    order = FleetOrder(
        id=key,
        request=SwitchRequest(to=Studio.AZUREML),
        actor=Actor(object_id="olga"),
        submitted_at=datetime.now(UTC),
        **options,
    )
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[FleetWorkflow],
        activities=steps.all(),
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    ):
        await client.start_workflow(
            names.FLEET_WORKFLOW,
            FleetState(order=order, continue_after=continue_after),
            id=names.FLEET.format(id=key),
            task_queue=QUEUE,
        )
        yield client.get_workflow_handle(names.FLEET.format(id=key), result_type=FleetStatus)


async def status(handle: WorkflowHandle[Any, FleetStatus]) -> FleetStatus:
    found: FleetStatus = await handle.query(names.FLEET_STATUS, result_type=FleetStatus)
    return found


async def running(handle: WorkflowHandle[Any, FleetStatus], count: int) -> None:
    async with asyncio.timeout(30):
        while len((await status(handle)).running) != count:
            await asyncio.sleep(0.02)


async def test_each_of_many_pages_has_one_turn_through_every_continuing_as_new(
    temporal: TemporalServer,
) -> None:
    steps = Steps(110)
    async with act(temporal, steps, "many", continue_after=40, max_parallel=5) as handle:
        ended = await handle.result()
    assert ended.counts == {
        FleetOutcome.COMMITTED: 88,
        FleetOutcome.LEFT_OUT: 11,
        FleetOutcome.REFUSED: 11,
    }
    assert set(steps.submitted.values()) == {1}
    assert len(steps.submitted) == 88
    assert 1 < steps.most <= 5
    assert [len(steps.pages[number]) for number in range(2)] == [100, 10]
    assert {row.project for row in steps.rows} == set(steps.projects)
    assert steps.ended == ended
    assert ended.rows == ()


async def test_a_stop_begins_nothing_more_and_waits_for_what_runs(temporal: TemporalServer) -> None:
    steps = Steps(7)
    steps.gate.clear()
    async with act(temporal, steps, "stopped", max_parallel=2) as handle:
        await running(handle, 2)
        await handle.signal(names.FLEET_STOP, FleetStop(why="cancelled"))
        steps.gate.set()
        ended = await handle.result()
    assert ended.stopped == "cancelled"
    assert ended.counts == {FleetOutcome.COMMITTED: 2, FleetOutcome.NOT_BEGUN: 5}


async def test_what_runs_is_cancelled_only_if_that_is_asked_for(temporal: TemporalServer) -> None:
    steps = Steps(3)
    steps.gate.clear()
    async with act(temporal, steps, "cancelled", max_parallel=2) as handle:
        await running(handle, 2)
        await handle.signal(names.FLEET_STOP, FleetStop(why="cancelled", running=True))
        ended = await handle.result()
    assert ended.counts == {FleetOutcome.CANCELLED: 2, FleetOutcome.NOT_BEGUN: 1}


async def test_a_cancellation_of_the_workflow_itself_is_a_stop_with_a_report(
    temporal: TemporalServer,
) -> None:
    steps = Steps(3)
    steps.gate.clear()
    async with act(temporal, steps, "by-hand", max_parallel=1) as handle:
        await running(handle, 1)
        await handle.cancel()
        async with asyncio.timeout(30):
            while (await status(handle)).stopped is None:
                await asyncio.sleep(0.02)
        steps.gate.set()
        ended = await handle.result()
    assert ended.counts == {FleetOutcome.COMMITTED: 1, FleetOutcome.NOT_BEGUN: 2}


async def test_so_many_failures_as_were_allowed_begin_nothing_more(temporal: TemporalServer) -> None:
    steps = Steps(15)
    async with act(temporal, steps, "failing", max_parallel=1, stop_after=2) as handle:
        ended = await handle.result()
    assert ended.counts[FleetOutcome.REFUSED] == 2  # 3 and 13
    assert ended.counts[FleetOutcome.NOT_BEGUN] == 1
    assert ended.stopped == "2 projects were refused or failed"
