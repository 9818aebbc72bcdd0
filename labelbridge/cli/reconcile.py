"""`labelbridge reconcile`: projects held against their records, one or all, now instead of at the next sweep."""

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli.conduct import execute
from labelbridge.cli.options import OutputOption, ResourceOption, TimeoutOption
from labelbridge.cli.output import OutputFormat, emit, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.model import Drift, ErrorInfo, Model, OperationResult, ProjectRef, ReconcileRequest

if TYPE_CHECKING:
    from datetime import timedelta

    from labelbridge.client import Labelbridge
    from labelbridge.settings import Settings

PARALLEL = 8
"""Projects at once with `--all`: the workers' capacity is shared with what people wait for."""


class DriftPolicyName(StrEnum):
    """What is done about a difference that can be put right."""

    CLOSE = "close"
    REPORT = "report"


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


def reconcile(
    project: Annotated[
        str | None, typer.Argument(metavar="[PROJECT]", help="One project.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every project that has a record.")] = False,
    policy: Annotated[
        DriftPolicyName | None,
        typer.Option(
            "--policy",
            help="`close` puts right all that can be, `report` changes nothing; the worker's settings decide "
            "if not given.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look from here, without a worker; change and record nothing.")
    ] = False,
    language_resource: ResourceOption = None,
    timeout: TimeoutOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Compare record, gates, claims, labeling job and settings; put right or report what differs.

    Exit code 0 if nothing differs any more, 8 if something does.
    """
    from labelbridge.cli.present import drift_table

    with reporting(output):
        if (project is None) is not everything:
            raise LabelbridgeError("input_invalid", "Name one project, or say --all.")

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        refs = [bridge.project(project)] if project else [s.project for s in await bridge.statuses()]
        desk = _Desk(bridge, policy.value if policy else None, dry_run, timeout)
        found = await desk.all(refs)
        if everything:
            found += await _unreadable(settings)
        elif (error := found[0].error) is not None:
            raise LabelbridgeError.from_info(error)
        emit(found if everything else found[0], drift_table(_rows(found)), output)
        remaining = sum(one.remains for one in found)
        say(
            f"{len(found)} looked at, {remaining} still differ."
            + (" Nothing was changed." if dry_run else "")
        )
        return ExitCode.FINDINGS if remaining else ExitCode.DONE

    execute(output, language_resource, work)


class _Desk:
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


async def _unreadable(settings: "Settings") -> list[Reconciled]:
    from labelbridge import _offline

    return [Reconciled(project=None, error=error.info) for error in await _offline.unreadable(settings)]


def _rows(found: list[Reconciled]) -> list[tuple[str, str, str, str, str]]:
    """Project, code, outcome, message, remedy."""
    rows: list[tuple[str, str, str, str, str]] = []
    for one in found:
        name = one.project.name if one.project else "?"
        rows += [(name, d.code, d.outcome, d.message, d.remedy) for d in one.drift]
        if one.error:
            rows.append((name, one.error.code, "error", one.error.message, one.error.remedy))
        elif not one.drift:
            rows.append((name, "", "as recorded", "", ""))
        rows += [(name, "", "note", note, "") for note in (one.result.notes if one.result else ())]
    return rows
