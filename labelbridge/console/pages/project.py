"""A project's own pages: Data labeling, Project settings, and the look of the doctor."""

import asyncio
import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from labelbridge.client import Labelbridge
from labelbridge.console import deps
from labelbridge.console.auth.people import Person
from labelbridge.console.chart import HEIGHT, WIDTH, chart_of, in_force
from labelbridge.console.pages.context import Shared, shared_of
from labelbridge.console.pages.render import page, part, wants_part
from labelbridge.console.project_view import acts_of, typical
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.manifest import Manifest
from labelbridge.model import ConnectRequest, ErrorInfo, Preflight, ProjectRef, ProjectStatus
from labelbridge.model import Request as Asked

router = APIRouter(prefix="/projects/{key}")

CHARTED = 60
"""Snapshots on the chart: the newest."""
LOOK_PATIENCE = timedelta(seconds=45)
"""A look at everything an operation needs takes seconds; after this it is said that no worker answers."""
OPERATION_ID = re.compile(r"\d{6,}-[a-z]+-[0-9a-f]{8}")


async def project_of(request: Request, key: str) -> ProjectRef:
    """The project in the address; `project_unknown` if there is none of this key."""
    return await shared_of(request).fleet.reference(key)


Reader = Annotated[Person, Depends(deps.reader)]
Project = Annotated[ProjectRef, Depends(project_of)]


@router.get("")
async def overview(key: str, _: Reader) -> Response:
    """A project's address alone means its labels."""
    return RedirectResponse(f"/projects/{key}/labeling", 303)


@router.get("/labeling")
async def labeling(
    request: Request, ref: Project, _: Reader, started: Annotated[str, Query(max_length=100)] = ""
) -> Response:
    """Data labeling: the state, what may be done, what runs, how far the labels are."""
    shared = shared_of(request)
    problems: list[ErrorInfo] = []
    view, manifests = await asyncio.gather(shared.views.look(ref), newest(shared, ref, CHARTED, problems))
    context = {
        "view": view,
        "acts": acts_of(view.status),
        "chart": chart_of(manifests),
        "chart_size": (WIDTH, HEIGHT),
        "latest": next(filter(in_force, manifests), None),
        "problems": problems,
    }
    if wants_part(request, "labels"):
        return HTMLResponse(part(request, "parts/labels.html", **context))
    return page(
        request,
        "labeling.html",
        **context,
        started=started if OPERATION_ID.fullmatch(started) else "",
        tab="labeling",
    )


@router.get("/settings")
async def settings(request: Request, ref: Project, _: Reader) -> Response:
    """Project settings: the connection, and its end."""
    shared = shared_of(request)
    view, record = await asyncio.gather(shared.views.look(ref), shared.reading.record(ref))
    connection = record.connection if record else None
    return page(
        request, "settings.html", view=view, acts=acts_of(view.status), connection=connection, tab="settings"
    )


@router.get("/doctor")
async def doctor(
    request: Request,
    ref: Project,
    person: Reader,
    purpose: Annotated[str, Query(alias="for", max_length=20)] = "",
) -> Response:
    """Everything an operation needs, looked at by the worker; each finding with the command that mends it."""
    bridge = await deps.bridge(request, person)
    view = await shared_of(request).views.look(ref)
    purposes = _purposes(view.status)
    purpose = purpose if purpose in purposes else purposes[0]
    preflight, error = await findings(bridge, ref, _request_for(purpose, view.status, bridge))
    context = {"view": view, "preflight": preflight, "error": error, "purpose": purpose, "purposes": purposes}
    if wants_part(request, "findings"):
        return HTMLResponse(part(request, "parts/findings.html", **context))
    return page(request, "doctor.html", **context, tab="settings")


async def findings(
    bridge: Labelbridge, ref: ProjectRef, request: Asked
) -> tuple[Preflight | None, ErrorInfo | None]:
    """All findings for a request, or why there are none."""
    try:
        seen = await asyncio.wait_for(bridge.preflight(ref, request), LOOK_PATIENCE.total_seconds())
    except TimeoutError:
        return None, LabelbridgeError("no_worker", "No worker looked at the project in time.").info
    except LabelbridgeError as error:
        return None, error.info
    return seen, None


async def newest(shared: Shared, ref: ProjectRef, limit: int, problems: list[ErrorInfo]) -> list[Manifest]:
    """The newest manifests; none, and the problem noted, if they cannot be read."""
    try:
        return await shared.reading.manifests(ref, limit)
    except LabelbridgeError as error:
        problems.append(error.info)
        return []


def _purposes(status: ProjectStatus) -> tuple[str, ...]:
    return ("switch", "sync", "train", "disconnect") if status.connected else ("connect", "train")


def _request_for(purpose: str, status: ProjectStatus, bridge: Labelbridge) -> Asked:
    """The request whose needs are looked at; its own choices (names) do not change the findings."""
    if purpose != "connect":
        return typical(purpose, status)
    name = re.sub(r"[^A-Za-z0-9_-]", "-", status.project.name).lstrip("-_") or "job"
    return ConnectRequest(job=bridge.job(name))


__all__ = ["OPERATION_ID", "Project", "Reader", "findings", "newest", "project_of", "router"]
