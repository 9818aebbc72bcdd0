"""The console's connection to Temporal: made at start-up if Temporal is up, else by the first who needs it.

Prevents a console that cannot start, or say why, while Temporal is down. The client itself reconnects.
"""

import asyncio
import time

from temporalio.client import Client

from labelbridge import converter
from labelbridge.client import connect_temporal
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings

RETRY = 3.0
"""Seconds after a failed attempt for which everybody gets its answer, instead of waiting in line for their own."""


class TemporalConnection:
    """One client for the application."""

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        """`client`: use this one, which has the data converter of `labelbridge.converter`."""
        self._settings = settings
        self._client = client
        self._lock = asyncio.Lock()
        self._failure: LabelbridgeError | None = None
        self._failed_at = 0.0

    async def client(self) -> Client:
        """The client; raises `temporal_unreachable`."""
        async with self._lock:
            if self._client is not None:
                return self._client
            if self._failure is not None and time.monotonic() - self._failed_at < RETRY:
                raise LabelbridgeError.from_info(self._failure.info)
            try:
                self._client = await connect_temporal(self._settings)
            except LabelbridgeError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            return self._client

    async def close(self) -> None:
        """Close what the client holds beside its own connection."""
        if self._client is not None:
            await converter.close(self._client)
