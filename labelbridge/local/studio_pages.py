"""The labeling pages of both studios, for a rehearsal with people. Azure's own look different.

Prevents a rehearsal in which nobody sees a gate close: a newcomer opens both studios, labels in one,
switches, and sees one close and the other open. Labels are written by the studios' own label endpoints,
with the bearer token of whoever signed in, so a page can do no more than a scripted labeler can.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from labelbridge.local import labeling_store
from labelbridge.local import language_store as store
from labelbridge.local.arm_accounts import find_account
from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context, context_of
from labelbridge.local.entra_store import Person
from labelbridge.local.labeling_jobs import JOB
from labelbridge.local.language_call import account_named
from labelbridge.local.page_rendering import assets_route, page
from labelbridge.local.studio_desks import Desk, LabelingDesk, LanguageDesk, Row
from labelbridge.local.studio_session import HOME, session_routes, to_sign_in, visitor
from labelbridge.local.studio_standing import all_projects

LANGUAGE_PAGE = HOME + "/language/{account}/{project}"
LABELING_PAGE = HOME + "/azureml/{subscription}/{group}/{workspace}/{job}"
PAGE_SIZE = 100
"""Documents in one page of the list."""

DeskOf = Callable[[Request], Desk]


async def studios(request: Request) -> Response:
    """`GET /studio`: every project and labeling job that the visitor may see."""
    who = visitor(request)
    if who is None:
        return to_sign_in(request)
    desks = [desk for desk in _all_desks(context_of(request)) if desk.may_read(who.principal)]
    shown = [(desk, desk.standing()) for desk in desks]
    return page("studios.html", title="Local studios", who=who, desks=shown)


async def desk_page(request: Request, desk_of: DeskOf) -> Response:
    """`GET`: the editor on `?document=NAME`, by default the first document that has no labels."""
    who = visitor(request)
    if who is None:
        return to_sign_in(request)
    try:
        desk = _readable(desk_of(request), who)
        rows = await desk.rows()
        index = _chosen(rows, request.query_params.get("document"))
        return await _desk_page(desk, who, rows, index)
    except AzureError as refused:
        return page(
            "refused.html",
            status=refused.status,
            title=f"{refused.status} {refused.code}",
            message=refused.message,
        )


async def _desk_page(desk: Desk, who: Person, rows: list[Row], index: int | None) -> Response:
    document = rows[index].document if index is not None else ""
    found = await desk.find(document) if index is not None else None
    standing = desk.standing()
    first = PAGE_SIZE * ((index or 0) // PAGE_SIZE)
    data = {
        "kind": desk.kind,
        "studio": desk.studio,
        "unit": desk.unit,
        "categories": list(desk.categories),
        "document": document,
        "text": found.text if found else "",
        "labels": found.labels if found else None,
        "path": desk.labels_path(document),
        "standing": f"{desk.page}/standing",
        "mayLabel": desk.may_label(who.principal),
        "open": standing.open,
    }
    return page(
        "desk.html",
        title=f"{document or desk.name} · {desk.studio_name}",
        who=who,
        desk=desk,
        standing=standing,
        instructions=await desk.instructions(),
        data=data,
        rows=rows[first : first + PAGE_SIZE],
        document=document,
        labelled=found is not None and found.labels is not None,
        chosen=_chosen_classes(found.labels if found else None),
        total=len(rows),
        done=sum(row.labelled for row in rows),
        links=_links(desk, rows, index, first),
    )


def _links(desk: Desk, rows: list[Row], index: int | None, first: int) -> dict[str, str]:
    """Addresses of the documents around this one, and of the list's pages; '' where there is none."""

    def to(position: int | None) -> str:
        if position is None or not 0 <= position < len(rows):
            return ""
        return f"{desk.page}?{urlencode({'document': rows[position].document})}"

    here = index or 0
    waiting = [position for position, row in enumerate(rows) if not row.labelled and position != index]
    following = next((one for one in waiting if one > here), waiting[0] if waiting else None)
    return {
        "previous": to(here - 1),
        "next": to(here + 1),
        "waiting": to(following),
        "list_before": to(first - PAGE_SIZE) if first else "",
        "list_after": to(first + PAGE_SIZE),
    }


async def standing(request: Request, desk_of: DeskOf) -> Response:
    """`GET .../standing`: whether the studio takes labels now, as JSON; asked again and again by the page."""
    who = visitor(request)
    if who is None:
        return JSONResponse({"error": {"code": "SignedOut", "message": "Nobody is signed in."}}, 401)
    return JSONResponse(
        _readable(desk_of(request), who).standing().view(), headers={"Cache-Control": "no-store"}
    )


def _readable(desk: Desk, who: Person) -> Desk:
    if not desk.may_read(who.principal):
        raise AzureError(403, "Forbidden", f"{who.display_name} has no role that shows {desk.name}.")
    return desk


def _chosen(rows: list[Row], document: str | None) -> int | None:
    """Position of the document that was asked for; AzureError 404 if there is none of that name."""
    if document is not None:
        found = next((position for position, row in enumerate(rows) if row.document == document), None)
        if found is None:
            raise AzureError(404, "NotFound", f"There is no document '{document}'.")
        return found
    if not rows:
        return None
    return next((position for position, row in enumerate(rows) if not row.labelled), 0)


def _chosen_classes(labels: Any) -> list[str]:
    """Classes that are checked when the page opens; none for entities."""
    if isinstance(labels, str):
        return [labels]
    return [one for one in labels or [] if isinstance(one, str)]


def _language_desk(request: Request) -> Desk:
    context, name = context_of(request), request.path_params["project"]
    account = account_named(context, request.path_params["account"])
    with context.state.read() as db:
        project = store.load_project(db, account.name, name)
    if project is None:
        raise AzureError(404, "ProjectNotFound", f"There is no project named '{name}'.")
    return LanguageDesk(context, account, project)


def _labeling_desk(request: Request) -> Desk:
    context, job_id = context_of(request), JOB.format(**request.path_params)
    with context.state.read() as db:
        job = labeling_store.find(db, job_id)
    if job is None:
        raise AzureError(404, "NotFound", f"There is no labeling job '{request.path_params['job']}'.")
    return LabelingDesk(context, job)


def _all_desks(context: Context) -> list[Desk]:
    with context.state.read() as db:
        projects = all_projects(db)
        accounts = {one.account: find_account(db, one.account) for one in projects}
        jobs = labeling_store.every(db)
    named = [(accounts[one.account], one) for one in projects]
    return [
        *(LanguageDesk(context, account, one) for account, one in named if account),
        *(LabelingDesk(context, job) for job in jobs),
    ]


def studio_page_routes() -> list[BaseRoute]:
    """All pages; they must come before routes that take any path below `/studio`."""
    return [
        *session_routes(),
        assets_route(),
        Route(HOME, studios, methods=["GET"]),
        Route(LANGUAGE_PAGE, _of(desk_page, _language_desk), methods=["GET"]),
        Route(LANGUAGE_PAGE + "/standing", _of(standing, _language_desk), methods=["GET"]),
        Route(LABELING_PAGE, _of(desk_page, _labeling_desk), methods=["GET"]),
        Route(LABELING_PAGE + "/standing", _of(standing, _labeling_desk), methods=["GET"]),
    ]


def _of(
    handler: Callable[[Request, DeskOf], Awaitable[Response]], desk_of: DeskOf
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await handler(request, desk_of)

    return endpoint
