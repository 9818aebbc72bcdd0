"""The fleet page: all projects, searched, filtered, in pages, live."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from labelbridge.console import deps
from labelbridge.console.auth.people import Person
from labelbridge.console.fleet import FleetPage, Sort, Wanted
from labelbridge.console.pages.context import shared_of
from labelbridge.console.pages.render import page, part, wants_part
from labelbridge.lifecycle import State
from labelbridge.model import ProjectKind, Studio

router = APIRouter()

TABLE = "fleet"
"""Id of the element that a search replaces."""
AS_OF = "as-of"
"""Id of the element that says how old the list is."""
_YES = {"yes": True, "no": False}


def wanted(
    q: Annotated[str, Query(max_length=200)] = "",
    state: str = "",
    studio: str = "",
    kind: str = "",
    running: str = "",
    attention: str = "",
    sort: str = "",
) -> Wanted:
    """What the form asks for; what is not among its choices means any."""
    return Wanted(
        text=q,
        state=State(state) if state in list(State) else None,
        active=Studio(studio) if studio in list(Studio) else None,
        kind=ProjectKind(kind) if kind in list(ProjectKind) else None,
        running=_YES.get(running),
        attention=_YES.get(attention),
        sort=Sort(sort) if sort in list(Sort) else Sort.NAME,
    )


@router.get("/")
async def fleet(
    request: Request,
    person: Annotated[Person, Depends(deps.reader)],
    asked: Annotated[Wanted, Depends(wanted)],
    page_number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """All projects."""
    found = await shared_of(request).fleet.page(asked, page=page_number)
    context = table_context(request, found, asked)
    if wants_part(request, TABLE):
        return HTMLResponse(part(request, "parts/fleet.html", **context))
    return page(request, "fleet.html", **context)


def table_context(request: Request, found: FleetPage, asked: Wanted) -> dict[str, object]:
    """What the table's template needs; addresses of other pages keep the filters."""
    query = request.query_params
    kept = [(name, value) for name, value in query.multi_items() if name != "page" and value]
    filtered = asked != Wanted(sort=asked.sort)
    return {"found": found, "asked": asked, "kept": kept, "query": str(query), "filtered": filtered}
