"""Wakes the deliveries: says that there is something to look at, to workflows that otherwise sleep.

Prevents an event that waits for the next one: whoever writes an event wakes every subscriber's delivery
before its step is done, and each worker wakes all of them when it starts. An idle delivery costs nothing.
"""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from labelbridge import names
from labelbridge.events.orders import DeliveryOrder
from labelbridge.settings import Settings


async def wake(client: Client, settings: Settings, *subscribers: str) -> None:
    """Start the deliveries of these subscribers (all of the settings' if none is named), or wake them."""
    for name in subscribers or tuple(settings.events.subscribers):
        await client.start_workflow(
            names.DELIVERY_WORKFLOW,
            DeliveryOrder(subscriber=name),
            id=names.DELIVERY.format(name=name),
            task_queue=settings.temporal.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=names.WAKE,
        )
