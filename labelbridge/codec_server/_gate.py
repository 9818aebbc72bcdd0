"""The gate in front of the codec server: from which page, who, with which role, how much.

Prevents the body of a stranger from being read at all: origin, token and role are looked at first. Answers
are readable for scripts of Temporal's UI only; no cookie is ever taken, so credentials need no permission.
"""

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelbridge.codec_server._refusals import refusal
from labelbridge.console.auth.people import Person, person_of
from labelbridge.console.auth.provider import Provider
from labelbridge.encryption.settings import CodecServerSettings
from labelbridge.errors import LabelbridgeError

log = structlog.get_logger(__name__)

OPEN = ("/healthz",)
PREFLIGHT_AGE = 600
"""Seconds for which a browser remembers that it may ask."""
HEADERS = "authorization, content-type, x-namespace"
_SAFETY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOBODY = Person(object_id="nobody")


def caller_of(connection: HTTPConnection) -> Person:
    """Who asks; `NOBODY` before that is known."""
    found: Person = getattr(connection.state, "person", NOBODY)
    return found


class Gate:
    """ASGI middleware. Puts `person` into `request.state`."""

    def __init__(self, app: ASGIApp, *, settings: CodecServerSettings, provider: Provider) -> None:
        """One for the application."""
        self._app = app
        self._settings = settings
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        page = connection.headers.get("origin")
        answering = _Answering(send, page if self._is_ui(page) else None)
        try:
            if page is not None and not self._is_ui(page):
                raise LabelbridgeError(
                    "cross_site", f"Pages of {page[:200]} may not ask here.", remedy=_ORIGIN
                )
            if scope["method"] == "OPTIONS":
                await _preflight()(scope, receive, answering)
                return
            if scope["path"] not in OPEN:
                await self._identify(connection)
                self._refuse_large(connection.headers)
                receive = self._bounded(receive)
            await self._app(scope, receive, answering)
        except LabelbridgeError as error:
            who = caller_of(connection)
            log.warning("request_refused", actor=who.object_id, path=scope["path"], code=error.code)
            await refusal(error)(scope, receive, answering)

    def _is_ui(self, page: str | None) -> bool:
        return bool(self._settings.ui_origin) and page == self._settings.ui_origin

    async def _identify(self, connection: HTTPConnection) -> None:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise LabelbridgeError("unauthenticated", "Send a bearer token.", remedy=_TOKEN)
        claims = await self._provider.claims(token.strip())
        connection.state.person = person = person_of(claims)
        roles, wanted = claims.get("roles"), self._settings.app_role
        if not isinstance(roles, list) or wanted not in roles:
            raise LabelbridgeError(
                "role_missing", f"{person.name or person.object_id} has not the app role {wanted}."
            )

    def _refuse_large(self, headers: Headers) -> None:
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._settings.body_limit:
            raise self._too_large()

    def _bounded(self, receive: Receive) -> Receive:
        """For a body that says no length, or a false one."""
        left = self._settings.body_limit

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> LabelbridgeError:
        return LabelbridgeError(
            "too_large",
            f"The body is larger than {self._settings.body_limit} bytes.",
            remedy="Send less at once.",
        )


_ORIGIN = "Give the origin of Temporal's UI as codec_server.ui_origin."
_TOKEN = "Let Temporal's UI pass the access token, or use `--codec-auth 'Bearer TOKEN'`."  # noqa: S105 - a text


def _preflight() -> Response:
    """What a browser asks before it sends a page's request with a token."""
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_AGE),
        },
    )


class _Answering:
    """The `send` of one request: adds headers."""

    def __init__(self, send: Send, page: str | None) -> None:
        self._send = send
        self._page = page

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _SAFETY.items():
                headers[name] = value
            headers.append("Vary", "Origin")
            if self._page is not None:
                headers["Access-Control-Allow-Origin"] = self._page
        await self._send(message)
