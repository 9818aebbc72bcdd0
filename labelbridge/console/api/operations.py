"""Operations: what waits, what runs with its live steps, and how each ended."""

import asyncio

from fastapi import APIRouter, Response
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.console.api.acts import LOOK_AGAIN
from labelbridge.console.api.bodies import Operation, OperationState
from labelbridge.console.api.context import Project, Reads, about_project
from labelbridge.console.api.paging import PAGE, Cursor, Limit, Page
from labelbridge.console.api.projects import audit_page
from labelbridge.console.deps import Reading
from labelbridge.console.reading import Reading as Azure
from labelbridge.errors import LabelbridgeError
from labelbridge.model import ProjectRef, ProjectStatus

_CLOSED = 10.0
"""Seconds to get the result of a workflow that is said to be closed."""

router = APIRouter(prefix="/projects/{project}/operations", tags=["operations"])


@router.get("", responses=about_project())
async def operations(
    ref: Project, bridge: Reading, reads: Reads, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[Operation]:
    """What waits and runs (on the first page), then what has ended, newest first; without steps."""
    now = () if cursor else _under_way(await bridge.status(ref))
    ended = await audit_page(reads, ref, cursor, limit)
    known = {one.operation_id for one in now}
    items = tuple(Operation.ended(e) for e in ended.items if e.operation_id not in known)
    return Page(items=now + items, next=ended.next)


@router.get(
    "/{operation}",
    responses={
        200: {
            "headers": {
                "Retry-After": {
                    "schema": {"type": "integer"},
                    "description": "Seconds after which to look again; not said once it has ended.",
                }
            }
        },
        **about_project("operation_unknown"),
    },
)
async def operation(
    ref: Project, operation: str, bridge: Reading, reads: Reads, response: Response
) -> Operation:
    """One operation: its steps with their times, and its result or error once it has ended."""
    found = await find(bridge, reads, ref, operation)
    if found.state in (OperationState.QUEUED, OperationState.RUNNING):
        response.headers["Retry-After"] = str(LOOK_AGAIN)
    return found


async def find(bridge: Labelbridge, reads: Azure, ref: ProjectRef, operation_id: str) -> Operation:
    """An operation as it stands now; raises `operation_unknown`."""
    handle = bridge.operation(ref, operation_id)
    status, steps = await asyncio.gather(bridge.status(ref), handle.progress())
    found = next((one for one in _under_way(status) if one.operation_id == operation_id), None)
    if found is None:
        entry = await reads.audit_entry(ref, operation_id)
        found = Operation.ended(entry) if entry else await _without_entry(bridge.client, handle)
    return found.model_copy(update={"steps": steps.steps if steps else ()})


def _under_way(status: ProjectStatus) -> tuple[Operation, ...]:
    running = (Operation.running(status, status.running),) if status.running else ()
    return tuple(Operation.queued(one) for one in status.queued) + running


async def _without_entry(client: Client, handle: OperationHandle) -> Operation:
    """An operation that neither entity nor audit trail has.

    It was terminated by hand, or no worker is up to answer for its entity, or it never was.
    """
    kind = handle.operation_id.partition("-")[2].partition("-")[0]
    try:
        described = await client.get_workflow_handle(handle.workflow_id).describe()
        found = Operation(operation_id=handle.operation_id, kind=kind, state=OperationState.RUNNING)
    except (RPCError, ValueError) as error:
        if isinstance(error, RPCError) and error.status is not RPCStatusCode.NOT_FOUND:
            raise LabelbridgeError("temporal_unreachable", str(error)) from error
        unknown = f"There is no operation {handle.operation_id!r}."
        raise LabelbridgeError("operation_unknown", unknown) from error
    if described.status is WorkflowExecutionStatus.RUNNING:
        return found
    try:
        result = await handle.result(_CLOSED)
    except LabelbridgeError as error:
        return found.model_copy(update={"state": OperationState.ROLLED_BACK, "error": error.info})
    return found.model_copy(update={"state": OperationState.COMMITTED, "result": result})
