"""What there is: the fleet, one project, its history and models, and what an act would find."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request

from labelbridge import plans
from labelbridge.client import Labelbridge
from labelbridge.console.api import bodies
from labelbridge.console.api.acts import handed_in
from labelbridge.console.api.context import Project, Reads, about_project
from labelbridge.console.api.paging import PAGE, Cursor, Limit, Page, cursor_of, last_of
from labelbridge.console.deps import Reading
from labelbridge.console.fleet import MOST_ROWS, Fleet, FleetRow, Wanted
from labelbridge.console.problems import responses
from labelbridge.console.reading import Reading as Azure
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.facts import facts_of
from labelbridge.fleet.where import matches, parse
from labelbridge.lifecycle import State, judge
from labelbridge.model import (
    AuditEntry,
    ImportRequest,
    ModelRecord,
    Preflight,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    Studio,
)

PREFLIGHT_PATIENCE = 60.0
"""Seconds for which a look may take; with no worker it would take for ever."""
_HISTORY = 100_000
"""Operations whose names are looked through for a cursor; far more than a project ever has."""

router = APIRouter(tags=["projects"])


@router.get("/projects", responses=responses("registry_unreachable", "where_invalid"))
async def projects(
    request: Request,
    bridge: Reading,
    search: Annotated[
        str, Query(max_length=200, description="Part of a project's, a job's or an operation's name.")
    ] = "",
    state: State | None = None,
    active: Studio | None = None,
    kind: ProjectKind | None = None,
    running: bool | None = None,
    attention: Annotated[
        bool | None, Query(description="Projects that need a person, or differ from their record.")
    ] = None,
    where: Annotated[
        str,
        Query(
            max_length=4_000,
            description="As `labelbridge list --where` reads it: fields name, kind, active, state, resource, "
            "workspace, attention, epoch with `=`, `!=`, `in`, joined by `and`, `or`, `not`.",
            examples=["active=azureml and state=switching"],
        ),
    ] = "",
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[FleetRow]:
    """All projects, by name; each filter leaves out what it does not match."""
    meant = parse(where)
    fleet: Fleet = request.app.state.fleet
    wanted = Wanted(text=search, state=state, active=active, kind=kind, running=running, attention=attention)
    listed = await fleet.page(wanted, size=MOST_ROWS)
    after = last_of(cursor)
    rows = [
        row
        for row in listed.rows
        if (after is None or _place(row) > after) and matches(meant, facts_of(row.summary))
    ]
    shown = tuple(rows[:limit])
    return Page(items=shown, next=cursor_of(_place(shown[-1])) if len(rows) > limit else None)


def _place(row: FleetRow) -> str:
    """Where a row stands in the list: by name, then by key; the list is sorted by both."""
    return f"{row.summary.project.name.casefold()}\n{row.key}"


@router.get("/projects/{project}", responses=about_project())
async def project(ref: Project, bridge: Reading) -> ProjectStatus:
    """Who labels where, the epoch, what runs. A project that Language does not have is not `known`."""
    return await bridge.status(ref)


@router.get("/projects/{project}/history", responses=about_project())
async def history(
    ref: Project, _: Reading, reads: Reads, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[AuditEntry]:
    """Each operation that ended, by whom and how; newest first."""
    return await audit_page(reads, ref, cursor, limit)


async def audit_page(reads: Azure, ref: ProjectRef, cursor: str | None, limit: int) -> Page[AuditEntry]:
    """One page of the audit trail; a cursor names the last operation that was given."""
    ids = await (await reads.registry()).recent(ref, _HISTORY)
    after = last_of(cursor)
    start = ids.index(after) + 1 if after in ids else 0
    if after is not None and not start:
        raise LabelbridgeError("input_invalid", "cursor: the project has no such operation.")
    shown = ids[start : start + limit]
    entries = await asyncio.gather(*(reads.audit_entry(ref, one) for one in shown))
    return Page(
        items=tuple(entry for entry in entries if entry is not None),
        next=cursor_of(shown[-1]) if len(ids) > start + limit else None,
    )


@router.get("/projects/{project}/models", responses=about_project())
async def models(ref: Project, bridge: Reading) -> Page[ModelRecord]:
    """The models that Labelbridge trained, each with the snapshot it was trained on; oldest first."""
    return Page(items=(await bridge.status(ref)).models)


@router.post("/projects/{project}/preflight", responses=about_project())
async def preflight(ref: Project, bridge: Reading, body: bodies.Look) -> bodies.DryRun:
    """What a request would do now, and everything it needs; changes nothing (`doctor`, `--dry-run`)."""
    if isinstance(body.request, ImportRequest):
        handed_in(bridge, body.request.source)
    status = await bridge.status(ref)
    steps = tuple(
        bodies.PlannedStep(number=step.number, name=step.name.value, effect=step.effect, undo=step.undo)
        for step in plans.plan(body.request, status)
    )
    try:
        judge(status, body.request)
    except LabelbridgeError as refusal:
        return bodies.DryRun(steps=steps, refusal=refusal.info, preflight=None)
    return bodies.DryRun(steps=steps, refusal=None, preflight=await _looked(bridge, ref, body))


async def _looked(bridge: Labelbridge, ref: ProjectRef, body: bodies.Look) -> Preflight:
    try:
        async with asyncio.timeout(PREFLIGHT_PATIENCE):
            return await bridge.preflight(ref, body.request)
    except TimeoutError as error:
        raise LabelbridgeError(
            "unavailable", "No worker looked in time.", remedy="Nothing was changed: ask again."
        ) from error
