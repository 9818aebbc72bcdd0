"""Pictures of a fleet and of acts on it, for people."""

from collections.abc import Sequence
from datetime import datetime

from rich.markup import escape
from rich.table import Table

from labelbridge.cli.present import grid, moment, with_columns
from labelbridge.fleet.facts import NONE, facts_of, short
from labelbridge.fleet.orders import BAD, FleetOutcome, FleetPhase, FleetStatus
from labelbridge.fleet.rehearsal import Rehearsed
from labelbridge.model import Model, ProjectSummary

_KINDS = {
    "CustomSingleLabelClassification": "single-label",
    "CustomMultiLabelClassification": "multi-label",
    "CustomEntityRecognition": "entities",
}
_GOOD = frozenset({FleetOutcome.COMMITTED, FleetOutcome.ALREADY})


class Line(Model):
    """One project of `labelbridge list`; names and values are those of `--where`."""

    name: str
    kind: str
    active: str
    state: str
    epoch: int
    running: str | None
    """Id of the operation that runs."""
    attention: str
    resource: str
    workspace: str
    since: datetime | None
    """When the active studio last changed, or the project was connected."""

    @classmethod
    def of(cls, summary: ProjectSummary) -> "Line":
        """The line of a summary."""
        facts = facts_of(summary)
        return cls(
            name=facts.name,
            kind=_KINDS.get(facts.kind, facts.kind),
            active=facts.active,
            state=facts.state,
            epoch=facts.epoch,
            running=summary.running.operation_id if summary.running else None,
            attention=facts.attention,
            resource=facts.resource,
            workspace=facts.workspace,
            since=summary.since,
        )


def fleet_table(lines: Sequence[Line]) -> Table:
    """One line for each project, with resources by their own names."""
    table = with_columns(
        "Name", "Kind", "Active", "State", "Epoch", "Running", "Attention", "Resource", "Workspace", "Since"
    )
    for one in lines:
        cells = (
            one.name,
            one.kind,
            one.active,
            one.state,
            str(one.epoch),
            one.running or "-",
            "-" if one.attention == NONE else one.attention,
            short(one.resource),
            "-" if one.workspace == NONE else short(one.workspace),
            moment(one.since) if one.since else "-",
        )
        table.add_row(*map(escape, cells), style=None if one.attention == NONE else "yellow")
    return table


def progress_words(status: FleetStatus) -> str:
    """How far an act is, on one line."""
    if status.phase is FleetPhase.GATHERING:
        return f"{status.order.id}: finding the projects"
    counted = ", ".join(
        f"{status.counts[outcome]} {outcome.value.replace('_', ' ')}"
        for outcome in FleetOutcome
        if status.counts.get(outcome)
    )
    words = f"{status.order.id}: {status.done} of {status.projects} done" + (
        f" ({counted})" if counted else ""
    )
    if status.running:
        names = [one.project.name for one in status.running]
        words += f"; running: {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if names[5:] else "")
    return words + (f"; stopped: {status.stopped}" if status.stopped else "")


def act_table(status: FleetStatus) -> Table:
    """An act, without its projects."""
    order = status.order
    rows = [
        ("Act", f"{order.id} ({order.request.kind})"),
        ("Projects", order.where or "all"),
        ("At once", str(order.max_parallel)),
        ("Asked for by", order.actor.name or order.actor.object_id),
        ("Began", moment(status.started_at)),
        ("Ended", moment(status.ended_at) if status.ended_at else f"{status.phase.value}"),
        ("Stands", progress_words(status).removeprefix(f"{order.id}: ")),
    ]
    rows += [("Running", f"{one.project.name} {one.operation_id}") for one in status.running]
    return grid(rows)


def report_table(status: FleetStatus) -> Table:
    """What became of each project."""
    table = with_columns("Project", "Outcome", "Code", "Operation", "Epoch", "Labeling disabled", "Error")
    for row in status.rows:
        disabled = row.labels_disabled_seconds
        cells = (
            row.project.name,
            row.outcome.value.replace("_", " "),
            row.error.code if row.error else "",
            row.operation_id or "",
            "" if row.epoch is None else str(row.epoch),
            "" if disabled is None else f"{disabled:.1f} s",
            row.error.message if row.error else "",
        )
        style = "red" if row.outcome in BAD else None if row.outcome in _GOOD else "yellow"
        table.add_row(*map(escape, cells), style=style)
    return table


def rehearsal_table(found: Sequence[Rehearsed]) -> Table:
    """What would become of each project."""
    table = with_columns("Project", "Would be", "Finding", "")
    for one in found:
        outcome = one.outcome.value.replace("_", " ") if one.outcome else "begun"
        style = "red" if one.refused else None
        error = one.error
        table.add_row(
            escape(one.project.name),
            outcome,
            escape(error.code if error else ""),
            escape(error.message if error else ""),
            style=style,
        )
        for finding in one.findings:
            text = finding.message + (f"\n{finding.command}" if finding.command else "")
            table.add_row("", finding.severity.value, escape(finding.code), escape(text))
    return table
