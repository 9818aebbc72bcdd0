"""The requests of one sort that were let through lately, and until when the service wants none.

Prevents a burst across the edge of a minute: nothing is counted by calendar minutes, so in any window,
wherever it begins, there are no more requests than the limit.
"""

from typing import NamedTuple

from pydantic import BaseModel

MOST_PAUSE = 900.0
"""Longest pause that is heeded, in seconds. What says more is a broken clock, or a service that is to be
asked again now and then."""


class Grant(NamedTuple):
    """How many requests may be sent now, and, if none may, after how many seconds to ask again."""

    granted: int
    wait: float = 0.0


class Window(BaseModel):
    """What was taken, oldest first. All times are seconds since 1970."""

    until: float = 0.0
    """End of the last `Retry-After`."""
    taken: list[tuple[float, int]] = []
    """When, and how many."""

    def room(self, now: float, limit: int, span: float) -> Grant:
        """How many requests the last `span` seconds have left of `limit`; takes none."""
        if now < self.until <= now + MOST_PAUSE:
            return Grant(0, self.until - now)
        recent = self._recent(now, span)
        free = limit - sum(count for _, count in recent)
        if free > 0:
            return Grant(free)
        for at, count in recent:
            free += count
            if free > 0:
                return Grant(0, max(0.0, at + span - now))
        return Grant(0, span)

    def take(self, now: float, limit: int, span: float, *, wanted: int, owed: int = 0) -> Grant:
        """Take up to `wanted` requests of what is left.

        `owed`: so many were sent without asking. They are counted first, also past the limit.
        """
        self.taken = self._recent(now, span)
        if owed:
            self.taken.append((now, owed))
        found = self.room(now, limit, span)
        if found.granted <= 0 or wanted <= 0:
            return Grant(0, found.wait)
        granted = min(wanted, found.granted)
        self.taken.append((now, granted))
        return Grant(granted)

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing through for so long, `MOST_PAUSE` at most; an end before the one that stands changes nothing."""
        until = now + min(seconds, MOST_PAUSE)
        if not self.until <= now + MOST_PAUSE or until > self.until:
            self.until = until

    def _recent(self, now: float, span: float) -> list[tuple[float, int]]:
        """What counts now. What was taken long after now was taken by a broken clock."""
        return [(at, count) for at, count in self.taken if now - span < at <= now + span]
