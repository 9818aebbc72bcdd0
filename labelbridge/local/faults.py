"""Faults on order: what a network and a tired service do to a request, as an ASGI middleware.

Prevents the failure of tests that only ever see clean refusals: a connection that is reset *after*
the effect, or a request that is held and arrives late, is what breaks invariants in production.
"""

import asyncio
import re
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelbridge.local.azure_error import AzureError
from labelbridge.local.transports import abort_connection

FaultKind = Literal[
    "delay",
    "status",
    "reset_before",
    "reset_after",
    "hang",
    "hang_after",
    "drop",
    "duplicate",
    "stale",
    "garbage",
]


class FaultSpec(BaseModel):
    """What a test orders.

    `delay` waits `seconds` and goes on; `status` answers without effect; `reset_before` and
    `reset_after` cut the connection before or after the effect; `hang` holds the request before its
    effect, `hang_after` its response, until the fault is deleted. `drop` holds the request for `seconds`
    and then cuts the connection: its effect never comes. `duplicate` delivers the request once more,
    `seconds` after its answer. `stale` answers a path for `seconds` as it was answered when first struck.
    `garbage` answers 200 with `body`, without effect, as a half-dead proxy does.
    """

    model_config = ConfigDict(extra="forbid")

    method: str = "*"
    path_regex: str
    """Searched (not matched whole, any case) in path and query, e.g. `/pause\\?`."""
    kind: FaultKind
    status: int = Field(default=503, ge=400, le=599)
    seconds: float = Field(default=0.0, ge=0.0, le=3600.0)
    """Of `delay`, `drop`, `duplicate` and `stale`; for `status` the `Retry-After` (rounded up), if above 0."""
    body: str = "<html><body>Please wait.</body></html>"
    """Of `garbage`."""
    message: str = "Injected by the fault table."
    """What the error of `status` says: services quote addresses, headers and more in theirs."""
    times: int | None = Field(default=None, ge=1)
    """How many requests it strikes; None: every one until it is deleted."""
    skip: int = Field(default=0, ge=0)
    """How many matching requests it lets pass first."""

    @field_validator("path_regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


@dataclass
class Fault:
    """An armed fault and what it has done so far."""

    id: str
    spec: FaultSpec
    struck: int = 0
    """Requests it was applied to."""
    passed: int = 0
    """Matching requests that `skip` let pass."""
    held: int = 0
    """Requests that it holds at this moment."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    answers: dict[str, tuple[float, "_Withheld"]] = field(default_factory=dict)
    """Of `stale`: target -> until when (loop time) it is answered so, and how."""

    def strikes(self, method: str, target: str) -> bool:
        """Count a request and say whether this fault applies to it."""
        spec = self.spec
        if spec.method not in ("*", method) or not re.search(spec.path_regex, target, re.IGNORECASE):
            return False
        if self.passed < spec.skip:
            self.passed += 1
            return False
        if self.released.is_set() or (spec.times is not None and self.struck >= spec.times):
            return False
        self.struck += 1
        return True

    def view(self) -> dict[str, Any]:
        """What `GET /local/faults` shows."""
        return {"id": self.id, **self.spec.model_dump(), "struck": self.struck, "held": self.held}


class Faults:
    """The table of armed faults. In memory: a restarted server has none."""

    def __init__(self) -> None:
        """No fault is armed."""
        self._table: dict[str, Fault] = {}

    def add(self, spec: FaultSpec) -> Fault:
        """Arm a fault."""
        fault = Fault(uuid.uuid4().hex[:12], spec)
        self._table[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        """Armed faults, oldest first."""
        return list(self._table.values())

    def remove(self, fault_id: str | None = None) -> int:
        """Disarm one fault, or all if None; held requests go on. Returns how many were removed."""
        gone = [fault for fault in self.all() if fault_id in (None, fault.id)]
        for fault in gone:
            del self._table[fault.id]
            fault.released.set()
        return len(gone)

    def striking(self, method: str, target: str) -> Fault | None:
        """The first armed fault that applies to this request, counted."""
        return next((fault for fault in self.all() if fault.strikes(method, target)), None)


class FaultMiddleware:
    """Applies the fault table to everything but the admin paths under `/local/`."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        """Wrap `app`."""
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with the fault that strikes it if there is one."""
        if scope["type"] != "http" or scope["path"].startswith("/local/"):
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        fault = self._faults.striking(scope["method"], target)
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.spec.kind == "stale":
            await self._as_before(fault, target, scope, receive, send)
        else:
            await self._apply(fault, scope, receive, send)

    async def _as_before(self, fault: Fault, target: str, scope: Scope, receive: Receive, send: Send) -> None:
        now = asyncio.get_running_loop().time()
        until, answer = fault.answers.get(target, (0.0, _Withheld()))
        if now >= until:
            answer = _Withheld()
            await self._app(scope, receive, answer)
            fault.answers[target] = (now + fault.spec.seconds, answer)
        await answer.replay(send)

    async def _apply(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        kind = fault.spec.kind
        if kind == "status":
            await _refusal(fault.spec).response(scope["path"])(scope, receive, send)
        elif kind == "garbage":
            await Response(fault.spec.body, media_type="application/json")(scope, receive, send)
        elif kind == "reset_before":
            await _reset(scope, receive)
        elif kind == "reset_after":
            await self._app(scope, receive, _Withheld())
            await _reset(scope, receive)
        elif kind == "hang_after":
            withheld = _Withheld()
            await self._app(scope, receive, withheld)
            await _hold(fault)
            await withheld.replay(send)
        elif kind == "drop":
            await asyncio.sleep(fault.spec.seconds)
            await _reset(scope, receive)
        elif kind == "duplicate":
            body = await _whole_body(receive)
            await self._app(scope, _Replayed(body.copy(), receive), send)
            await asyncio.sleep(fault.spec.seconds)
            await self._app(scope, _Replayed(body, receive), _Withheld())
        else:
            whole = _Replayed(await _whole_body(receive), receive)
            await (_hold(fault) if kind == "hang" else asyncio.sleep(fault.spec.seconds))
            await self._app(scope, whole, send)


class _Withheld:
    """Swallows a response; may give it out later."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._messages.append(message)

    async def replay(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


class _Replayed:
    """A request whose body was read before it was held, so that it is whole whatever its sender did since."""

    def __init__(self, messages: deque[Message], receive: Receive) -> None:
        self._messages = messages
        self._receive = receive

    async def __call__(self) -> Message:
        return self._messages.popleft() if self._messages else await self._receive()


async def _whole_body(receive: Receive) -> deque[Message]:
    messages: deque[Message] = deque()
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


async def _hold(fault: Fault) -> None:
    fault.held += 1
    try:
        await fault.released.wait()
    finally:
        fault.held -= 1


async def _reset(scope: Scope, receive: Receive) -> None:
    abort_connection(scope)
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(spec: FaultSpec) -> AzureError:
    codes = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable", 504: "Timeout"}
    headers = {"Retry-After": str(-int(-spec.seconds // 1))} if spec.seconds > 0 else {}
    code = codes.get(spec.status, "InjectedFault")
    return AzureError(spec.status, code, spec.message, headers=headers)
