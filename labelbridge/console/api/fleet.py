"""Acts on many projects: one request to all that a filter matches, its progress, its report, its stop.

Prevents an act on more projects than the caller counted: `confirm` is their number, and nothing is begun if another
number matches.
"""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response
from fastapi import Query as QueryParameter

from labelbridge.console import deps
from labelbridge.console.api import bodies
from labelbridge.console.api.acts import LOOK_AGAIN, Key, WaitForRoles
from labelbridge.console.api.context import PREFIX
from labelbridge.console.api.paging import PAGE, Cursor, Limit, Page, cursor_of, last_of
from labelbridge.console.deps import Operating, Reading
from labelbridge.console.problems import responses
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.orders import FLEET_ID, FleetPhase, FleetRow, FleetStatus

router = APIRouter(prefix="/fleet", tags=["fleet"])

Act = Annotated[
    str, Path(pattern=FLEET_ID, description="The act's id: its `Idempotency-Key`.", examples=["wave-2"])
]
_HEADERS = {
    "Operation-Location": {"schema": {"type": "string", "format": "uri"}, "description": "The act."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to look at it."},
}
_UNKNOWN = responses("fleet_unknown", "no_worker", "registry_unreachable")
_ACCEPTED = {"description": "Accepted; it runs on by itself.", "headers": _HEADERS}


@router.post(
    "",
    status_code=202,
    responses={
        202: _ACCEPTED,
        **responses("where_invalid", "not_confirmed", "key_reused", "no_worker", "registry_unreachable"),
    },
)
async def act(
    request: Request,
    response: Response,
    bridge: Operating,
    body: bodies.FleetAct,
    idempotency_key: Key = None,
    wait_for_roles: WaitForRoles = bodies.NO_WAIT,
) -> bodies.FleetAsked:
    """Ask the same of every project that matches. Needs an operator, and in Azure each project's own roles.

    The key becomes the act's id: at most 80 letters, digits, dots, dashes and underscores.
    """
    if idempotency_key is None or not await bridge.fleet.knows(idempotency_key):
        found = await bridge.fleet.list(body.where)
        if len(found) != body.confirm:
            raise LabelbridgeError(
                "not_confirmed",
                f"`confirm` is {body.confirm}, but {len(found)} projects match. Nothing was begun.",
                remedy="Look at them with `GET /api/v1/projects?where=…`, and give their number as `confirm`.",
            )
    handle = await bridge.fleet.start(
        body.request,
        where=body.where,
        key=idempotency_key,
        max_parallel=body.max_parallel,
        at_most=body.confirm,
        stop_after=body.stop_after,
        wait_for_roles=wait_for_roles,
    )
    return bodies.FleetAsked(id=handle.id, location=_locate(request, response, handle.id))


@router.get("/{act}", responses=_UNKNOWN)
async def status(act: Act, bridge: Reading, response: Response) -> FleetStatus:
    """How an act stands: counts by outcome, what runs. Its report is a list of its own."""
    found = await bridge.fleet.act(act).status()
    if found.phase is not FleetPhase.ENDED:
        response.headers["Retry-After"] = str(LOOK_AGAIN)
    return found.model_copy(update={"rows": ()})


@router.get("/{act}/report", responses=_UNKNOWN)
async def report(act: Act, bridge: Reading, cursor: Cursor = None, limit: Limit = PAGE) -> Page[FleetRow]:
    """What became of each project so far, in the order in which that was known."""
    rows = await bridge.fleet.act(act).report()
    keys = [row.project.key for row in rows]
    after = last_of(cursor)
    if after is not None and after not in keys:
        raise LabelbridgeError("input_invalid", "cursor: the act has no such project.")
    start = 0 if after is None else keys.index(after) + 1
    shown = rows[start : start + limit]
    return Page(
        items=shown, next=cursor_of(shown[-1].project.key) if len(rows) > start + limit and shown else None
    )


@router.post("/{act}/cancel", status_code=202, responses={202: _ACCEPTED, **_UNKNOWN})
async def cancel(
    request: Request,
    response: Response,
    act: Act,
    bridge: Operating,
    running: Annotated[
        bool,
        QueryParameter(description="Also cancel what runs: undone before its commit, completed after it."),
    ] = False,
) -> bodies.FleetAsked:
    """Begin nothing more; what runs is left to end unless `running`. Needs an operator."""
    await bridge.fleet.act(act).cancel(running=running)
    return bodies.FleetAsked(id=act, location=_locate(request, response, act))


def _locate(request: Request, response: Response, act: str) -> str:
    path = f"{PREFIX}/fleet/{quote(act)}"
    response.headers["Operation-Location"] = deps.settings_of(request).console.base_url + path
    response.headers["Retry-After"] = str(LOOK_AGAIN)
    return path
