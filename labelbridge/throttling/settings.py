"""How many requests a Language resource is asked in a minute.

Prevents a fleet that runs into its own 429s: a thousand projects on one resource share ten POSTs a
minute, and whoever ignores that spends them on refusals.
"""

import math
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, Field, field_validator

Sort = Literal["post", "get"]
"""The two sorts of authoring requests that Azure limits, each for itself."""
HOLD = 1.0
"""Most seconds between the taking of a request and its sending, so also until another worker's pause is heeded."""
SLACK = 0.5
"""Seconds that are added to the window: of two requests the later may be the faster on its way."""


class ThrottleSettings(BaseModel):
    """The limits of a Language resource, and how long steps may wait for them. The same for all workers."""

    post_per_minute: int = Field(default=10, ge=0)
    """Authoring POSTs of one resource (Language service limits); 0 keeps no limit."""
    get_per_minute: int = Field(default=100, ge=0)
    """Authoring GETs of one resource (Language service limits); 0 keeps no limit."""
    kept_back: float = Field(default=0.1, ge=0, le=0.9)
    """Share of both that workers leave to others: to Language Studio, whose users have the same quota, to
    console and command line, and to the gates, which never wait. Of 10 and 100 they use 9 and 90."""
    counted_as_post: tuple[str, ...] = ("POST", "PUT", "PATCH", "DELETE")
    """Azure publishes limits of POST and GET only; counting what else writes as POST is the cautious reading."""
    window: timedelta = timedelta(minutes=1)
    """What the limits are counted over. Azure's is a minute; a rehearsal may have a shorter one."""
    turn_patience: timedelta = timedelta(hours=2)
    """A step that got no turn in this time rolls its operation back. A resource has 500 projects at most,
    and 9 requests a minute serve each of them twice in 111 minutes. Waiting for a turn does not count
    against `timing.step_patience`."""
    watch: timedelta = timedelta(seconds=30)
    """How often a worker looks for resources that other workers met: a turn that only a dead worker would
    have served is served after this at the latest."""

    @field_validator("window", "watch")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("must be at least a second")
        return value

    @property
    def turns(self) -> bool:
        """True if steps stand in the resource's queue."""
        return self.post_per_minute > 0

    @property
    def turns_per_second(self) -> float:
        """Rate of a resource's queue: that at which its POSTs pass."""
        return self.limit("post") / self.span

    @property
    def hold(self) -> float:
        """Seconds for which requests that were taken ahead may be sent."""
        return min(HOLD, 0.02 * self.window.total_seconds())

    @property
    def span(self) -> float:
        """Seconds for which a request counts."""
        return self.window.total_seconds() + self.hold + SLACK

    def limit(self, sort: Sort) -> int:
        """Requests of a sort that all workers together send in a window; 0 for no limit."""
        published = self.post_per_minute if sort == "post" else self.get_per_minute
        return published and max(1, math.floor(published * (1 - self.kept_back) + 1e-9))

    def sort_of(self, method: str) -> Sort:
        """What a request counts as."""
        return "post" if method.upper() in self.counted_as_post else "get"
