"""A proxy that ends TLS before a Temporal server, and reads what gRPC's clients send with their requests."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from hpack import Decoder

_PREFACE = 24
_HEADERS, _CONTINUATION = 1, 9
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20


@dataclass
class TlsProxy:
    """Where it listens, and what it saw."""

    port: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)
    """Headers of each request."""
    people: set[str] = field(default_factory=set)
    """Common names of the client certificates."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"localhost:{self.port}"


@asynccontextmanager
async def tls_proxy(
    authority: trustme.CA, upstream: str, *, clients: trustme.CA | None = None
) -> AsyncIterator[TlsProxy]:
    """Serve until the block ends. With `clients`, only who has a certificate of that authority is let in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    proxy, running = TlsProxy(), set[asyncio.Task[None]]()
    host, port = upstream.split(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        proxy.people |= _names(writer.get_extra_info("peercert") or {})
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        heard = _Listener(proxy.requests)
        try:
            await asyncio.gather(
                _pump(reader, there_writer, heard), _pump(there_reader, writer, None), return_exceptions=True
            )
        finally:
            writer.close()
            there_writer.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in running:
            task.cancel()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: "_Listener | None"
) -> None:
    while data := await reader.read(65_536):
        if heard is not None:
            heard.take(data)
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


class _Listener:
    """Reads the header blocks of one HTTP/2 connection's client side (RFC 9113, RFC 7541)."""

    def __init__(self, requests: list[dict[str, str]]) -> None:
        self._requests = requests
        self._decoder = Decoder()
        self._left, self._block, self._skip = b"", b"", _PREFACE

    def take(self, data: bytes) -> None:
        self._left += data
        if self._skip:
            if len(self._left) < self._skip:
                return
            self._left, self._skip = self._left[self._skip :], 0
        while len(self._left) >= 9:
            length = int.from_bytes(self._left[:3], "big")
            if len(self._left) < 9 + length:
                return
            kind, flags, body = self._left[3], self._left[4], self._left[9 : 9 + length]
            self._left = self._left[9 + length :]
            if kind in (_HEADERS, _CONTINUATION):
                self._headers(kind, flags, body)

    def _headers(self, kind: int, flags: int, body: bytes) -> None:
        if kind == _HEADERS and flags & _PADDED:
            body = body[1 : len(body) - body[0]]
        if kind == _HEADERS and flags & _PRIORITY:
            body = body[5:]
        self._block += body
        if flags & _END_HEADERS:
            found: Any = self._decoder.decode(self._block)
            self._requests.append({str(name): str(value) for name, value in found})
            self._block = b""


def _names(certificate: dict[str, Any]) -> set[str]:
    return {value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"}
