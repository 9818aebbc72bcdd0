"""One Azure Event Grid topic with the CloudEvents schema, through the official client.

Prevents a key in our settings: the topic is reached as this process's identity, which needs the role
EventGrid Data Sender on it.
"""

from datetime import datetime
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from labelbridge.azure.errors import azure_errors
from labelbridge.azure.observed import Transport


class Topic:
    """A topic that events can be sent to."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential, transport: Transport) -> None:
        """`endpoint` is the topic's, with its path; `transport` is shared and not closed here."""
        self.endpoint = endpoint
        # Retries are the delivery's own: what the client repeats in secret would not be counted.
        self._client = EventGridPublisherClient(endpoint, credential, transport=transport, retry_total=0)

    async def send(
        self,
        *,
        id: str,  # noqa: A002
        source: str,
        type: str,  # noqa: A002
        subject: str,
        time: datetime,
        data: dict[str, Any],
        extensions: dict[str, str],
    ) -> None:
        """Publish one CloudEvent.

        Raises:
            LabelbridgeError: `forbidden` without the role, `throttled`, `unavailable`, `invalid_request`.
        """
        event = CloudEvent(
            source=source,
            type=type,
            id=id,
            subject=subject,
            time=time,
            data=data,
            datacontenttype="application/json",
            extensions=extensions,
        )
        async with azure_errors(f"send an event to {self.endpoint}"):
            await self._client.send(event)
