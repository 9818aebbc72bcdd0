"""Where code outside workflows says what happened; counted only in a process that shows metrics.

Prevents a library that drags a metrics client into every pipeline: callers reach one object here, whose
methods do nothing until `install` puts another in its place.
"""

from typing import Literal

Service = Literal["arm", "blob", "event_grid", "identity", "language", "azureml"]
"""What of Azure a request went to."""


class Counting:
    """Counts nothing. `labelbridge.telemetry.prometheus` has the one that does."""

    def azure_request(self, service: Service, status: int | None, seconds: float) -> None:
        """One HTTP request to Azure ended; `status` None if there was no answer."""

    def event_delivery(self, *, delivered: bool) -> None:
        """One attempt to tell a subscriber of an event ended."""

    def dead_letter(self) -> None:
        """An event was given up for one subscriber."""

    def console_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """The console answered a request; `route` is the pattern of its address, never the address."""


_counting = Counting()


def counting() -> Counting:
    """The one of this process."""
    return _counting


def install(new: Counting) -> None:
    """Count with `new` from now on."""
    global _counting
    _counting = new
