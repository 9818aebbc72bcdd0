"""History: each operation that ended, who asked for it and how it ended; and one operation in full."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from labelbridge.console.pages.context import shared_of
from labelbridge.console.pages.project import Project, Reader
from labelbridge.console.pages.render import page
from labelbridge.errors import LabelbridgeError

router = APIRouter(prefix="/projects/{key}")

PAGE_ROWS = 25


@router.get("/history")
async def history(
    request: Request,
    ref: Project,
    _: Reader,
    page_number: Annotated[int, Query(alias="page", ge=1, le=400)] = 1,
) -> Response:
    """The audit trail, newest first."""
    shared = shared_of(request)
    skip = (page_number - 1) * PAGE_ROWS
    found = await shared.reading.history(ref, skip=skip, limit=PAGE_ROWS + 1)
    return page(
        request,
        "history.html",
        view=await shared.views.look(ref),
        entries=found[:PAGE_ROWS],
        number=page_number,
        more=len(found) > PAGE_ROWS,
        tab="history",
    )


@router.get("/operations/{operation_id}")
async def operation(request: Request, ref: Project, _: Reader, operation_id: str) -> Response:
    """One operation: its timeline while Temporal has it, and its entry in the audit trail once it ended."""
    shared = shared_of(request)
    view = await shared.views.look(ref)
    entry = await shared.reading.audit_entry(ref, operation_id)
    timeline = await shared.views.operation(ref, operation_id)
    waits = any(one.operation_id == operation_id for one in view.status.queued)
    if entry is None and timeline is None and not waits:
        raise LabelbridgeError("operation_unknown", f"{ref.name} has no operation {operation_id!r}.")
    return page(
        request,
        "operation.html",
        view=view,
        entry=entry,
        timeline=timeline,
        operation_id=operation_id,
        temporal=shared.views.temporal_link(f"{ref.workflow_id}/{operation_id}"),
        tab="history",
    )
