"""`labelbridge reconcile`: projects held against their records, one or all, now instead of at the next sweep."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli.conduct import execute
from labelbridge.cli.options import AnyProjectArg, OutputOption, ResourceOption, TimeoutOption
from labelbridge.cli.output import OutputFormat, emit, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.settings import Settings


class DriftPolicyName(StrEnum):
    """What is done about a difference that can be put right."""

    CLOSE = "close"
    REPORT = "report"


def reconcile(
    project: AnyProjectArg = None,
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
    with reporting(output):
        if (project is None) is not everything:
            raise LabelbridgeError("input_invalid", "Name one project, or say --all.")

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        from labelbridge.cli.present import drift_table
        from labelbridge.cli.reconciling import Desk, rows, unreadable

        refs = [bridge.project(project)] if project else [s.project for s in await bridge.statuses()]
        desk = Desk(bridge, policy.value if policy else None, dry_run, timeout)
        found = await desk.all(refs)
        if everything:
            found += await unreadable(settings)
        elif (error := found[0].error) is not None:
            raise LabelbridgeError.from_info(error)
        emit(found if everything else found[0], drift_table(rows(found)), output)
        remaining = sum(one.remains for one in found)
        say(
            f"{len(found)} looked at, {remaining} still differ."
            + (" Nothing was changed." if dry_run else "")
        )
        return ExitCode.FINDINGS if remaining else ExitCode.DONE

    execute(output, language_resource, work)
