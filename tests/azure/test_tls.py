"""No request, and so no token, goes to a server whose certificate nobody vouches for."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpRequest

from labelbridge.azure.transport import DeadlineTransport


async def test_only_a_server_that_the_authorities_vouch_for_is_spoken_to(tmp_path: Path) -> None:
    authority, received = trustme.CA(), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    request = HttpRequest("GET", f"https://127.0.0.1:{port}/", headers={"Authorization": "Bearer x"})
    async with server:
        async with DeadlineTransport() as strange:
            with pytest.raises(ServiceRequestError, match="certificate"):
                await strange.send(request)
        assert received == []
        async with DeadlineTransport(tmp_path / "ca.pem") as trusting:
            assert (await trusting.send(request)).status_code == 204
    assert len(received) == 1
