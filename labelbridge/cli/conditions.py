"""`wait --for`: until a project is as a pipeline needs it.

Prevents two waits that lie: one that takes labels for new that were exported before it was called, and one
that goes on for ever for what cannot come about.
"""

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from labelbridge._offline import stores
from labelbridge.cli.following import Condition
from labelbridge.cli.output import say
from labelbridge.errors import LabelbridgeError
from labelbridge.model import OperationKind, ProjectRef, ProjectStatus, Studio

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.events.stores import Stores
    from labelbridge.settings import Settings

LOOK_INTERVAL = 1.0
"""Seconds between two looks: a query to the project's entity, for `synced` also one small blob."""
_STEADY = frozenset({OperationKind.SYNC, OperationKind.TRAIN, OperationKind.RECONCILE})
"""Operations after which people label where they did before."""


async def until(
    bridge: "Labelbridge",
    settings: "Settings",
    project: ProjectRef,
    condition: Condition,
    patience: timedelta | None,
) -> ProjectStatus:
    """Wait until `condition` holds; returns the status in which it did.

    An answer that does not come is asked for again; only the first look must succeed.

    Raises:
        LabelbridgeError: `project_unknown` or `not_connected` if it cannot come about, `wait_timeout` after
            `patience` or at Ctrl-C, and whatever prevented the first look.
    """
    seconds = patience.total_seconds() if patience is not None else None
    where = f"{project.name} is not {condition.value} yet"
    try:
        async with asyncio.timeout(seconds), contextlib.AsyncExitStack() as stack:
            opened = None
            if condition is Condition.SYNCED:
                opened = await stack.enter_async_context(stores(settings))
            return await _until(bridge, project, condition, opened)
    except TimeoutError:
        raise LabelbridgeError("wait_timeout", f"{where}; the waiting ended after {patience}.") from None
    except asyncio.CancelledError:
        raise LabelbridgeError("wait_timeout", f"{where}; the waiting was interrupted.") from None


async def _until(
    bridge: "Labelbridge", project: ProjectRef, condition: Condition, opened: "Stores | None"
) -> ProjectStatus:
    status = await bridge.status(project)
    # The project's operations run one at a time. So labels that neither the marker names now nor the
    # operation brings that runs now were exported by one that began after this look, whatever the clocks say.
    before = {status.running.operation_id if status.running else "", await _carrier(opened, project)}
    silent = ""
    while True:
        refuse_hopeless(status, condition)
        if holds(status, condition):
            return status
        try:
            if opened is not None and await _carrier(opened, project) not in before:
                return status
            await asyncio.sleep(LOOK_INTERVAL)
            status, silent = await bridge.status(project), ""
        except LabelbridgeError as error:
            if error.code != silent:
                say(f"{error.code}: {error.message} Looking again.")
            silent = error.code
            await asyncio.sleep(LOOK_INTERVAL)


async def _carrier(opened: "Stores | None", project: ProjectRef) -> str:
    """The operation that carried the latest labels, as `labels/latest.json` says."""
    latest = await opened.markers.read(project) if opened is not None else None
    return latest.operation if latest is not None else ""


def holds(status: ProjectStatus, condition: Condition) -> bool:
    """True if `condition` holds now; `synced` cannot be told from a status."""
    running = status.running.kind if status.running else None
    moving = running not in (None, *_STEADY) or status.interrupted is not None
    match condition:
        case Condition.IDLE:
            return running is None and not moving and not status.queued
        case Condition.AZUREML:
            return status.connected and status.active is Studio.AZUREML and not moving
        case Condition.LANGUAGE:
            return status.active is Studio.LANGUAGE and not moving
        case Condition.SYNCED:
            return False


def refuse_hopeless(status: ProjectStatus, condition: Condition) -> None:
    """Raise why `condition` cannot come about by itself, if it cannot."""
    kinds = {one.kind for one in status.queued} | ({status.running.kind} if status.running else set())
    if not status.known and OperationKind.IMPORT not in kinds:
        raise LabelbridgeError("project_unknown", data={"project": status.project.name})
    if condition in (Condition.IDLE, Condition.LANGUAGE) or status.connected:
        return
    if not kinds & {OperationKind.CONNECT, OperationKind.RECOVER}:
        raise LabelbridgeError("not_connected", data={"project": status.project.name})
