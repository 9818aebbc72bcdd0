"""What a worker does for events when it starts: subscribers are known and awake, Schedules stand.

Prevents three failures: a new subscriber who misses what happens before it is first looked at, an event
whose writer died before it woke anybody, and automatic syncs that ended with a lost namespace.
"""

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from labelbridge.errors import LabelbridgeError
from labelbridge.events.policy import keep_schedule
from labelbridge.events.stores import Stores
from labelbridge.events.waking import wake
from labelbridge.settings import Settings

log = structlog.get_logger(__name__)


async def start_deliveries(client: Client, stores: Stores, settings: Settings) -> None:
    """Register the subscribers of the settings and wake their deliveries; a failure is only logged.

    A subscriber that is new is told what happens from now on.
    """
    for name in settings.events.subscribers:
        try:
            if await stores.subscribers.load(name) is None:
                await stores.subscribers.register(name, await stores.outbox.tail())
            await wake(client, settings, name)
        except (LabelbridgeError, RPCError) as error:
            log.warning("subscriber_not_started", subscriber=name, reason=str(error))


async def restore_schedules(client: Client, stores: Stores, settings: Settings) -> None:
    """Make the Schedules of automatic syncs that are missing; a failure is only logged."""
    try:
        for policy in await stores.policies.all():
            await keep_schedule(client, settings, policy, renew=False)
    except (LabelbridgeError, RPCError) as error:
        log.warning("schedules_not_restored", reason=str(error))
