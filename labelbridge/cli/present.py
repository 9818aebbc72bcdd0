"""Pictures of the nouns for people: each function turns one model into a rich table."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labelbridge.model import (
    AuditEntry,
    Finding,
    OperationResult,
    Outcome,
    ProjectStatus,
    ProjectSummary,
    RunningOperation,
    Severity,
    SnapshotRef,
)
from labelbridge.plans import PlanStep

_SEVERITY = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.OK: "green"}


def moment(value: datetime) -> str:
    """A time in UTC to the second, e.g. `2026-03-01 12:00:05Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def grid(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values, one line each."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, escape(value))
    return table


def with_columns(*columns: str) -> Table:
    """A table with these columns and no lines around it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _snapshot(snapshot: SnapshotRef) -> str:
    text = f"{snapshot.id} ({snapshot.documents} documents, {snapshot.labels} labels"
    if snapshot.quarantined:
        text += f", {snapshot.quarantined} quarantined in {snapshot.quarantine}"
    return f"{text}, from {snapshot.source}, {moment(snapshot.taken_at)})"


def running_words(running: RunningOperation | None) -> str:
    """What runs, for whom, since when."""
    if running is None:
        return "nothing"
    who = running.actor.name or running.actor.object_id
    return f"{running.kind.value} {running.operation_id} for {who} since {moment(running.started_at)}"


def state_words(status: ProjectStatus | ProjectSummary) -> str:
    """Who labels where, in two words."""
    if not status.known:
        return "unknown to Language"
    return f"{status.active.display_name} labels" if status.connected else "not connected"


def result_table(result: OperationResult) -> Table:
    """How a committed operation ended."""
    rows = [
        ("Operation", f"{result.operation_id} ({result.kind.value})"),
        ("Labeling in", result.active.display_name),
        ("Epoch", str(result.epoch)),
    ]
    if result.snapshot:
        rows.append(("Snapshot", _snapshot(result.snapshot)))
    if merge := result.merge:
        counts = f"{merge.taken} documents taken, {merge.kept} kept, {max(merge.cleared_count, len(merge.cleared))} cleared"
        rows.append(
            (
                "Merge",
                f"{counts}, {max(merge.conflict_count, len(merge.conflicts))} conflicts; delivered {merge.snapshot}",
            )
        )
        rows += [("Conflict", document) for document in merge.conflicts]
        if merge.report:
            rows.append(("All conflicts", f"{merge.report} (policy {merge.policy})"))
        rows += [("Original", original) for original in merge.originals]
    if model := result.model:
        rows.append(("Model", f"{model.label}, trained on {model.snapshot} ({model.labels})"))
        rows += [(f"  {name}", f"{value:.3f}") for name, value in model.evaluation.items()]
        if model.deployment:
            rows.append(("Deployment", model.deployment))
    if result.labels_disabled_seconds is not None:
        rows.append(("Labeling was disabled", f"{result.labels_disabled_seconds:.1f} s"))
    rows += [("Note", note) for note in result.notes]
    rows.append(("Took", f"{(result.ended_at - result.started_at).total_seconds():.1f} s"))
    return grid(rows)


def status_table(status: ProjectStatus) -> Table:
    """Everything known of one project."""
    rows = [
        ("Project", status.project.name),
        ("Language resource", status.project.language_resource),
        ("Kind", status.kind.value if status.kind else "-"),
        ("State", state_words(status)),
        ("Epoch", str(status.epoch)),
    ]
    if status.job:
        rows.append(("Labeling job", status.job.resource_id))
    rows.append(("Running", running_words(status.running)))
    if status.interrupted and not status.running:
        rows.append(("Interrupted", f"{status.interrupted}; it is finished or undone by itself"))
    if why := status.attention:
        rows.append(("Needs a person", f"{why.code}: {why.message} {why.remedy}".strip()))
    rows += [
        ("Differs", f"{drift.code} ({drift.outcome}): {drift.message} {drift.remedy}".strip())
        for drift in status.drift
    ]
    rows += [("Queued", f"{queued.kind.value} {queued.operation_id}") for queued in status.queued]
    if status.auto_sync:
        rows.append(("Auto sync", status.auto_sync))
    if status.last_sync:
        rows.append(("Last sync", _snapshot(status.last_sync)))
    rows += [
        ("Model", f"{model.label}, trained on {model.snapshot} ({model.labels}) {moment(model.trained_at)}")
        for model in status.models
    ]
    rows += [("Retired", job.resource_id) for job in status.retired]
    return grid(rows)


def statuses_table(statuses: Sequence[ProjectStatus | ProjectSummary]) -> Table:
    """One line for each project."""
    table = with_columns("Project", "State", "Epoch", "Labeling job", "Running")
    for status in statuses:
        job = status.job.name if status.job else "-"
        cells = (
            status.project.name,
            state_words(status),
            str(status.epoch),
            job,
            running_words(status.running),
        )
        table.add_row(*map(escape, cells))
    return table


def history_table(entries: Sequence[AuditEntry]) -> Table:
    """The audit trail, one line for each operation that ended."""
    table = with_columns(
        "Ended", "Operation", "Kind", "Asked for by", "Outcome", "Epoch", "Labeling in", "Error"
    )
    for entry in entries:
        cells = (
            moment(entry.ended_at),
            entry.operation_id,
            entry.kind.value,
            entry.actor.name or entry.actor.object_id,
            entry.outcome.value,
            str(entry.epoch),
            entry.active.display_name,
            f"{entry.error.code}: {entry.error.message}" if entry.error else "",
        )
        style = None if entry.outcome is Outcome.COMMITTED else "yellow"
        table.add_row(*map(escape, cells), style=style)
    return table


def drift_table(rows: Sequence[tuple[str, str, str, str, str]]) -> Table:
    """What differs from the records: project, difference, what became of it, message, what to do."""
    table = with_columns("Project", "Difference", "", "")
    for project, code, outcome, message, remedy in rows:
        text = Text(message)
        if remedy and outcome not in ("closed", "as recorded"):
            text.append(f"\n{remedy}", style="cyan")
        style = {"closed": "green", "as recorded": "green", "note": ""}.get(outcome, "yellow")
        table.add_row(escape(project), escape(code), Text(outcome, style), text)
    return table


def plan_table(steps: Sequence[PlanStep]) -> Table:
    """A plan, step by step, with each step's effect and undo."""
    table = with_columns("#", "Step", "Effect", "Undo")
    for step in steps:
        table.add_row(str(step.number), escape(step.name), escape(step.effect), escape(step.undo))
    return table


def findings_table(findings: Sequence[Finding]) -> Table:
    """All findings of a preflight, each with the command that mends it."""
    table = with_columns("", "Finding", "")
    for finding in findings:
        text = Text(finding.message)
        if finding.command:
            text.append(f"\n{finding.command}", style="cyan")
        if finding.waitable:
            text.append("\nA fresh assignment may need 10 to 30 minutes.", style="dim")
        severity = Text(finding.severity.value, style=_SEVERITY[finding.severity])
        code = "" if finding.severity is Severity.OK else escape(finding.code)
        table.add_row(severity, code, text)
    return table
