"""How far a long step has come: said with each of its heartbeats, and read by the attempt that follows.

Prevents a step that starts over after its worker died, and one whose heartbeats in the background wipe
out what an earlier heartbeat said (Temporal keeps only the last).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta

from temporalio import activity

_BEATS = 4
"""Heartbeats in the time that one may be late."""
_said: ContextVar[list[str] | None] = ContextVar("labelbridge_progress", default=None)


@asynccontextmanager
async def beating(patience: timedelta) -> AsyncIterator[None]:
    """Send heartbeats while the block runs, each with the place that was reached last."""
    said = [place] if (place := last_reached()) else []
    token = _said.set(said)

    async def beat() -> None:
        while True:
            activity.heartbeat(*said)
            await asyncio.sleep(patience.total_seconds() / _BEATS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        _said.reset(token)


def reached(place: str) -> None:
    """Say, now and with every later heartbeat, where the next attempt may go on."""
    said = _said.get()
    if said is not None:
        said[:] = [place]
        activity.heartbeat(place)


def last_reached() -> str | None:
    """Where the attempt before this one had come to; None if it said nothing, or outside of an activity."""
    if not activity.in_activity():
        return None
    details = activity.info().heartbeat_details
    return str(details[0]) if details else None
