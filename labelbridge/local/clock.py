"""Time of the local Azure: one clock, and Azure's three ways to write it down."""

import time
import uuid
from datetime import UTC, datetime

_TICKS_AT_EPOCH = 62_135_596_800
"""Seconds between year 1, where .NET starts to count, and 1970."""


class Clock:
    """Wall clock. Seconds since 1970, because due times must survive a restart."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()


def iso(at: float) -> str:
    """`2024-01-01T00:00:00.123456Z`, the form of every date on the wire."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def operation_id(at: float) -> str:
    """`<guid>_<18-digit ticks>`, the form of Language job ids in the published examples."""
    return f"{uuid.uuid4()}_{int((at + _TICKS_AT_EPOCH) * 10_000_000)}"
