"""A server on loopback that answers what a test says and keeps what reached it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Listener:
    """`answer` is the whole HTTP answer; None: none is given, empty: the connection is cut."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    url: str = ""
    received: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(65_536):
                self.received.append(data)
                if self.answer is None:
                    continue
                writer.write(self.answer)
                await writer.drain()
                if not self.answer:
                    return
        finally:
            writer.close()


def answer(status: int, body: str = "", **headers: str) -> bytes:
    """An HTTP answer; header names are given with underscores."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body.encode())}"]
    lines += ["Content-Type: application/json"] if body.startswith("{") else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@asynccontextmanager
async def listening(
    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
) -> AsyncIterator[Listener]:
    listener = Listener(answer)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/thing"
    try:
        yield listener
    finally:
        server.close()
