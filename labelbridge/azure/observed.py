"""The session's transport as one service's clients see it: each request is timed, counted and traced.

Prevents requests that nobody sees: a policy of one SDK sees that SDK's requests only, and one above the
retries sees several as one. Here every attempt of every client passes, the credential's among them. Nothing
of a request is looked at but method, address and status: not the query, which may hold a signature, no header
and no body.
"""

import time
from typing import Any, TypeAlias

from azure.core.pipeline.transport import AsyncHttpTransport

from labelbridge.azure.transport import DeadlineTransport
from labelbridge.errors import LabelbridgeError
from labelbridge.telemetry import spans
from labelbridge.telemetry.counting import Service, counting


class ObservedTransport(AsyncHttpTransport[Any, Any]):
    """Passes everything on to the shared transport, and says what became of it.

    The time of a request ends with the answer's headers: a body that is streamed is not in it.
    """

    def __init__(self, transport: DeadlineTransport, service: Service) -> None:
        self._transport = transport
        self._service: Service = service

    async def open(self) -> None:
        """Open the shared transport, if it is not."""
        await self._transport.open()

    async def close(self) -> None:
        """Close the shared transport: clients say so when they are closed with their session."""
        await self._transport.close()

    async def sleep(self, duration: float) -> None:
        """Wait before a retry, no longer than the deadline allows."""
        await self._transport.sleep(duration)

    async def send(self, request: Any, **config: Any) -> Any:
        """Send one request; raises what the shared transport raises."""
        if not spans.inside():  # a probe, say: each would be a trace of its own
            return await self._send(request, config)
        name, attributes = spans.of_request(self._service, request.method, request.url)
        with spans.span(name, attributes, kind="client") as span:
            response = await self._send(request, config)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _send(self, request: Any, config: dict[str, Any]) -> Any:
        began = time.monotonic()
        try:
            response = await self._transport.send(request, **config)
        except LabelbridgeError:
            raise  # it was not sent
        except BaseException:
            self._count(None, began)
            raise
        self._count(response.status_code, began)
        return response

    def _count(self, status: int | None, began: float) -> None:
        counting().azure_request(self._service, status, time.monotonic() - began)

    async def __aenter__(self) -> "ObservedTransport":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


Transport: TypeAlias = DeadlineTransport | ObservedTransport
"""What a client takes: it makes no difference to it."""
