"""What the local Azure was asked of Language authoring, and what it answered: evidence for tests of quotas.

Prevents a claim about quotas that the product's own counters are the witness of. In memory, the last few
minutes of a busy fleet; it is the outermost layer, so refusals and faults are in it too.
"""

from collections import deque
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelbridge.local.clock import Clock

AUTHORING = "/authoring/analyze-text/projects"
KEPT = 50_000


class RequestLog:
    """The log, as an ASGI middleware of the whole application."""

    def __init__(self, app: ASGIApp, entries: deque[dict[str, Any]], clock: Clock) -> None:
        """Wrap `app`; `entries` is shared with the route that shows them."""
        self._app = app
        self._entries = entries
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and note it when its answer begins."""
        if scope["type"] != "http" or AUTHORING not in scope["path"]:
            await self._app(scope, receive, send)
            return
        _, _, rest = scope["path"].partition(AUTHORING)
        entry: dict[str, Any] = {
            "at": self._clock.now(),
            "answered": None,
            "method": scope["method"],
            "path": scope["path"],
            "project": unquote(rest.strip("/").split("/", 1)[0]),
            "status": None,
            "retry_after": None,
        }
        self._entries.append(entry)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = {name.lower(): value for name, value in message.get("headers", ())}
                asked = headers.get(b"retry-after")
                entry["status"] = message["status"]
                entry["answered"] = self._clock.now()
                entry["retry_after"] = float(asked) if asked else None
            await send(message)

        await self._app(scope, receive, noted)


async def list_requests(request: Request) -> Response:
    """`GET /local/requests`: all that is kept, oldest first; times in seconds since 1970."""
    return JSONResponse({"value": list(request.app.state.requests)})


async def forget_requests(request: Request) -> Response:
    """`DELETE /local/requests`: begin a new log."""
    request.app.state.requests.clear()
    return JSONResponse({})
