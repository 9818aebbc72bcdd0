"""Metrics of a process, by the Prometheus client: what happens outside workflow code, and gauges of the fleet.

Prevents two failures: a label whose values grow with the fleet (no project, document or address is one), and
a gauge that goes on showing what was true before Temporal was lost (`Fleet` is replaced as a whole, or gone).
What workflow code measures comes from the SDK's own exporter, which knows a replay from a first run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client import generate_latest as generate
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from labelbridge.telemetry.counting import Counting, Service
from labelbridge.telemetry.settings import TelemetrySettings

THROTTLED = 429
SERVICES: tuple[Service, ...] = ("arm", "azureml", "blob", "event_grid", "identity", "language")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True)
class Fleet:
    """What one look at Temporal's visibility found; the same on every worker."""

    waiting: Mapping[str, int] = field(default_factory=dict)
    """Projects that need a person, by code of the error."""
    running: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """By kind of operation: how many run, and when the oldest of them began (Unix time)."""
    swept: float | None = None
    """When the last sweep ended well (Unix time), 0 if none is known; None if sweeps are off."""
    sweep_interval: float | None = None


class Prometheus(Counting):
    """The metrics of one process; `text` is what a scrape gets of them."""

    def __init__(self, settings: TelemetrySettings) -> None:
        """All metrics stand from the start, so that a rate is seen from the first event on."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._fleet = _FleetGauges()
        registry.register(self._fleet)
        requests = settings.request_buckets
        self._azure = Counter(
            "labelbridge_azure_requests", "HTTP requests to Azure", ["service", "status"], registry=registry
        )
        self._azure_seconds = Histogram(
            "labelbridge_azure_request_seconds",
            "Time of an HTTP request to Azure, each attempt by itself",
            ["service"],
            buckets=requests,
            registry=registry,
        )
        self._throttled = Counter(
            "labelbridge_throttled_requests",
            "Requests that Azure answered with 429",
            ["service"],
            registry=registry,
        )
        self._deliveries = Counter(
            "labelbridge_event_deliveries",
            "Attempts to tell a subscriber of an event",
            ["outcome"],
            registry=registry,
        )
        self._dead = Counter(
            "labelbridge_dead_letters", "Events given up for one subscriber", registry=registry
        )
        self._console = Counter(
            "labelbridge_console_requests",
            "Requests that the console answered",
            ["method", "route", "status"],
            registry=registry,
        )
        self._console_seconds = Histogram(
            "labelbridge_console_request_seconds",
            "Time until the console had answered; live pages excepted",
            ["route"],
            buckets=requests,
            registry=registry,
        )
        for service in SERVICES:
            self._throttled.labels(service)
            self._azure_seconds.labels(service)
        for outcome in ("delivered", "failed"):
            self._deliveries.labels(outcome)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate(self._registry)

    def show_fleet(self, seen: Fleet | None) -> None:
        """What the last look found, or None: it failed, and nothing is known."""
        self._fleet.seen, self._fleet.looks = seen, True

    def azure_request(self, service: Service, status: int | None, seconds: float) -> None:
        """Count and time one request."""
        self._azure.labels(service, status_class(status)).inc()
        self._azure_seconds.labels(service).observe(seconds)
        if status == THROTTLED:
            self._throttled.labels(service).inc()

    def event_delivery(self, *, delivered: bool) -> None:
        """Count one attempt."""
        self._deliveries.labels("delivered" if delivered else "failed").inc()

    def dead_letter(self) -> None:
        """Count one event."""
        self._dead.inc()

    def console_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; a method that somebody made up is `other`."""
        method = method if method in _METHODS else "other"
        self._console.labels(method, route, status_class(status)).inc()
        self._console_seconds.labels(route).observe(seconds)


def status_class(status: int | None) -> str:
    """E.g. `2xx`; 429 by itself; `none` if there was no answer."""
    if status is None:
        return "none"
    return str(THROTTLED) if status == THROTTLED else f"{status // 100}xx"


class _FleetGauges(Collector):
    """Gauges that stand or fall with the last look."""

    def __init__(self) -> None:
        self.seen: Fleet | None = None
        self.looks = False
        """A console never does, and a worker not before it has begun."""
        self._version = metadata.version("labelbridge")

    def collect(self) -> Iterable[Metric]:
        yield _gauge("labelbridge_build_info", "Version of this process", {(self._version,): 1}, ["version"])
        if self.looks:
            yield _gauge(
                "labelbridge_fleet_seen",
                "1 if a worker's last look at Temporal for the fleet's gauges succeeded",
                {(): 0 if self.seen is None else 1},
            )
        if self.seen is not None:
            yield from _of(self.seen)


def _of(seen: Fleet) -> Iterator[Metric]:
    yield _gauge(
        "labelbridge_waiting_for_person",
        "Projects that need a person, by code of the error; 0 with code none if nobody does",
        {(code,): count for code, count in (seen.waiting or {"none": 0}).items()},
        ["code"],
    )
    yield _gauge(
        "labelbridge_operations_running",
        "Operations that run",
        {(kind,): count for kind, (count, _) in seen.running.items()},
        ["kind"],
    )
    yield _gauge(
        "labelbridge_oldest_operation_start_timestamp_seconds",
        "When the oldest running operation of its kind began",
        {(kind,): began for kind, (count, began) in seen.running.items() if count},
        ["kind"],
    )
    if seen.swept is not None:
        yield _gauge(
            "labelbridge_sweep_last_success_timestamp_seconds",
            "When the fleet was last looked at as a whole; 0 if it never was",
            {(): seen.swept},
        )
    if seen.sweep_interval is not None:
        yield _gauge(
            "labelbridge_sweep_interval_seconds",
            "How often the fleet is to be looked at",
            {(): seen.sweep_interval},
        )


def _gauge(
    name: str, text: str, values: Mapping[tuple[str, ...], float], labels: list[str] | None = None
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels or [])
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family
