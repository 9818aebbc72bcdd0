"""Fleet act: one request to many projects, each as its own ordinary operation, a few at a time, with a report.

Promises: no project is asked twice, whatever dies (its request id is made of the act and the project); one that is
refused or fails never stops the rest; a stop begins nothing more and says of each project that it was not begun. The
act holds no lock and has no commit of its own: every project's operation is a transaction, authorised and undone as
if it had been asked for alone. Projects and report are in the record store, a page of each in this workflow.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError

from labelbridge import names
from labelbridge.fleet.orders import (
    BAD,
    PAGE,
    FleetAwaited,
    FleetEnded,
    FleetGathered,
    FleetLook,
    FleetOutcome,
    FleetPageWrite,
    FleetPhase,
    FleetProjects,
    FleetRange,
    FleetRow,
    FleetRunning,
    FleetState,
    FleetStatus,
    FleetStop,
    FleetTurn,
)
from labelbridge.model import Accepted, ProjectRef
from workflows._errors import as_failure, as_info

T = TypeVar("T")

_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30))
_BEAT = timedelta(seconds=10)
"""A step whose worker died is begun anew after this long."""
_STEP = timedelta(minutes=2)
_TURN = timedelta(minutes=10)
"""A project that cannot be asked for this long is reported as failed, and others get its place."""
_AWAIT = timedelta(hours=1)
_CANCEL = timedelta(minutes=1)
_PAUSE = timedelta(seconds=30)


@workflow.defn(name=names.FLEET_WORKFLOW)
class FleetWorkflow:
    """One act on many projects."""

    versioning_behavior = VersioningBehavior.AUTO_UPGRADE
    """It may take days, and continues as new."""

    @workflow.init
    def __init__(self, state: FleetState) -> None:
        self.begun_from = state
        self.order = state.order
        self.started_at = state.started_at or workflow.now()
        self.projects = state.projects
        self.begun = state.begun
        self.counts = Counter(state.counts)
        self.running = {one.project.key: one for one in state.running}
        self.rows = list(state.rows)
        self.pages = state.pages
        self.stopped = state.stopped
        self.continue_after = state.continue_after
        self.turns = 0
        self.asking = 0
        """Projects that are being asked: they hold a place, and no operation is known yet."""
        self.page: tuple[ProjectRef, ...] = ()
        self.page_start = 0
        self.to_cancel: set[str] = set()
        self.cancel_running = False
        self.ended_at: datetime | None = None

    @workflow.run
    async def run(self, state: FleetState) -> FleetStatus:
        """Act on every project; a cancellation of this workflow is a stop."""
        work = asyncio.create_task(self._work())
        while True:
            try:
                ended = await asyncio.shield(work)
                break
            except asyncio.CancelledError:
                if work.done() or workflow.cancellation_reason() is None:
                    raise
                self.stop(FleetStop(why="cancelled"))
                if (current := asyncio.current_task()) is not None:
                    current.uncancel()
        if ended is None:
            workflow.continue_as_new(self._carried())
        return ended

    @workflow.signal(name=names.FLEET_STOP)
    def stop(self, stop: FleetStop) -> None:
        """Begin nothing more; with `running` also cancel what runs."""
        self.stopped = self.stopped or stop.why
        self.cancel_running = self.cancel_running or stop.running
        if self.cancel_running:
            self.to_cancel |= set(self.running)

    @workflow.query(name=names.FLEET_STATUS)
    def status(self) -> FleetStatus:
        """How the act stands."""
        return self._status(self._phase())

    def _phase(self) -> FleetPhase:
        if self.projects is None:
            return FleetPhase.GATHERING
        if self.ended_at is not None:
            return FleetPhase.ENDED
        return FleetPhase.STOPPING if self.stopped else FleetPhase.RUNNING

    async def _work(self) -> FleetStatus | None:
        """Carry the act out; None if this run is long enough and must be continued as new."""
        if self.projects is None:
            try:
                gathered: FleetGathered = await self._try("fleet_gather", self.order, FleetGathered)
            except ActivityError as error:
                raise as_failure(as_info(error)) from error
            if gathered.ended is not None:
                return gathered.ended
            self.projects = gathered.projects
        awaiting = asyncio.create_task(self._await_ends())
        try:
            if not await self._take_turns():
                return None
        finally:
            awaiting.cancel()
        await self._write(everything=True)
        self.ended_at = workflow.now()
        status = self._status(FleetPhase.ENDED)
        await self._insist("fleet_end", status, None)
        return status

    # Turns.

    async def _take_turns(self) -> bool:
        """Give every project its turn, and wait for their ends; False if this run must be continued as new."""
        assert self.projects is not None
        turns: set[asyncio.Task[None]] = set()
        while self.begun < self.projects:
            await workflow.wait_condition(lambda: self._places() > 0 or self.stopped is not None)
            await self._write()
            if self._long_enough():
                break
            project = await self._next()
            if self.stopped is not None:
                self._note(FleetRow(project=project, outcome=FleetOutcome.NOT_BEGUN))
                continue
            self.asking += 1
            self.turns += 1
            turn = asyncio.create_task(self._turn(project))
            turns.add(turn)
            turn.add_done_callback(turns.discard)
        await workflow.wait_condition(lambda: not self.asking and (not self.running or self._long_enough()))
        return self.begun >= self.projects and not self.running

    def _places(self) -> int:
        return self.order.max_parallel - len(self.running) - self.asking

    def _long_enough(self) -> bool:
        many = self.continue_after is not None and self.turns >= self.continue_after
        return many or workflow.info().is_continue_as_new_suggested()

    async def _next(self) -> ProjectRef:
        if not self.page_start <= self.begun < self.page_start + len(self.page):
            wanted = FleetRange(id=self.order.id, start=self.begun)
            found: FleetProjects = await self._insist("fleet_projects", wanted, FleetProjects)
            self.page, self.page_start = found.projects, self.begun
        project = self.page[self.begun - self.page_start]
        self.begun += 1
        return project

    async def _turn(self, project: ProjectRef) -> None:
        """Ask one project; its end is awaited with all others'."""
        try:
            await self._ask(project)
        except ActivityError as error:
            self._note(FleetRow.failed(project, as_info(error)))
        finally:
            self.asking -= 1

    async def _ask(self, project: ProjectRef) -> None:
        turn = FleetTurn(order=self.order, project=project)
        look: FleetLook = await self._step("fleet_look", turn, FleetLook)
        if look.row is not None:
            self._note(look.row)
            return
        if self.stopped is not None:
            self._note(FleetRow(project=project, outcome=FleetOutcome.NOT_BEGUN))
            return
        turn = turn.model_copy(update={"syncs_begun": look.syncs_begun})
        accepted: Accepted = await self._step("fleet_submit", turn, Accepted)
        self.running[project.key] = FleetRunning(
            project=project, operation_id=accepted.operation_id, workflow_id=accepted.workflow_id
        )
        if self.cancel_running:
            self.to_cancel.add(project.key)

    # Ends.

    async def _await_ends(self) -> None:
        """Note each operation that ends; one step waits for all that run, anew whenever those have changed."""
        while True:
            await workflow.wait_condition(lambda: bool(self.running))
            await self._cancel_running()
            awaited = dict(self.running)
            step = workflow.start_activity(
                "fleet_await",
                FleetAwaited(running=tuple(awaited.values())),
                result_type=FleetEnded,
                start_to_close_timeout=_AWAIT,
                heartbeat_timeout=_BEAT,
                retry_policy=_RETRY,
            )
            await workflow.wait_condition(partial(self._is_over, step, frozenset(awaited)))
            if step.done():
                await self._note_ends(step)
            else:
                step.cancel()

    def _is_over(self, step: workflow.ActivityHandle[FleetEnded], awaited: frozenset[str]) -> bool:
        return step.done() or self.running.keys() != awaited or bool(self.to_cancel)

    async def _note_ends(self, step: workflow.ActivityHandle[FleetEnded]) -> None:
        try:
            ended = await step
        except ActivityError as error:
            workflow.logger.warning("ends cannot be awaited: %s", as_info(error).message)
            await workflow.sleep(_PAUSE)
            return
        for row in ended.rows:
            if self.running.pop(row.project.key, None) is not None:
                self._note(row)

    async def _cancel_running(self) -> None:
        """Cancel the operations that somebody wants cancelled; in vain, they are left to end."""
        wanted, self.to_cancel = self.to_cancel & self.running.keys(), set()
        if not wanted:
            return
        cancelled = FleetAwaited(running=tuple(self.running[key] for key in sorted(wanted)))
        with suppress(ActivityError):
            await workflow.execute_activity(
                "fleet_cancel",
                cancelled,
                start_to_close_timeout=_STEP,
                schedule_to_close_timeout=_CANCEL,
                heartbeat_timeout=_BEAT,
                retry_policy=_RETRY,
            )

    def _note(self, row: FleetRow) -> None:
        self.rows.append(row)
        self.counts[row.outcome] += 1
        most = self.order.stop_after
        if most is not None and self.stopped is None and sum(self.counts[one] for one in BAD) >= most:
            self.stopped = f"{most} projects were refused or failed"

    # The record store.

    async def _write(self, *, everything: bool = False) -> None:
        """Move full pages of the report into the record store; in the end also the last one."""
        while len(self.rows) >= PAGE or (everything and self.rows):
            rows = tuple(self.rows[:PAGE])
            await self._insist(
                "fleet_page", FleetPageWrite(id=self.order.id, number=self.pages, rows=rows), None
            )
            self.pages += 1
            del self.rows[: len(rows)]

    async def _step(self, name: str, argument: object, result: type[T]) -> T:
        """A step of one project's turn: given up after a while, so that others get its place."""
        value: T = await workflow.execute_activity(
            name,
            argument,
            result_type=result,
            start_to_close_timeout=_STEP,
            schedule_to_close_timeout=_TURN,
            heartbeat_timeout=_BEAT,
            retry_policy=_RETRY,
        )
        return value

    async def _insist(self, name: str, argument: object, result: type[T] | None) -> Any:
        """A step of the act itself: repeated for ever, also after answers that are final by type."""
        while True:
            try:
                return await self._try(name, argument, result)
            except ActivityError as error:
                workflow.logger.warning("%s cannot be done: %s", name, as_info(error).message)
                await workflow.sleep(_PAUSE)

    async def _try(self, name: str, argument: object, result: type[T] | None) -> Any:
        return await workflow.execute_activity(
            name,
            argument,
            result_type=result,
            start_to_close_timeout=_STEP,
            heartbeat_timeout=_BEAT,
            retry_policy=_RETRY,
        )

    def _status(self, phase: FleetPhase) -> FleetStatus:
        return FleetStatus(
            order=self.order,
            phase=phase,
            projects=self.projects or 0,
            counts={outcome: count for outcome, count in self.counts.items() if count},
            running=tuple(self.running.values()),
            rows=tuple(self.rows),
            pages=self.pages,
            stopped=self.stopped,
            started_at=self.started_at,
            ended_at=self.ended_at,
        )

    def _carried(self) -> FleetState:
        # A copy: what only a newer version carries is handed on.
        return self.begun_from.model_copy(
            update={
                "started_at": self.started_at,
                "projects": self.projects,
                "begun": self.begun,
                "counts": dict(self.counts),
                "running": tuple(self.running.values()),
                "rows": tuple(self.rows),
                "pages": self.pages,
                "stopped": self.stopped,
            }
        )
