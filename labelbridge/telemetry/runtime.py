"""The one Temporal runtime of a process: its core's log records, and its metrics.

Prevents a second runtime, which would have metrics and threads of its own that nobody looks at. The core's
exporter listens on a loopback port that is free; `server` shows what it has beside our own metrics, so that
there is one address to scrape.
"""

import logging
import socket
from collections.abc import Mapping

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from labelbridge.telemetry.settings import Buckets, TelemetrySettings

_ATTEMPTS = 5
"""A port that was free may be taken before the core has it."""
BY_WORKFLOWS = (
    "labelbridge_operation_seconds",
    "labelbridge_operation_step_seconds",
    "labelbridge_labels_disabled_seconds",
    "labelbridge_queue_wait_seconds",
)
"""Histograms that workflow code records; the core must be told their buckets beforehand."""


def start(settings: TelemetrySettings) -> str | None:
    """Make the runtime that every Temporal client of this process uses; before the first of them.

    Returns:
        Address of the core's metrics, None if `settings` asks for none.
    """
    if not settings.port:
        _set_default(None)
        return None
    buckets = dict.fromkeys(BY_WORKFLOWS, settings.operation_buckets)
    for attempt in range(_ATTEMPTS):
        address = f"127.0.0.1:{_free_port()}"
        try:
            _set_default(_exporter(address, buckets))
        except (RuntimeError, ValueError, OSError):
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return f"http://{address}/metrics"
    return None


def _exporter(address: str, buckets: Mapping[str, Buckets]) -> PrometheusConfig:
    return PrometheusConfig(
        bind_address=address, durations_as_seconds=True, histogram_bucket_overrides=buckets
    )


def _set_default(metrics: PrometheusConfig | None) -> None:
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    filtering = TelemetryFilter(core_level="WARN", other_level="ERROR")
    runtime = Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(filter=filtering, forwarding=forwarding),
            metrics=metrics,
            attach_service_name=False,
        )
    )
    Runtime.set_default(runtime, error_if_already_set=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
