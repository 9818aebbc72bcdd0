"""What an act would do to each project that matches now: its own status, the table's verdict, the preflight."""

import asyncio
from typing import TYPE_CHECKING

from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.facts import facts_of
from labelbridge.fleet.orders import FleetOutcome, FleetRequest
from labelbridge.fleet.where import Where, matches, parse
from labelbridge.lifecycle import judge
from labelbridge.model import ErrorInfo, Finding, Model, ProjectRef

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge


class Rehearsed(Model):
    """What would become of one project."""

    project: ProjectRef
    outcome: FleetOutcome | None = None
    """`already`, `left_out` or `refused`; None: it would be begun."""
    error: ErrorInfo | None = None
    findings: tuple[Finding, ...] = ()
    """What the preflight found that is not in order."""

    @property
    def refused(self) -> bool:
        """True if it would not be done, although it should."""
        return self.outcome is FleetOutcome.REFUSED


async def rehearse(
    bridge: "Labelbridge", request: FleetRequest, where: str, *, parallel: int
) -> list[Rehearsed]:
    """Every project that matches, by name; changes nothing.

    Raises:
        LabelbridgeError: `where_invalid`, `temporal_unreachable`.
    """
    meant, gate = parse(where), asyncio.Semaphore(parallel)

    async def one(project: ProjectRef) -> Rehearsed:
        async with gate:
            try:
                return await _one(bridge, request, meant, project)
            except LabelbridgeError as error:
                code = FleetOutcome.ALREADY if error.code == "already_active" else FleetOutcome.REFUSED
                return Rehearsed(project=project, outcome=code, error=error.info)

    return list(await asyncio.gather(*(one(found.project) for found in await bridge.fleet.list(where))))


async def _one(
    bridge: "Labelbridge", request: FleetRequest, meant: Where | None, project: ProjectRef
) -> Rehearsed:
    status = await bridge.status(project)
    if not matches(meant, facts_of(status)):
        return Rehearsed(project=project, outcome=FleetOutcome.LEFT_OUT)
    judge(status, request)
    preflight = await bridge.preflight(project, request)
    findings = tuple(finding for finding in preflight.findings if finding.severity != "ok")
    outcome = FleetOutcome.REFUSED if preflight.errors else None
    return Rehearsed(project=project, outcome=outcome, findings=findings)
