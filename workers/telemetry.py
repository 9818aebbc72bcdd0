"""What a worker shows: its checks, and the gauges of the fleet.

Prevents a worker that is ready in name only: it must reach Temporal and the record store, and poll.
"""

from temporalio.client import Client
from temporalio.worker import Worker

from labelbridge.registry import Registry
from labelbridge.settings import Settings
from labelbridge.telemetry import health
from labelbridge.telemetry.server import Telemetry


async def watch(
    shown: Telemetry, client: Client, worker: Worker, registry: Registry, settings: Settings
) -> None:
    """Add the checks; then, if metrics are shown, look at the fleet until cancelled."""

    async def connected() -> Client:
        return client

    within = settings.telemetry.registry_within.total_seconds()
    shown.readiness.add("temporal", health.temporal_answers(connected))
    shown.readiness.add("registry", health.answers_lately(registry.answers, within))
    shown.readiness.add("worker", health.worker_polls(worker))
    if shown.prometheus is not None:
        from labelbridge.telemetry.fleet import keep_looking

        await keep_looking(client, settings, shown.prometheus)
