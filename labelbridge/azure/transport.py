"""The one HTTP transport of the product: it sends nothing after the effect's deadline.

Prevents the failure of the late effect: an activity attempt that was cut off (a paused process, a
worker that Temporal gave up on) wakes and still opens a studio that the protocol believes shut.
`effect_deadline` sets an absolute deadline for everything that the block calls, and the deadline is
looked at again in the last piece of our code before bytes go to the socket: after the retry policy,
after the token was fetched, after the connection was made. What remains is the pause between that
look and the kernel, which no client can close.
"""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline.transport import AioHttpTransport

from labelbridge.errors import LabelbridgeError

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""CLOCK_BOOTTIME goes on while the machine sleeps, so a suspended laptop cannot stretch a deadline."""

_deadline: ContextVar[float | None] = ContextVar("labelbridge_effect_deadline", default=None)


def now() -> float:
    """Seconds on the clock that deadlines are measured on."""
    return time.clock_gettime(_CLOCK)


@contextmanager
def effect_deadline(seconds: float) -> Iterator[None]:
    """Let nothing inside the block be sent later than `seconds` from now.

    Blocks nest; the earlier deadline holds. Tasks that the block starts inherit it.
    """
    outer = _deadline.get()
    own = now() + seconds
    token = _deadline.set(own if outer is None else min(outer, own))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Seconds until the deadline, negative once it has passed, None if there is none."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - now()


def check_deadline(what: str) -> None:
    """Raise `deadline_passed` if `what` must not be sent any more."""
    left = remaining()
    if left is not None and left <= 0:
        raise LabelbridgeError(
            "deadline_passed", f"{what} was not sent: its deadline passed {-left:.1f} s ago."
        )


class _DeadlineRequest(aiohttp.ClientRequest):
    """Looks at the deadline when the connection stands, and once more when the body is written."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        check_deadline(f"{self.method} {self.url.with_query(None)}")
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Any, content_length: int | None = None
    ) -> None:
        # aiohttp runs this as a task of its own, and only here do the headers leave with the body.
        # An exception would be lost with the task, so it is handed to whoever awaits the answer.
        try:
            check_deadline(f"{self.method} {self.url.with_query(None)}")
        except LabelbridgeError as error:
            conn.protocol.set_exception(error)
            conn.close()
            return
        await super().write_bytes(writer, conn, content_length)


class DeadlineTransport(AioHttpTransport):  # type: ignore[misc]  # azure.core exports it lazily, untyped
    """aiohttp transport that keeps the effect deadline; shared by every client of a session.

    Args:
        ca_bundle: PEM file of the certificate authorities to trust; the system's if None.
    """

    session: aiohttp.ClientSession | None

    def __init__(self, ca_bundle: Path | None = None) -> None:
        super().__init__()
        # One context for all requests: the SDK's own way would load the file again for each.
        self._tls = ssl.create_default_context(cafile=str(ca_bundle) if ca_bundle else None)

    async def open(self) -> None:
        """Open the connection pool. Must run in the event loop that will use it."""
        if self.session is None and not self._has_been_opened:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls),
                request_class=_DeadlineRequest,
                trust_env=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        await super().open()

    async def sleep(self, duration: float) -> None:
        """Wait before a retry of the SDK; a wait that would pass the deadline ends at once."""
        left = remaining()
        if left is not None and duration >= left:
            raise LabelbridgeError("deadline_passed", "No time was left for another attempt.")
        await super().sleep(duration)

    async def send(self, request: Any, **config: Any) -> Any:
        """Send the request unless the deadline passed; wait for the answer no longer than it.

        Raises:
            LabelbridgeError: `deadline_passed` if nothing was sent.
            ServiceResponseTimeoutError: The deadline came while waiting; the outcome is unknown.
        """
        check_deadline(f"{request.method} {_without_query(request.url)}")
        left = remaining()
        if left is None:
            return await super().send(request, **config)
        config["connection_timeout"] = min(
            config.get("connection_timeout", self.connection_config.timeout), left
        )
        config["read_timeout"] = min(config.get("read_timeout", self.connection_config.read_timeout), left)
        try:
            async with asyncio.timeout(left):
                return await super().send(request, **config)
        except TimeoutError as error:
            raise ServiceResponseTimeoutError(
                f"No answer to {request.method} {_without_query(request.url)} before the deadline."
            ) from error


def _without_query(url: str) -> str:
    """An address fit for messages: result addresses may carry a signature in their query."""
    return url.partition("?")[0]
