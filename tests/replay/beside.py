"""The histories of workflows that are no operations: events, the fleet's sweep, looks of every sort."""

import asyncio
import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime

from temporalio.client import WorkflowFailureError, WorkflowHistory

from labelbridge import names
from labelbridge.events.orders import AutoSync, DeliveryOrder, EventsRequest
from labelbridge.fleet.orders import FleetOrder, FleetState
from labelbridge.model import PreflightLook, ProjectKind, ProjectRef, Studio, SwitchRequest, SyncRequest
from tests.faults.births import born
from tests.faults.lives import Setting
from tests.replay.scenes import PLAIN
from tests.replay.subject import LOOK, NOBODY

NAME = "orders"
SUBSCRIBER = {
    "LABELBRIDGE_EVENTS__WEBHOOKS": json.dumps(
        {NAME: {"url": "https://labelbridge.invalid/hook", "secrets": ["whsec_" + "A" * 32]}}
    ),
    "LABELBRIDGE_EVENTS__RETRIES": '["PT1S"]',
}
"""A subscriber that nobody can reach: its events wait, and are then dead letters."""
SUGGESTED_AFTER = 4096
"""Events after which the server suggests that a workflow continue as new."""
CONTINUE_AFTER = 3
"""Projects after which a fleet act continues as new."""
AT_ONCE = 100
"""Signals between two workflow tasks: a worker must get through all of them in time."""


async def record(setting: Setting) -> dict[str, WorkflowHistory]:
    """All of them, by name."""
    project, _ = await born(setting.stack, setting.path, ProjectKind.SINGLE_LABEL)
    look = PreflightLook(project=project.ref, actor=NOBODY, request=SyncRequest())
    nowhere = look.model_copy(update={"project": _elsewhere(project.ref)})
    runs = {
        "preflight": (names.PREFLIGHT_WORKFLOW, look),
        "preflight of an unknown resource": (names.PREFLIGHT_WORKFLOW, nowhere),
        "auto sync off": (names.AUTO_SYNC_WORKFLOW, AutoSync(project=project.ref)),
        "events replay": (names.EVENTS_REQUEST_WORKFLOW, EventsRequest(kind="replay", subscriber=NAME)),
        "events test": (names.EVENTS_REQUEST_WORKFLOW, EventsRequest(kind="test", subscriber=NAME)),
        "events request failed": (names.EVENTS_REQUEST_WORKFLOW, EventsRequest(kind="test", subscriber="no")),
        "delivery of nobody": (names.DELIVERY_WORKFLOW, DeliveryOrder(subscriber="nobody")),
    }
    found = await asyncio.gather(*(_run(setting, *one) for one in runs.values()))
    return dict(zip(runs, found, strict=True)) | await _continued(setting)


async def _run(setting: Setting, workflow: str, argument: object) -> WorkflowHistory:
    given = [] if argument is None else [argument]
    handle = await setting.client.start_workflow(
        workflow, args=given, id=f"replay-{uuid.uuid4().hex}", task_queue=PLAIN
    )
    with suppress(WorkflowFailureError):
        await handle.result()
    return await handle.fetch_history()


async def _continued(setting: Setting) -> dict[str, WorkflowHistory]:
    """A delivery that was woken so often that it continues as new, and the run that went on."""
    handle = setting.client.get_workflow_handle(names.DELIVERY.format(name=NAME))
    first, woken = (await handle.describe()).run_id, 0
    while (await handle.describe()).run_id == first:
        assert woken < 2 * SUGGESTED_AFTER, "the delivery does not continue as new"
        await asyncio.gather(*(handle.signal(names.WAKE) for _ in range(AT_ONCE)))
        woken += AT_ONCE
        while (await handle.describe()).raw_description.HasField("pending_workflow_task"):
            await asyncio.sleep(LOOK)
    runs = {"delivery continued as new": first, "delivery": None}
    found = {}
    for name, run in runs.items():
        workflow_id = names.DELIVERY.format(name=NAME)
        found[name] = await setting.client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
    return found


async def sweep(setting: Setting) -> dict[str, WorkflowHistory]:
    """A look at the fleet when everybody rests: one project differs from its record, and is asked."""
    return {"sweep": await _run(setting, names.SWEEP_WORKFLOW, None)}


async def fleet_act(setting: Setting) -> dict[str, WorkflowHistory]:
    """All projects are to have Language active: some have, some are refused, some are switched."""
    order = FleetOrder(
        id=f"replay-{uuid.uuid4().hex}",
        request=SwitchRequest(to=Studio.LANGUAGE),
        actor=setting.actor,
        submitted_at=datetime.now(UTC),
    )
    handle = await setting.client.start_workflow(
        names.FLEET_WORKFLOW,
        FleetState(order=order, continue_after=CONTINUE_AFTER),
        id=names.FLEET.format(id=order.id),
        task_queue=PLAIN,
    )
    await handle.result()
    first = setting.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    last = setting.client.get_workflow_handle(handle.id)
    return {"fleet continued as new": await first.fetch_history(), "fleet": await last.fetch_history()}


def _elsewhere(project: ProjectRef) -> ProjectRef:
    """A project of a Language resource that does not exist."""
    return project.model_copy(update={"language_resource": f"{project.language_resource}-nowhere"})
