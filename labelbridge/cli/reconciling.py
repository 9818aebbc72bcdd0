"""How `labelbridge reconcile` asks for one reconciliation after the other, and what it makes of the answers."""

import asyncio
from typing import TYPE_CHECKING

from labelbridge.errors import LabelbridgeError
from labelbridge.model import Drift, ErrorInfo, Model, OperationResult, ProjectRef, ReconcileRequest

if TYPE_CHECKING:
    from datetime import timedelta

    from labelbridge.client import Labelbridge
    from labelbridge.settings import Settings

PARALLEL = 8
"""Projects at once with `--all`: the workers' capacity is shared with what people wait for."""


class Reconciled(Model):
    """One project's answer; `error` if it could not be held against its record."""

    project: ProjectRef | None
    drift: tuple[Drift, ...] = ()
    result: OperationResult | None = None
    error: ErrorInfo | None = None

    @property
    def remains(self) -> bool:
        """True if something differs still, or is not known."""
        return self.error is not None or any(drift.outcome != "closed" for drift in self.drift)


class Desk:
    """Asks for one reconciliation after the other, a few at once."""

    def __init__(
        self, bridge: "Labelbridge", policy: str | None, dry_run: bool, timeout: "timedelta | None"
    ) -> None:
        self._bridge = bridge
        self._request = ReconcileRequest.model_validate({"policy": policy})
        self._dry_run = dry_run
        self._timeout = timeout
        self._gate = asyncio.Semaphore(PARALLEL)

    async def all(self, refs: list[ProjectRef]) -> list[Reconciled]:
        """The answers, in the order of `refs`."""
        return list(await asyncio.gather(*(self._one(ref) for ref in refs)))

    async def _one(self, ref: ProjectRef) -> Reconciled:
        async with self._gate:
            try:
                if self._dry_run:
                    seen = await self._bridge.drift(ref, policy=self._request.policy)
                    return Reconciled(project=ref, drift=seen)
                handle = await self._bridge.start(ref, self._request)
                result = await handle.result(self._timeout)
            except LabelbridgeError as error:
                return Reconciled(project=ref, error=error.info)
        return Reconciled(project=ref, drift=result.drift, result=result)


async def unreadable(settings: "Settings") -> list[Reconciled]:
    """One answer for each record that cannot be read."""
    from labelbridge import _offline

    return [Reconciled(project=None, error=error.info) for error in await _offline.unreadable(settings)]


def rows(found: list[Reconciled]) -> list[tuple[str, str, str, str, str]]:
    """Project, code, outcome, message, remedy."""
    made: list[tuple[str, str, str, str, str]] = []
    for one in found:
        name = one.project.name if one.project else "?"
        made += [(name, d.code, d.outcome, d.message, d.remedy) for d in one.drift]
        if one.error:
            made.append((name, one.error.code, "error", one.error.message, one.error.remedy))
        elif not one.drift:
            made.append((name, "", "as recorded", "", ""))
        made += [(name, "", "note", note, "") for note in (one.result.notes if one.result else ())]
    return made
