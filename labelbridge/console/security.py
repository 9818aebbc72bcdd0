"""The gate in front of every route: who asks, from where, how much; and the headers of every answer.

Prevents the route that somebody forgot to protect: nothing is served to nobody unless its address is in
`PUBLIC`. It is plain ASGI, in front of the framework, so an unauthenticated body is not even read. An
unsafe request that came with a cookie must come from our own origin and bring the session's token.
"""

import asyncio
import hmac
import time
from collections.abc import Sequence
from contextlib import nullcontext
from urllib.parse import parse_qs, quote, urlsplit

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelbridge.console import problems
from labelbridge.console.auth.people import Person
from labelbridge.console.auth.provider import Provider
from labelbridge.console.sessions import Session, Sessions
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import ConsoleSettings
from labelbridge.telemetry import spans
from labelbridge.telemetry.counting import counting

log = structlog.get_logger(__name__)

PUBLIC_PREFIXES = ("/auth/", "/static/", "/problems/")
PUBLIC_PATHS = ("/healthz", "/readyz", "/favicon.ico", "/api/v1/openapi.json")
UPLOADS = "/api/v1/uploads"
"""The one address whose body is streamed; its route bounds it."""
BODY_LIMIT = 1 << 20
"""Bytes of any other body: ample for a form with instructions, small enough to hold."""
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
SEE_LOG = "See the console's log; please report it."
SIGN_IN = "/auth/sign-in"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LIVE = frozenset({"/live", "/projects/{key}/live"})
"""Streams that last as long as somebody looks: how long says nothing."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Gate:
    """ASGI middleware. Puts `person` and `session` into `request.state`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ConsoleSettings,
        sessions: Sessions,
        provider: Provider,
        public: Sequence[str] = (),
    ) -> None:
        """`public`: further addresses that do without a sign-in here, because they authenticate themselves."""
        self._app = app
        self._origin = settings.base_url
        self._sessions = sessions
        self._provider = provider
        self._public = (*PUBLIC_PATHS, *public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        parent = request.headers.get("traceparent")
        with spans.span(request.method, kind="server", parent=parent) as span:
            answering = await self._answer(request, scope, receive, send)
            if span is not None:
                span.update_name(f"{request.method} {answering.route}")
                span.set_attribute("http.route", answering.route)
                span.set_attribute("http.response.status_code", answering.status)
        answering.note()

    async def _answer(self, request: Request, scope: Scope, receive: Receive, send: Send) -> "_Answering":
        answering = _Answering(request, send, self._sessions)
        try:
            receive = await self._admit(request, receive)
            async with self._until_session_ends(request):
                await self._app(scope, receive, answering)
        except LabelbridgeError as error:
            await self._refuse(request, error)(scope, receive, answering)
        except Exception as error:
            if answering.started and isinstance(error, TimeoutError):
                # A live stream whose session has ended: it ends as streams do.
                await answering({"type": "http.response.body", "body": b""})
                return answering
            log.exception("request_failed", method=request.method, path=request.url.path)
            if answering.started:
                raise
            await problems.answer(request, LabelbridgeError("unexpected", remedy=SEE_LOG))(
                scope, receive, answering
            )
        return answering

    async def _admit(self, request: Request, receive: Receive) -> Receive:
        """Find out who asks; raises what refuses the request. Returns where its body is read from."""
        session = self._sessions.read(request)
        public = request.url.path in self._public or request.url.path.startswith(PUBLIC_PREFIXES)
        person: Person | None = None
        if not public and "authorization" in request.headers:
            # A token speaks for itself: a cookie that came along means nothing then.
            person, session = await self._bearer(request), None
        elif session is not None:
            person = session.person
        request.state.person, request.state.session = person, session
        if person is None and not public:
            raise LabelbridgeError("unauthenticated")
        if request.method in _SAFE or request.url.path == UPLOADS:
            if session is not None and request.method not in _SAFE:
                self._same_site(request, session, b"")
            return receive
        body = await _read(request, receive)
        if session is not None:
            self._same_site(request, session, body)
        return _replayed(body, receive)

    async def _bearer(self, request: Request) -> Person:
        scheme, _, token = request.headers["authorization"].partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise LabelbridgeError("unauthenticated", "Only bearer tokens are taken.")
        return await self._provider.bearer(token.strip())

    def _same_site(self, request: Request, session: Session, body: bytes) -> None:
        if request.headers.get("origin") != self._origin:
            raise LabelbridgeError("cross_site", "The request's Origin is not this console.")
        given = request.headers.get(CSRF_HEADER) or _field(request, body)
        if not hmac.compare_digest(given.encode(), session.csrf.encode()):
            raise LabelbridgeError("cross_site", "The request does not carry the session's token.")

    def _until_session_ends(self, request: Request) -> "asyncio.Timeout | nullcontext[None]":
        """A live stream ends with its session; the browser's next attempt is then refused."""
        session: Session | None = request.state.session
        if session is None or request.method not in _SAFE:
            return nullcontext()
        return asyncio.timeout(self._sessions.ends_in(session))

    def _refuse(self, request: Request, error: LabelbridgeError) -> Response:
        if error.code != "unauthenticated" or request.url.path.startswith(problems.API):
            return problems.answer(request, error)
        return to_sign_in(request)


class _Answering:
    """The `send` of one request: adds headers, renews the session's cookie, notes the status."""

    def __init__(self, request: Request, send: Send, sessions: Sessions) -> None:
        self.started = False
        self._request = request
        self._send = send
        self._sessions = sessions
        self.status = 0
        self._began = time.monotonic()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            self._complete(MutableHeaders(scope=message))
        await self._send(message)

    def _complete(self, headers: MutableHeaders) -> None:
        path = self._request.url.path
        for name, value in HEADERS.items():
            headers[name] = value
        if not path.startswith("/static/"):
            headers.setdefault("Cache-Control", "no-store")
        session: Session | None = getattr(self._request.state, "session", None)
        if session is not None and not path.startswith("/auth/"):
            renewed = Response()
            self._sessions.renew(session, renewed)
            for cookie in renewed.headers.getlist("set-cookie"):
                headers.append("set-cookie", cookie)

    @property
    def route(self) -> str:
        """The pattern of the address, where a route was found: addresses name projects."""
        return getattr(self._request.scope.get("route"), "path", "unknown")

    def note(self) -> None:
        """One record of the request; never its query, which may hold a sign-in's code."""
        path = self._request.url.path
        if path.startswith("/static/") or path in ("/healthz", "/readyz"):
            return
        seconds = time.monotonic() - self._began
        if self.route not in _LIVE:
            counting().console_request(self._request.method, self.route, self.status, seconds)
        person: Person | None = getattr(self._request.state, "person", None)
        log.info(
            "request",
            method=self._request.method,
            path=path,
            status=self.status,
            seconds=round(seconds, 3),
            actor=person.object_id if person else None,
        )


def to_sign_in(request: Request) -> Response:
    """Send a browser to the sign-in, and back to this page after it."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"{SIGN_IN}?next={quote(asked if request.method == 'GET' else '/', safe='')}"
    if request.headers.get("hx-request"):
        # htmx follows redirects itself and would put the sign-in into the page.
        page = urlsplit(request.headers.get("hx-current-url", "/"))
        address = f"{SIGN_IN}?next={quote(page.path or '/', safe='')}"
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def local_path(text: str) -> str:
    r"""`text` if it is a path on this console, else `/`: nobody is sent elsewhere after a sign-in.

    A browser reads `//host`, `/\host` and paths with tabs or line ends in front as other hosts.
    """
    fine = text.startswith("/") and not text.startswith(("//", "/\\")) and len(text) <= 2000
    return text if fine and text.isascii() and text.isprintable() and "\\" not in text else "/"


async def _read(request: Request, receive: Receive) -> bytes:
    too_large = LabelbridgeError("too_large", f"The body is larger than {BODY_LIMIT} bytes.")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > BODY_LIMIT:
        raise too_large
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise LabelbridgeError("input_invalid", "The request ended before its body.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > BODY_LIMIT:
            raise too_large
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _field(request: Request, body: bytes) -> str:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    try:
        return parse_qs(body.decode(), max_num_fields=1000).get(CSRF_FIELD, [""])[0]
    except ValueError:
        return ""
