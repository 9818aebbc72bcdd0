"""Cutting a connection without an answer, which ASGI has no word for.

uvicorn's protocol is given a memory of its open transports by peer address; a fault finds the
transport of its request there and aborts it (TCP reset or plain close, no HTTP answer either way).
"""

import asyncio
import socket
import struct

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OPEN: dict[tuple[str, int], asyncio.Transport] = {}


class RememberingProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; remembers its transport while it is connected."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport."""
        super().connection_made(transport)
        if self.client is not None:
            _OPEN[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        if self.client is not None:
            _OPEN.pop(self.client, None)
        super().connection_lost(exc)


def abort_all() -> None:
    """Cut every connection, so that a server that was told to end does not wait for idle clients."""
    for transport in list(_OPEN.values()):
        transport.abort()


def abort_connection(scope: Scope) -> None:
    """Cut the connection that this request came on; the client sees a reset."""
    transport = _OPEN.get(tuple(scope["client"])) if scope.get("client") else None
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Lingering for zero seconds turns the close into a reset.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
