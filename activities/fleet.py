"""Steps of a fleet act: find the projects, ask each again, hand the ordinary request in, await ends.

Each may run twice. A request is handed in with an id made of the act and the project, so an attempt whose answer was
lost gets the same operation; whether a project is meant is decided in a step of its own before that, because once
its operation runs it may not match the filter any more. Lists only find whom to ask; each project's own status decides.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from temporalio import activity

from labelbridge import _submit
from labelbridge._handle import OperationHandle
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet import listing
from labelbridge.fleet.acts import Acts
from labelbridge.fleet.facts import facts_of
from labelbridge.fleet.orders import (
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
    FleetRunning,
    FleetStatus,
    FleetTurn,
)
from labelbridge.fleet.where import matches, parse
from labelbridge.model import (
    Accepted,
    ProjectRef,
    ProjectStatus,
    Submission,
    SwitchRequest,
    unknown_fields,
)
from labelbridge.registry import Registry
from labelbridge.settings import Settings

SUBMIT_PATIENCE = 20.0
"""Seconds for which one attempt waits for the project's entity; the same request is then handed in again."""
AWAIT_PATIENCE = 50 * 60.0
"""Seconds after which a step that awaits ends says that nothing ended, and is begun anew."""


class FleetSteps:
    """Steps of fleet acts."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._settings = settings
        self._acts = Acts.of(session, settings)

    @activity.defn(name="fleet_gather")
    async def gather(self, order: FleetOrder) -> FleetGathered:
        """Take the act's id and fix its projects; an earlier attempt's stay.

        Raises:
            LabelbridgeError: `key_reused`, `where_invalid`, or `not_confirmed` if they are more than somebody
                confirmed, or `worker_too_old` if it asks for what is not known here: nothing has begun then.
        """
        if unknown := unknown_fields(order):
            raise LabelbridgeError("worker_too_old", f"These workers do not know: {', '.join(unknown)}.")
        where = parse(order.where)
        await self._acts.begin(order)
        if (ended := await self._acts.ended(order.id)) is not None:
            return FleetGathered(projects=ended.projects, ended=ended)
        if (kept := await self._acts.projects(order.id)) is not None:
            return FleetGathered(projects=len(kept))
        found = [one.project for one in await listing.listed(activity.client(), where)]
        if order.at_most is not None and len(found) > order.at_most:
            raise LabelbridgeError(
                "not_confirmed",
                f"{len(found)} projects match by now, {order.at_most} were confirmed. Nothing was begun.",
                remedy="Look at them with `labelbridge list`, and ask again with another key.",
            )
        return FleetGathered(projects=await self._acts.keep_projects(order.id, tuple(found)))

    @activity.defn(name="fleet_projects")
    async def projects(self, wanted: FleetRange) -> FleetProjects:
        """A page of the act's projects. May run twice: it only reads."""
        return FleetProjects(projects=await self._acts.some(wanted.id, wanted.start))

    @activity.defn(name="fleet_look")
    async def look(self, turn: FleetTurn) -> FleetLook:
        """Whether a project is still meant, by its own status. May run twice: it only reads."""
        order, project = turn.order, turn.project
        status = await self._status(project)
        if _is_there(order, status):
            row = FleetRow(project=project, outcome=FleetOutcome.ALREADY, epoch=status.epoch)
        elif not matches(parse(order.where), facts_of(status)):
            row = FleetRow(project=project, outcome=FleetOutcome.LEFT_OUT, epoch=status.epoch)
        else:
            return FleetLook(syncs_begun=await _submit.syncs_begun(activity.client(), project))
        return FleetLook(row=row)

    @activity.defn(name="fleet_submit")
    async def submit(self, turn: FleetTurn) -> Accepted:
        """Hand the request in as any client does. May run twice: its id gets the same answer.

        Raises:
            LabelbridgeError: the refusal; `no_worker` or `temporal_unreachable` to be repeated.
        """
        order = turn.order
        submission = Submission(
            request_id=order.request_id(turn.project),
            actor=order.actor,
            submitted_at=datetime.now(UTC),
            wait_for_roles=order.wait_for_roles,
            syncs_begun=turn.syncs_begun,
            fleet=order.id,
            request=order.request,
        )
        queue = self._settings.temporal.task_queue
        return await _submit.submit(activity.client(), queue, turn.project, submission, SUBMIT_PATIENCE)

    @activity.defn(name="fleet_await")
    async def await_first(self, awaited: FleetAwaited) -> FleetEnded:
        """Wait until some of these operations have ended. May run twice: it only reads.

        One step waits for all of an act's operations, so that an act holds one of a worker's places and not one
        for each project.
        """
        waits = [asyncio.create_task(self._end_of(one)) for one in awaited.running]
        try:
            done, _ = await asyncio.wait(waits, timeout=AWAIT_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            return FleetEnded(rows=tuple(one.result() for one in done))
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    @activity.defn(name="fleet_cancel")
    async def cancel(self, awaited: FleetAwaited) -> None:
        """Cancel these operations. May run twice: one that ended, or is asked again, stays as it is."""
        waiting = []
        for one in awaited.running:
            try:
                await self._handle(one).cancel()
            except LabelbridgeError as error:
                if error.code != "operation_unknown":
                    raise
                waiting.append(one.operation_id)
        if waiting:
            raise LabelbridgeError("not_yet", f"They have not begun: {', '.join(waiting)}.")

    @activity.defn(name="fleet_page")
    async def write_page(self, page: FleetPageWrite) -> None:
        """Keep a page of the report. May run twice: the first stays, and is the same."""
        await self._acts.write_page(page.id, page.number, page.rows)

    @activity.defn(name="fleet_end")
    async def end(self, status: FleetStatus) -> None:
        """Keep how the act ended. May run twice: the first stays."""
        await self._acts.end(status)

    async def _status(self, project: ProjectRef) -> ProjectStatus:
        """From the project's entity; from its record and Language if it has none."""
        seen = await _submit.status(activity.client(), project)
        if seen is not None and (seen.known or seen.running or seen.queued):
            return seen
        stored = await self._registry.load(project)
        found = await self._session.language(project.language_resource).project(project.name)
        return ProjectStatus.of(project, stored.record if stored else None, known=found is not None)

    async def _end_of(self, running: FleetRunning) -> FleetRow:
        handle = self._handle(running)
        try:
            return FleetRow.of(running.project, running.operation_id, await handle.result())
        except LabelbridgeError as error:
            if not error.final:
                raise
            row = FleetRow.failed(running.project, error.info, running.operation_id)
        with suppress(
            LabelbridgeError
        ):  # how it ended exactly; without an entry the error itself says enough
            entry = await self._registry.audit_entry(running.project, running.operation_id)
            if entry is not None:
                changes = {
                    "outcome": FleetOutcome(entry.outcome.value),
                    "epoch": entry.epoch,
                    "started_at": entry.started_at,
                    "ended_at": entry.ended_at,
                }
                row = row.model_copy(update=changes)
        return row

    def _handle(self, running: FleetRunning) -> OperationHandle:
        accepted = Accepted(operation_id=running.operation_id, workflow_id=running.workflow_id)
        return OperationHandle(activity.client(), running.project, accepted)


def _is_there(order: FleetOrder, status: ProjectStatus) -> bool:
    """True if a switch would find labeling in that studio already, with nothing under way that may change it."""
    request, busy = order.request, bool(status.running or status.queued)
    return (
        isinstance(request, SwitchRequest) and status.connected and not busy and request.to == status.active
    )
