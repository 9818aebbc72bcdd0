"""Live updates by server-sent events: parts of a page, sent when they differ from what was sent last."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from labelbridge.console.fleet import Wanted
from labelbridge.console.live import STREAM_SECONDS, Unsent
from labelbridge.console.pages.context import Shared, shared_of
from labelbridge.console.pages.fleet import AS_OF, TABLE, table_context, wanted
from labelbridge.console.pages.project import Project, Reader
from labelbridge.console.pages.render import part, partials
from labelbridge.console.project_view import ProjectView, acts_of
from labelbridge.errors import LabelbridgeError

router = APIRouter()

FLEET_PAUSE = 3.0
"""Seconds between two looks at the fleet; all who watch share the list itself."""
PARTS = {
    "labeling": ("state", "said", "acts", "operation", "progress"),
    "training": ("state", "said", "operation"),
}
"""Parts of each page that are live; other pages have the first two."""
ENDED = "ended"
"""Event of a project's stream: an operation has ended, so labels and models may differ."""
_ALWAYS = ("state", "said")


@router.get("/live", response_class=EventSourceResponse)
async def fleet(
    request: Request,
    shared: Annotated[Shared, Depends(shared_of)],
    _: Reader,
    asked: Annotated[Wanted, Depends(wanted)],
    page_number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> AsyncIterator[ServerSentEvent]:
    """The fleet's table, whenever something in it changes."""
    unsent = Unsent()
    ends = time.monotonic() + STREAM_SECONDS
    while time.monotonic() < ends:
        try:
            found = await shared.fleet.page(asked, page=page_number)
            context = table_context(request, found, asked)
            parts = {
                TABLE: part(request, "parts/fleet.html", **context),
                AS_OF: part(request, "parts/as_of.html", **context),
            }
        except LabelbridgeError as error:
            # The table stays as it was: its age is beside it.
            parts = {AS_OF: part(request, "parts/error.html", error=error.info, title=error.kind.title)}
        if new := unsent.of(parts):
            yield ServerSentEvent(raw_data=partials(new))
        await asyncio.sleep(FLEET_PAUSE)


@router.get("/projects/{key}/live", response_class=EventSourceResponse)
async def project(
    request: Request,
    shared: Annotated[Shared, Depends(shared_of)],
    ref: Project,
    _: Reader,
    on: Annotated[str, Query(max_length=20)] = "",
) -> AsyncIterator[ServerSentEvent]:
    """The live parts of one of a project's pages."""
    unsent = Unsent()
    running = ""
    async with aclosing(shared.feeds.follow(ref)) as seen:
        async for view in seen:
            if new := unsent.of(project_parts(request, view, on)):
                yield ServerSentEvent(raw_data=partials(new))
            now = view.operation.operation_id if view.operation else ""
            if running and running != now:
                yield ServerSentEvent(event=ENDED, raw_data=running)
            running = now


def project_parts(request: Request, view: ProjectView, on: str) -> dict[str, str]:
    """The live parts of a page, by the id of their element."""
    acts = acts_of(view.status)
    names = PARTS.get(on, _ALWAYS)
    return {name: part(request, f"parts/{name}.html", view=view, acts=acts) for name in names}
