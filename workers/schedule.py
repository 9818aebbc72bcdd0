"""Keeps the Schedule that looks at the whole fleet: made at start, and made again if it is lost.

Prevents a fleet that nobody looks after: with Temporal's database gone its Schedules are gone too, and
a worker that lives on would never make them anew. Every worker does the same, so it does not matter which
does it first; workers whose settings differ would undo each other's, so they must not.
"""

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import names
from labelbridge.settings import Settings

log = structlog.get_logger(__name__)

LOOK_AGAIN = timedelta(minutes=5)
"""How often a worker looks whether the Schedule is still there, if the interval is longer: one small call."""
CATCHUP = timedelta(minutes=1)
"""A look that was missed for longer is not made up for: the next one sees the same."""


async def keep_schedule(client: Client, settings: Settings) -> None:
    """Hold the Schedule to the settings until cancelled; what Temporal refuses is logged and tried again.

    Settings that turn it off remove it once, at start.
    """
    interval = settings.reconcile.interval
    while True:
        try:
            await ensure_schedule(client, settings)
            if not interval:
                return
        except RPCError as error:
            log.warning("reconcile_schedule_not_kept", reason=error.message)
        await asyncio.sleep(min(interval or LOOK_AGAIN, LOOK_AGAIN).total_seconds())


async def ensure_schedule(client: Client, settings: Settings) -> None:
    """Make the Schedule, or change it to the settings; remove it if they turn it off.

    A new one looks at once: after a loss, operations that were half-way wait for it.
    """
    handle, interval = client.get_schedule_handle(names.SWEEP), settings.reconcile.interval
    if not interval:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return
    wanted = _schedule(settings)
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        try:
            await client.create_schedule(names.SWEEP, wanted, trigger_immediately=True)
            log.info("reconcile_schedule_made", interval=interval.total_seconds())
        except ScheduleAlreadyRunningError:  # another worker was faster
            pass
        return
    if not _is_as(found, wanted):
        await handle.update(lambda seen: _changed(seen, wanted))
        log.info("reconcile_schedule_changed", interval=interval.total_seconds())


def _schedule(settings: Settings) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            names.SWEEP_WORKFLOW, id=names.SWEEP, task_queue=settings.temporal.task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=settings.reconcile.interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCHUP),
    )


def _is_as(found: ScheduleDescription, wanted: Schedule) -> bool:
    action = found.schedule.action
    return (
        isinstance(action, ScheduleActionStartWorkflow)
        and isinstance(wanted.action, ScheduleActionStartWorkflow)
        and action.task_queue == wanted.action.task_queue
        and [one.every for one in found.schedule.spec.intervals]
        == [one.every for one in wanted.spec.intervals]
    )


def _changed(seen: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate:
    """The wanted Schedule in the state that people left it in: one that was paused stays paused."""
    wanted.state = seen.description.schedule.state
    return ScheduleUpdate(schedule=wanted)
