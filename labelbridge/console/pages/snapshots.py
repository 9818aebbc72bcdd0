"""Snapshots: the list, one manifest, and what changed between two."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from labelbridge._threads import in_thread
from labelbridge.console.pages.context import shared_of
from labelbridge.console.pages.project import Project, Reader
from labelbridge.console.pages.render import page
from labelbridge.console.reading import Reading
from labelbridge.labels import diff as compare
from labelbridge.labels.diff import Diff
from labelbridge.labels.snapshot import stored_rows
from labelbridge.model import ProjectRef

router = APIRouter(prefix="/projects/{key}/snapshots")

PAGE_ROWS = 25
SHOWN_CHANGES = 200
"""Documents that a comparison lists; it counts all of them, and the command line gives all of them."""
Id = Annotated[str, Query(max_length=64)]


@router.get("")
async def listing(
    request: Request,
    ref: Project,
    _: Reader,
    page_number: Annotated[int, Query(alias="page", ge=1, le=400)] = 1,
) -> Response:
    """All snapshots, newest first."""
    shared = shared_of(request)
    found = await shared.reading.manifests(ref, page_number * PAGE_ROWS + 1)
    shown = found[(page_number - 1) * PAGE_ROWS : page_number * PAGE_ROWS]
    return page(
        request,
        "snapshots.html",
        view=await shared.views.look(ref),
        shown=shown,
        number=page_number,
        more=len(found) > page_number * PAGE_ROWS,
        tab="snapshots",
    )


@router.get("/diff")
async def diff(request: Request, ref: Project, _: Reader, before: Id, after: Id) -> Response:
    """What changed from one snapshot to another, by document and label."""
    shared = shared_of(request)
    old = await shared.reading.manifest(ref, before)
    new = await shared.reading.manifest(ref, after)
    if old.taken_at > new.taken_at:
        old, new = new, old
    found = await compared(shared.reading, ref, old.id, new.id)
    view = await shared.views.look(ref)
    return page(request, "diff.html", view=view, old=old, new=new, found=found, tab="snapshots")


@router.get("/{snapshot}")
async def one(request: Request, ref: Project, _: Reader, snapshot: str) -> Response:
    """Where a snapshot came from and what it holds."""
    shared = shared_of(request)
    manifest = await shared.reading.manifest(ref, snapshot)
    view = await shared.views.look(ref)
    return page(request, "snapshot.html", view=view, manifest=manifest, tab="snapshots")


async def compared(reading: Reading, ref: ProjectRef, before: str, after: str) -> Diff:
    """The difference of two snapshots, with the first `SHOWN_CHANGES` documents; all are counted."""
    with await reading.snapshot(ref, before) as old, await reading.snapshot(ref, after) as new:

        def count() -> Diff:
            return compare.diff(stored_rows(old), stored_rows(new), most=SHOWN_CHANGES)

        return await in_thread(count)
