"""What waits in Airflow's triggerer while no worker slot is taken.

Prevents a wait that ends because a connection did: a trigger connects again until it has an answer, and one
that moves to another triggerer begins from the operation's id alone. Errors travel as an event, so that the
task fails with our code and remedy instead of a traceback of the triggerer.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from labelbridge.airflow.attaching import settings_for
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.model import OperationResult, SnapshotRef

_CONNECT_PAUSE = 10.0
"""Seconds between two attempts to reach Temporal: an outage is minutes, and many triggers wait in it."""


async def synced_since(bridge: Labelbridge, project: str, since: datetime) -> SnapshotRef | None:
    """The last sync's snapshot if its labels were exported at or after `since`, else None.

    Raises:
        LabelbridgeError: `project_unknown`, or what kept the status from being read.
    """
    status = await bridge.status(project)
    if not (status.known or status.running or status.queued):
        raise LabelbridgeError("project_unknown", data={"project": project})
    last = status.last_sync
    return last if last is not None and last.taken_at >= since else None


class OperationTrigger(BaseTrigger):
    """Fires when an operation has ended: `{"result": ...}` or `{"error": ...}`."""

    def __init__(self, project: str, operation_id: str, language_resource: str | None = None) -> None:
        """All that is needed to find the operation again."""
        super().__init__()
        self.project = project
        self.operation_id = operation_id
        self.language_resource = language_resource

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How a triggerer makes this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "project": self.project,
                "operation_id": self.operation_id,
                "language_resource": self.language_resource,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the operation's end."""
        yield TriggerEvent(await self._outcome())

    async def _outcome(self) -> dict[str, Any]:
        while True:
            try:
                return {"result": (await self._result()).model_dump(mode="json")}
            except LabelbridgeError as error:
                if error.code != "temporal_unreachable":
                    return {"error": error.info.model_dump(mode="json")}
                self.log.warning("%s; trying again", error)
            await asyncio.sleep(_CONNECT_PAUSE)

    async def _result(self) -> OperationResult:
        async with Labelbridge.connect(settings_for(self.language_resource)) as bridge:
            return await bridge.operation(self.project, self.operation_id).result()


class SyncedTrigger(BaseTrigger):
    """Fires when a sync's labels are new enough: `{"snapshot": ...}` or `{"error": ...}`."""

    def __init__(
        self, project: str, since: str, interval: float, language_resource: str | None = None
    ) -> None:
        """`since` is an ISO 8601 time with its zone, `interval` the seconds between two looks."""
        super().__init__()
        self.project = project
        self.since = since
        self.interval = interval
        self.language_resource = language_resource

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How a triggerer makes this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "project": self.project,
                "since": self.since,
                "interval": self.interval,
                "language_resource": self.language_resource,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the labels are new enough."""
        yield TriggerEvent(await self._outcome())

    async def _outcome(self) -> dict[str, Any]:
        while True:
            try:
                return {"snapshot": (await self._snapshot()).model_dump(mode="json")}
            except LabelbridgeError as error:
                if error.final:
                    return {"error": error.info.model_dump(mode="json")}
                self.log.warning("%s; trying again", error)
            await asyncio.sleep(max(self.interval, _CONNECT_PAUSE))

    async def _snapshot(self) -> SnapshotRef:
        since = datetime.fromisoformat(self.since)
        async with Labelbridge.connect(settings_for(self.language_resource)) as bridge:
            while True:
                found = await synced_since(bridge, self.project, since)
                if found is not None:
                    return found
                await asyncio.sleep(self.interval)
