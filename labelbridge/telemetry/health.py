"""Whether this process can do its work now: named checks, each with the reason why not.

Prevents two failures: a worker that counts as ready and cannot reach what it needs, and a restart that a
dependency's outage causes: `/healthz` never looks outside the process, `/readyz` does.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from temporalio.client import Client
from temporalio.worker import Worker

Check = Callable[[], Awaitable[str | None]]
"""None if all is well, else why not, in a few words. What it raises is the reason too."""
CHECK_TIMEOUT = 3.0
"""Seconds of one check; a probe's own time-out should be longer."""
_FRESH = 1.0
"""Seconds for which an answer serves everybody: on a console's address anybody may ask, as often as they like."""
_ASK_AGAIN = 10.0
"""Seconds for which an answer of the record store is taken for its state now: probes come often."""


class Readiness:
    """The checks of a process. It is not ready before `started`, nor once it is `stopping`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._checks: dict[str, Check] = {}
        self._started = False
        self._stopping = False
        self._asking = asyncio.Lock()
        self._looked: tuple[float, Mapping[str, str | None]] = (float("-inf"), {})

    def add(self, name: str, check: Check) -> None:
        """Ask this too."""
        self._checks[name] = check

    def started(self) -> None:
        """Everything that the process needs is made."""
        self._started = True

    def stopping(self) -> None:
        """The process takes nothing new; it is never ready again."""
        self._stopping = True

    async def look(self) -> Mapping[str, str | None]:
        """Each check's reason, None where all is well; every check at once, however many ask."""
        if self._stopping or not self._started:
            return {"process": "stopping" if self._stopping else "starting"}
        async with self._asking:
            if self._now() - self._looked[0] > _FRESH:
                reasons = await asyncio.gather(*(_ask(check) for check in self._checks.values()))
                self._looked = self._now(), dict(zip(self._checks, reasons, strict=True))
            return self._looked[1]

    async def is_ready(self) -> bool:
        """True if no check has a reason."""
        return not any((await self.look()).values())


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT:.0f} s"
    except Exception as error:
        # Only the sort of failure: who may reach this address need not read what a service said.
        return getattr(error, "code", None) or type(error).__name__


def temporal_answers(client: Callable[[], Awaitable[Client]]) -> Check:
    """Temporal answers a call of its health service, now."""

    async def check() -> str | None:
        connected = await client()
        return None if await connected.service_client.check_health() else "not serving"

    return check


def worker_polls(worker: Worker) -> Check:
    """The worker's pollers run: they end with a failure for good, and with a shutdown."""

    async def check() -> str | None:
        return None if worker.is_running and not worker.is_shutdown else "polls no task queue"

    return check


def answers_lately(
    ask: Callable[[], Awaitable[object]], within: float, now: Callable[[], float] = time.monotonic
) -> Check:
    """`ask` succeeded within so many seconds; it is asked again only when its last success is old."""
    answered: float | None = None

    async def check() -> str | None:
        nonlocal answered
        if answered is not None and now() - answered < _ASK_AGAIN:
            return None
        try:
            async with asyncio.timeout(CHECK_TIMEOUT / 2):
                await ask()
        except Exception:
            if answered is None or now() - answered > within:
                raise
            return None
        answered = now()
        return None

    return check
