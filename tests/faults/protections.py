"""What keeps the invariants, each with a switch that takes it out in one forked worker process.

Prevents protections that nothing would miss: a test takes out one at a time and must turn red. They are
changed from outside, in memory; the product has no such switch.
"""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import activities.records
import workers.main
from activities.gates import Gates
from labelbridge.azure import transport
from labelbridge.azure.blobs import Blobs
from labelbridge.model import Claim, JobRef
from labelbridge.model.steps import Timing
from labelbridge.registry import Registry


class _Hurried:
    """Stands for `Timing`: the margins of the settings, without drain and settle time."""

    @staticmethod
    def model_validate(given: object) -> Timing:
        none = timedelta(0)
        return Timing.model_validate(given).model_copy(update={"drain": none, "settle": none})


def _no_settle_wait() -> None:
    """Labels are taken for settled at once: no drain, no settle time."""
    activities.records.Timing = _Hurried  # type: ignore[misc,assignment]


def _no_etag_condition() -> None:
    """A record is replaced whatever stands there."""

    async def replace(self: Blobs, container: str, name: str, data: bytes, etag: str) -> str:
        content = await self.read(container, name)
        return await original(self, container, name, data, content.etag if content else etag)

    original = Blobs.replace
    Blobs.replace = replace  # type: ignore[method-assign]


def _no_read_back_of_the_source() -> None:
    """A studio opens without a look at the other one."""

    async def look_away(self: Gates, order: Any) -> None:
        return None

    Gates._refuse_two_open = look_away  # type: ignore[method-assign]


def _no_claim() -> None:
    """Whoever asks for a job's name gets it, and a job of that name is taken for one's own."""

    async def claim(self: Registry, claim: Claim) -> Claim:
        return claim

    async def read_claim(self: Registry, job: JobRef) -> None:
        return None

    Registry.claim = claim  # type: ignore[method-assign]
    Registry.read_claim = read_claim  # type: ignore[method-assign]


def _no_pause_guard() -> None:
    """A worker that was frozen goes on."""
    workers.main.PauseGuard = lambda _: nullcontext()  # type: ignore[assignment,misc]


def _no_deadline() -> None:
    """A request is sent however late it is."""
    transport.check_deadline = lambda what: None
    transport.remaining = lambda: None


PROTECTIONS: dict[str, Callable[[], None]] = {
    "settle wait": _no_settle_wait,
    "etag": _no_etag_condition,
    "read-back": _no_read_back_of_the_source,
    "claim": _no_claim,
    "pause guard": _no_pause_guard,
    "deadline": _no_deadline,
}
