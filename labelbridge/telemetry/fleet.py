"""Gauges of the whole fleet, asked of Temporal's visibility: who waits for a person, what runs, the last sweep.

Prevents a gauge that is right only where and as long as it was counted: a worker that starts knows nothing of
what others counted, and one that ends takes its count along. Every worker asks the same and shows the same,
so of several take the greatest, never the sum. Visibility lags about a second behind; nothing is decided by it.
"""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from labelbridge import names
from labelbridge.settings import Settings
from labelbridge.telemetry.prometheus import Fleet, Prometheus

log = structlog.get_logger(__name__)

MOST = 10_000
"""Workflows of one answer that are counted: a bound on what one look costs."""
_TIMEOUT = 10.0
_KINDS = {workflow: kind for kind, workflow in names.OPERATION_WORKFLOWS.items()}
_ATTENTION = SearchAttributeKey.for_keyword(names.ATTENTION_ATTRIBUTE)
_WAITING = (
    f"WorkflowType = '{names.ENTITY_WORKFLOW}' AND ExecutionStatus = 'Running'"
    f" AND {names.ATTENTION_ATTRIBUTE} IS NOT NULL AND {names.ATTENTION_ATTRIBUTE} != 'none'"
)
_RUNNING = f"WorkflowType IN ({', '.join(repr(one) for one in _KINDS)}) AND ExecutionStatus = 'Running'"
_SWEPT = f"WorkflowType = '{names.SWEEP_WORKFLOW}' AND ExecutionStatus = 'Completed'"


async def keep_looking(client: Client, settings: Settings, prometheus: Prometheus) -> None:
    """Look every `telemetry.fleet_interval` until cancelled; a look that fails leaves no gauge behind."""
    while True:
        try:
            async with asyncio.timeout(_TIMEOUT):
                prometheus.show_fleet(await look(client, settings))
        except (RPCError, TimeoutError) as error:
            prometheus.show_fleet(None)
            log.warning("fleet_not_seen", reason=str(error) or "no answer in time")
        await asyncio.sleep(settings.telemetry.fleet_interval.total_seconds())


async def look(client: Client, settings: Settings) -> Fleet:
    """Ask once."""
    interval = settings.reconcile.interval
    return Fleet(
        waiting=await _waiting(client),
        running=await _running(client),
        swept=await _swept(client) if interval else None,
        sweep_interval=interval.total_seconds() if interval else None,
    )


async def _waiting(client: Client) -> dict[str, int]:
    codes: Counter[str] = Counter()
    async for found in client.list_workflows(_WAITING, limit=MOST):
        codes[found.typed_search_attributes.get(_ATTENTION) or "unknown"] += 1
    return dict(codes)


async def _running(client: Client) -> dict[str, tuple[int, float]]:
    began: dict[str, list[float]] = {kind: [] for kind in _KINDS.values()}
    async for found in client.list_workflows(_RUNNING, limit=MOST):
        began[_KINDS[found.workflow_type]].append(_seconds(found.start_time))
    return {kind: (len(times), min(times, default=0.0)) for kind, times in began.items()}


async def _swept(client: Client) -> float:
    """When the last one that still stands in visibility ended; lists begin with the newest."""
    found: Any
    async for found in client.list_workflows(_SWEPT, limit=1):
        return _seconds(found.close_time or found.start_time)
    return 0.0


def _seconds(when: datetime) -> float:
    return when.timestamp()
