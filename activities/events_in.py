"""Hearing: a label export, or a Schedule, may start a sync where the project's policy says so."""

from temporalio import activity

from labelbridge import _submit
from labelbridge.azure.session import AzureSession
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.events.exports import Exports
from labelbridge.events.orders import AutoSync, AutoSyncOutcome, ExportSeen
from labelbridge.events.policy import Mode, Policies
from labelbridge.model import Actor, ProjectRef, SyncRequest
from labelbridge.registry import Registry
from labelbridge.settings import Settings

_ACCEPT = 20.0
"""Seconds; a request that is not answered by then stays with the server."""


class EventsIn:
    """The step of an automatic sync."""

    def __init__(
        self,
        session: AzureSession,
        registry: Registry,
        policies: Policies,
        own: Exports,
        settings: Settings,
    ) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._policies = policies
        self._own = own
        self._settings = settings

    @activity.defn(name="auto_sync")
    async def auto_sync(self, order: AutoSync) -> AutoSyncOutcome:
        """Ask for a sync if the policy wants it. May run twice: the sync's key is this workflow's id."""
        policy = await self._policies.read(order.project)
        if policy.mode is Mode.OFF:
            return AutoSyncOutcome(outcome="off")
        if order.export is not None:
            answer = await self._not_news(order.project, order.export, policy.mode)
            if answer is not None:
                return answer
        return await self._sync(order)

    async def _not_news(self, project: ProjectRef, export: ExportSeen, mode: Mode) -> AutoSyncOutcome | None:
        """Why an export gives no reason for a sync now; None if it does."""
        stored = await self._registry.load(project)
        connection = stored.record.connection if stored else None
        if mode is not Mode.ON_EXPORT or connection is None:
            return AutoSyncOutcome(outcome="off")
        if connection.job.name.casefold() != export.job.casefold():
            return AutoSyncOutcome(outcome="off", why="another labeling job's")
        if await self._own.made(export):
            return AutoSyncOutcome(outcome="ours")
        status = await _submit.status(activity.client(), project)
        if status is None or status.running is not None:
            return AutoSyncOutcome(outcome="busy")
        # An operation that ended between the two looks has noted its export before it ended.
        return AutoSyncOutcome(outcome="ours") if await self._own.made(export) else None

    async def _sync(self, order: AutoSync) -> AutoSyncOutcome:
        identity = await self._session.identity()
        actor = Actor(object_id=identity.object_id, name="labelbridge (auto_sync)")
        bridge = Labelbridge(activity.client(), self._settings, actor=actor)
        key = order.key or activity.info().workflow_id
        try:
            handle = await bridge.start(order.project, SyncRequest(), key=key, accept_timeout=_ACCEPT)
        except LabelbridgeError as error:
            if not error.final and error.code != "no_worker":
                raise
            return AutoSyncOutcome(outcome="refused", why=str(error), actor=actor)
        return AutoSyncOutcome(outcome="started", operation_id=handle.operation_id, actor=actor)
