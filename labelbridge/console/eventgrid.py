"""Where Azure Event Grid delivers: both handshakes, and label exports that may start a sync.

Prevents three failures: an event that anybody could send (a bearer token of the console's issuer with the
app role `Labelbridge.EventSource`, or the shared key), one that is lost because it came at a bad moment (it
is given to a durable workflow before it is acknowledged), and one that counts twice (by `source` and `id`,
for ever: the workflow's id while Temporal remembers it, a blob after that).
"""

import hashlib
import hmac
import json
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse, Response
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.events.exports import Exports, export_of
from labelbridge.events.orders import AutoSync, ExportSeen
from labelbridge.events.stores import Stores
from labelbridge.model import Model
from labelbridge.settings import Settings

PATH = "/api/v1/eventgrid"
APP_ROLE = "Labelbridge.EventSource"
"""The app role to give to Event Grid's service principal; it allows nothing but to deliver here."""
KEY_HEADER = "x-labelbridge-key"
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
BLOB_CREATED = "Microsoft.Storage.BlobCreated"

router = APIRouter()


class Heard(Model):
    """An event of either schema."""

    id: str = Field(min_length=1, max_length=1000)
    source: str = Field(max_length=4000)
    type: str = Field(max_length=1000)
    subject: str = Field(default="", max_length=4000)
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Names the event: `source` and `id` together are unique (CloudEvents 1.0)."""
        return hashlib.sha256(f"{self.source}\0{self.id}".encode()).hexdigest()


@router.options(PATH, include_in_schema=False)
async def handshake(request: Request) -> Response:
    """CloudEvents' handshake: who may send here, and how fast.

    It needs no sign-in, since it gives nothing away: what is sent then does.
    """
    origin = request.headers.get("webhook-request-origin", "")
    if origin not in _settings(request).events.event_grid_origins:
        raise LabelbridgeError("role_missing", f"{origin or 'Nobody'} may not send events here.")
    return Response(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})


@router.post(PATH, include_in_schema=False)
async def receive(request: Request) -> Response:
    """Take a delivery: the validation handshake, one event or a batch, of either schema."""
    await _authenticate(request)
    events = _events(await _body(request))
    for event in events:
        if event.type == VALIDATION:
            return JSONResponse({"validationResponse": str(event.data.get("validationCode", ""))})
    started = 0
    for event in events:
        started += await _hear(request, event)
    return JSONResponse({"received": len(events), "started": started})


async def _authenticate(request: Request) -> None:
    """Raise `unauthenticated` or `role_missing` unless Event Grid sends."""
    key = _settings(request).events.event_grid_key
    given = request.headers.get(KEY_HEADER) or request.query_params.get("key") or ""
    if key is not None and given:
        # Equal lengths, so that the comparison's time says nothing.
        wanted = hashlib.sha256(key.get_secret_value().encode()).digest()
        if hmac.compare_digest(hashlib.sha256(given.encode()).digest(), wanted):
            return
        raise LabelbridgeError("unauthenticated", "The shared key is wrong.")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise LabelbridgeError("unauthenticated", "Event Grid brings a bearer token or the shared key.")
    claims = await request.app.state.provider.claims(token.strip())
    if APP_ROLE not in (claims.get("roles") or ()):
        raise LabelbridgeError("role_missing", f"This needs the app role {APP_ROLE}.")


async def _body(request: Request) -> bytes:
    limit, parts, size = _settings(request).events.body_limit, [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise LabelbridgeError("too_large", f"The body is larger than {limit} bytes.")
        parts.append(part)
    return b"".join(parts)


def _events(body: bytes) -> list[Heard]:
    try:
        found = json.loads(body)
        return [_heard(one) for one in (found if isinstance(found, list) else [found])]
    except (ValueError, RecursionError, ValidationError) as error:
        raise LabelbridgeError(
            "input_invalid", "The body is neither an event nor a list of events."
        ) from error


def _heard(event: Any) -> Heard:
    """An event, whichever schema it has: Event Grid's own, or CloudEvents 1.0."""
    if not isinstance(event, dict):
        raise ValueError("an event is a JSON object")
    data = event.get("data")
    cloud = "specversion" in event
    return Heard(
        id=event.get("id", ""),
        source=event.get("source" if cloud else "topic") or "",
        type=event.get("type" if cloud else "eventType", ""),
        subject=event.get("subject") or "",
        data=data if isinstance(data, dict) else {},
    )


async def _hear(request: Request, event: Heard) -> int:
    """Deal with one event; returns how many looks it started."""
    settings = _settings(request)
    export = None
    if event.type == BLOB_CREATED:
        export = export_of(event.source, event.subject, settings.events.export_pattern)
    if export is None:
        return 0
    exports = Stores.of(await request.app.state.reading.session(), settings).exports
    if await exports.heard(event.digest):
        return 0
    client: Client = await request.app.state.temporal.client()
    started = await _start(client, settings, exports, event.digest, export)
    await exports.note_heard(event.digest)
    return started


async def _start(
    client: Client, settings: Settings, exports: Exports, digest: str, export: ExportSeen
) -> int:
    """Start a look for each project whose labels this export may be; the look reads policy and record."""
    started = 0
    for project in await exports.projects(export.job):
        try:
            await client.start_workflow(
                names.AUTO_SYNC_WORKFLOW,
                AutoSync(project=project, export=export),
                id=f"{names.AUTO_SYNC.format(key=project.key)}/{digest[:32]}",
                task_queue=settings.temporal.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            continue
        except RPCError as error:
            raise LabelbridgeError("temporal_unreachable", str(error)) from error
        started += 1
    return started


def _settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found
