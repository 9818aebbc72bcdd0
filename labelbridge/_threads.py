"""Long work off the event loop.

Prevents two failures: a loop that stands still while a project is converted (then no heartbeat is sent,
and Temporal gives the work to another worker), and files that are closed under a thread which still
uses them because whoever waited for it was cancelled.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread; a cancellation takes effect once it has ended."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
