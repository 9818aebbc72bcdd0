"""The acts: each starts a durable operation, answers 202 at once, and says where it can be watched.

Prevents an act that is done twice because an answer was lost: `Idempotency-Key` is the client's key, which
the project's entity remembers, and refuses when it comes with another request.
"""

import asyncio
import tempfile
from datetime import timedelta
from typing import Annotated, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AfterValidator

from labelbridge import stored
from labelbridge.client import Labelbridge
from labelbridge.console import deps
from labelbridge.console.api import bodies
from labelbridge.console.api.context import Project, Reads, about_project, operation_path
from labelbridge.console.deps import Operating, Owning
from labelbridge.console.problems import responses
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    BlobRef,
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    Model,
    ReconcileRequest,
    RunningOperation,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.model import Request as Wanted

LOOK_AGAIN = 2
"""Seconds; said as `Retry-After` of an operation that runs."""
R = TypeVar("R", bound=Model)


def _printable(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise ValueError("must be printable")
    return value


Key = Annotated[
    str | None,
    AfterValidator(_printable),
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same request with the same key is done once, however often it is sent.",
        examples=["nightly-2026-03-01"],
    ),
]
WaitForRoles = Annotated[
    timedelta,
    Query(
        ge=timedelta(0),
        le=timedelta(days=1),
        description="How long to wait for a role assignment that is not there yet (10 to 30 minutes is normal).",
        examples=["PT30M"],
    ),
]
_HEADERS = {
    "Operation-Location": {"schema": {"type": "string", "format": "uri"}, "description": "The operation."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to look at it."},
    "Idempotency-Key": {"schema": {"type": "string"}, "description": "The key that was used."},
}


class Acting:
    """What an act needs beside its body."""

    def __init__(
        self,
        request: Request,
        response: Response,
        project: Project,
        idempotency_key: Key = None,
        wait_for_roles: WaitForRoles = timedelta(0),
    ) -> None:
        """FastAPI fills this in."""
        self.project = project
        self._request = request
        self._response = response
        self._key = idempotency_key or uuid4().hex
        self._wait_for_roles = wait_for_roles

    async def start(self, bridge: Labelbridge, wanted: Wanted) -> bodies.Asked:
        """Submit the request and describe the operation that does it."""
        handle = await bridge.start(
            self.project,
            wanted,
            key=self._key,
            wait_for_roles=self._wait_for_roles,
            accept_timeout=bridge.settings.console.accept_timeout,
        )
        location = self.locate(handle.operation_id)
        self._response.headers["Idempotency-Key"] = self._key
        return bodies.Asked(
            operation_id=handle.operation_id, joined=handle.joined, key=self._key, location=location
        )

    def locate(self, operation_id: str) -> str:
        """Path of the operation; also put into the answer's headers, as an address."""
        path = operation_path(self._request, self.project, operation_id)
        base = deps.settings_of(self._request).console.base_url
        self._response.headers["Operation-Location"] = base + path
        self._response.headers["Retry-After"] = str(LOOK_AGAIN)
        return path


ActingOn = Annotated[Acting, Depends()]


def _answers(*codes: str) -> dict[int | str, dict[str, object]]:
    accepted = {"description": "Accepted; it runs, or waits its turn.", "headers": _HEADERS}
    common = ("operation_running", "key_reused", "no_worker", *codes)
    return {202: accepted, **about_project(*common)}


router = APIRouter(prefix="/projects/{project}", tags=["acts"])


@router.post(
    "/connect",
    status_code=202,
    responses=_answers("already_connected", "job_claimed", "job_retired", "not_confirmed"),
)
async def connect(acting: ActingOn, bridge: Owning, body: bodies.Connect) -> bodies.Asked:
    """Connect the project to a new labeling job, for ever. Needs an owner."""
    bodies.confirmed(acting.project.name, body.confirm)
    return await acting.start(bridge, _plain(ConnectRequest, body))


@router.post("/switch", status_code=202, responses=_answers("not_connected", "already_active"))
async def switch(acting: ActingOn, bridge: Operating, body: bodies.Switch) -> bodies.Asked:
    """Move the right to label, and the labels with it. Needs an operator."""
    return await acting.start(bridge, _plain(SwitchRequest, body))


@router.post("/sync", status_code=202, responses=_answers("not_connected"))
async def sync(acting: ActingOn, bridge: Operating, body: bodies.Sync) -> bodies.Asked:
    """Bring Language up to date with the active studio. Needs an operator."""
    return await acting.start(bridge, _plain(SyncRequest, body))


@router.post("/train", status_code=202, responses=_answers())
async def train(acting: ActingOn, bridge: Operating, body: bodies.Train) -> bodies.Asked:
    """Train, evaluate and (with `deployment`) deploy a model. Needs an operator."""
    return await acting.start(bridge, _plain(TrainRequest, body))


@router.post("/import", status_code=202, responses=_answers("project_exists"))
async def import_(acting: ActingOn, bridge: Owning, body: bodies.Import) -> bodies.Asked:
    """Make a new project of this name from a file that `/api/v1/uploads` took. Needs an owner."""
    handed_in(bridge, body.source)
    return await acting.start(bridge, _plain(ImportRequest, body))


@router.post(
    "/disconnect",
    status_code=202,
    responses=_answers("not_connected", "labels_undecided", "not_confirmed"),
)
async def disconnect(acting: ActingOn, bridge: Owning, body: bodies.Disconnect) -> bodies.Asked:
    """End the connection, for ever. Needs an owner."""
    bodies.confirmed(acting.project.name, body.confirm)
    return await acting.start(bridge, _plain(DisconnectRequest, body))


@router.post("/reconcile", status_code=202, responses=_answers())
async def reconcile(acting: ActingOn, bridge: Operating, body: bodies.Reconcile) -> bodies.Asked:
    """Compare the project with its record, and put right or report what differs. Needs an operator."""
    return await acting.start(bridge, _plain(ReconcileRequest, body))


@router.post(
    "/cancel",
    status_code=202,
    response_model=RunningOperation,
    responses={
        202: {"description": "The running operation was asked to stop.", "headers": _HEADERS},
        204: {"description": "Nothing is running."},
        **about_project(),
    },
)
async def cancel(acting: ActingOn, bridge: Operating) -> RunningOperation | Response:
    """Cancel the running operation: undone before its commit, completed after it. Needs an operator."""
    running = await bridge.cancel(acting.project)
    if running is None:
        return Response(status_code=204)
    acting.locate(running.operation_id)
    return running


uploads = APIRouter(tags=["acts"])


@uploads.post(
    "/uploads",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses={
        201: {"description": "Where it is kept: the `source` of an import."},
        **responses("too_large", "registry_unreachable"),
    },
)
async def upload(request: Request, bridge: Owning, reading: Reads) -> BlobRef:
    """Hand in a labels file (Azure ML's JSON lines) for an import. Needs an owner."""
    limit = bridge.settings.console.upload_limit
    with tempfile.TemporaryFile(prefix="labelbridge-") as file:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise LabelbridgeError("too_large", f"The file is larger than {limit} bytes.")
            await asyncio.to_thread(file.write, part)
        if not size:
            raise LabelbridgeError("input_invalid", "The body is empty: send the file as the body.")
        file.seek(0)
        return await (await reading.registry()).put_upload(file)


def _plain(model: type[R], body: Model) -> R:
    """The request of the model that a body is, without what only the body has."""
    return model.model_validate(body.model_dump(include=set(model.model_fields)))


def handed_in(bridge: Labelbridge, source: BlobRef) -> None:
    """Refuse files that were not handed in here: the worker would read them with its own rights."""
    registry = bridge.settings.registry
    if not stored.handed_in(source, registry.account, registry.container):
        raise LabelbridgeError("input_invalid", "source: hand the file in with `/api/v1/uploads` first.")


__all__ = ["LOOK_AGAIN", "handed_in", "router", "uploads"]
