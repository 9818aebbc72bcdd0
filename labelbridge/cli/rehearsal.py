"""`--dry-run`: the plan, the refusal if the request is not legal now, and the preflight's findings."""

from typing import TYPE_CHECKING

from rich.console import Group

from labelbridge.cli.output import OutputFormat, emit, say
from labelbridge.cli.present import findings_table, plan_table
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.lifecycle import judge
from labelbridge.model import ErrorInfo, Model, Preflight, ProjectRef, Request
from labelbridge.plans import plan

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge


class DryRun(Model):
    """What `--dry-run` prints with `--output json`."""

    project: ProjectRef
    steps: tuple[dict[str, str | int], ...]
    preflight: Preflight | None
    refusal: ErrorInfo | None


async def dry_run(
    bridge: "Labelbridge", project: ProjectRef, request: Request, output: OutputFormat
) -> ExitCode:
    """Print what `request` would do and what stands in its way; change nothing."""
    status = await bridge.status(project)
    refusal: LabelbridgeError | None = None
    preflight: Preflight | None = None
    try:
        judge(status, request)
    except LabelbridgeError as error:
        refusal = error
    else:
        preflight = await bridge.preflight(project, request)
    steps = plan(request, status)
    report = DryRun(
        project=project,
        steps=tuple(
            {"number": s.number, "name": s.name.value, "effect": s.effect, "undo": s.undo} for s in steps
        ),
        preflight=preflight,
        refusal=refusal.info if refusal else None,
    )
    findings = preflight.findings if preflight else ()
    emit(report, Group(plan_table(steps), findings_table(findings)), output)
    if refusal:
        say(f"It would be refused now: {refusal.code}: {refusal.message}")
        say(f"  {refusal.remedy}")
        return refusal.kind.exit_code
    say("Nothing was changed.")
    return ExitCode.FINDINGS if preflight and preflight.errors else ExitCode.DONE
