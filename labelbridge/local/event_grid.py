"""Event Grid topics of the local Azure: they take CloudEvents from whoever may send, and keep them.

Prevents a publisher that is tested against nothing: the official client sends here with a real token, and
a caller without the role EventGrid Data Sender is refused. Nothing is delivered on: what a topic got is
read at `/local/event-grid/{topic}` (ours). A topic exists as soon as somebody with the role names it.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import context_of
from labelbridge.local.http import caller

AUDIENCE = "https://eventgrid.azure.net"
SCOPE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.EventGrid/topics/{topic}"
LIMIT = 1 << 20
"""Bytes of one request (Event Grid's limit: 1 MB)."""
CONTENT_TYPES = ("application/cloudevents+json", "application/cloudevents-batch+json")
REQUIRED = ("id", "source", "type", "specversion")

SCHEMA = """
CREATE TABLE IF NOT EXISTS event_grid_events (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    event_json TEXT NOT NULL,
    at REAL NOT NULL
);
"""


async def publish(request: Request) -> Response:
    """`POST /event-grid/{subscription}/{group}/{topic}/api/events`: take one event or a batch."""
    context = context_of(request)
    scope = SCOPE.format(**{name: request.path_params[name] for name in ("subscription", "group", "topic")})
    context.rbac.require(
        caller(request, AUDIENCE), scope, "events.send", action="Microsoft.EventGrid/events/send/action"
    )
    events = _events(request, await request.body())
    with context.state.write() as db:
        for event in events:
            db.execute(
                "INSERT INTO event_grid_events (topic, event_json, at) VALUES (?, ?, ?)",
                (request.path_params["topic"], json.dumps(event), context.clock.now()),
            )
    return Response(status_code=200)


def _events(request: Request, body: bytes) -> list[dict[str, Any]]:
    if len(body) > LIMIT:
        raise AzureError(413, "RequestEntityTooLarge", "The request is larger than 1 MB.")
    if request.headers.get("content-type", "").partition(";")[0].strip() not in CONTENT_TYPES:
        raise AzureError(415, "UnsupportedMediaType", "This topic takes CloudEvents v1.0.")
    try:
        found = json.loads(body)
    except ValueError as error:
        raise AzureError(400, "BadRequest", f"The body is not JSON: {error}") from error
    events = found if isinstance(found, list) else [found]
    for event in events:
        missing = [name for name in REQUIRED if not isinstance(event, dict) or not event.get(name)]
        if missing:
            raise AzureError(400, "BadRequest", f"An event has no {', '.join(missing)}.")
    return events


async def received(request: Request) -> Response:
    """`GET /local/event-grid/{topic}`: what the topic got, in order (ours, no auth)."""
    with context_of(request).state.read() as db:
        rows = db.execute(
            "SELECT event_json FROM event_grid_events WHERE topic = ? ORDER BY row",
            (request.path_params["topic"],),
        ).fetchall()
    return JSONResponse({"value": [json.loads(row["event_json"]) for row in rows]})


def event_grid_routes() -> list[Route]:
    """The topics, and what they got."""
    return [
        Route("/event-grid/{subscription}/{group}/{topic}/api/events", publish, methods=["POST"]),
        Route("/local/event-grid/{topic}", received, methods=["GET"]),
    ]
