"""Where a process shows metrics and health, and in which buckets.

Prevents histograms that say nothing: an operation takes minutes and a request milliseconds, and the
usual buckets end at ten seconds.
"""

from datetime import timedelta
from itertools import pairwise

from pydantic import BaseModel, Field, field_validator

Buckets = tuple[float, ...]


class TelemetrySettings(BaseModel):
    """Metrics and health of a worker or a console. Traces are set by OpenTelemetry's variables (`OTEL_*`)."""

    bind: str = "127.0.0.1"
    """Address on which `/metrics`, `/healthz` and `/readyz` are served, without sign-in: no public one."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port of the same; 0 opens none, and then nothing is measured."""
    operation_buckets: Buckets = (
        1,
        5,
        15,
        30,
        60,
        120,
        300,
        600,
        1200,
        1800,
        3600,
        7200,
        14400,
        43200,
        86400,
    )
    """Upper bounds in seconds for operations, their steps, waits, and how long labels were disabled."""
    request_buckets: Buckets = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
    """Upper bounds in seconds for requests, to Azure and to the console."""
    fleet_interval: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=1))
    """How often a worker asks Temporal for what concerns the fleet, such as who waits for a person."""
    registry_within: timedelta = timedelta(minutes=2)
    """A process is ready while the record store has answered within this time: one slow answer of it must
    not take all processes out of service at once."""

    @field_validator("operation_buckets", "request_buckets")
    @classmethod
    def _ascending(cls, value: Buckets) -> Buckets:
        if not value or value[0] <= 0 or any(low >= high for low, high in pairwise(value)):
            raise ValueError("must be seconds above 0, in ascending order")
        return value
