"""Requests per minute (or per a shorter window, in a rehearsal), and the 429 that says when to come back."""

import math
from collections import deque

from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import Clock


class Quotas:
    """Sliding windows, in memory: a restarted server starts with empty windows."""

    def __init__(self, clock: Clock, window: float = 60.0) -> None:
        """All windows are empty. `window` is in seconds; Azure states these limits per minute."""
        self._clock = clock
        self._window = window
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str, per_minute: int) -> None:
        """Count one request against `key`; 0 per minute means no quota.

        Raises:
            AzureError: 429 with the whole seconds after which one will fit in `Retry-After`.
        """
        if per_minute <= 0:
            return
        now = self._clock.now()
        taken = self._taken.setdefault(key, deque())
        while taken and taken[0] <= now - self._window:
            taken.popleft()
        if len(taken) >= per_minute:
            wait = max(1, math.ceil(taken[0] + self._window - now))
            raise AzureError(
                429,
                "TooManyRequests",
                f"The limit of {per_minute} requests per minute is reached. Retry after {wait} seconds.",
                headers={"Retry-After": str(wait)},
            )
        taken.append(now)
