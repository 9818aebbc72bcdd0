"""The commands `snapshots list|latest|show|diff|export`: what labels were, read from the registry itself.

Prevents the question "what did we train on?" from needing a worker, or two files of a hundred megabytes
side by side: snapshots are named by content, and everything here works with no server but Blob.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from labelbridge.cli import convert as files
from labelbridge.cli.command import command
from labelbridge.cli.conduct import project_of, run
from labelbridge.cli.convert import PIPE, WriteName
from labelbridge.cli.options import OutputOption, ProjectArg, ResourceOption
from labelbridge.cli.output import OutputFormat, done, emit, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from rich.table import Table

    from labelbridge.labels.convert import Report, Target
    from labelbridge.labels.diff import Diff
    from labelbridge.labels.formats import Format
    from labelbridge.labels.manifest import Manifest
    from labelbridge.latest import LatestLabels
    from labelbridge.model import ProjectRef
    from labelbridge.settings import Settings

NAME = "snapshots"

app = typer.Typer(
    name=NAME,
    no_args_is_help=True,
    help="List, show, compare and export a project's snapshots of labels.",
)

SnapshotArg = Annotated[
    str, typer.Argument(metavar="ID", help="Id of a snapshot, or how it begins.", show_default=False)
]


@command(app, "list")
def list_(
    project: ProjectArg,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the snapshots of a project, oldest first."""
    from labelbridge import _offline

    with reporting(output):
        settings, ref = project_of(project, language_resource)
        found = run(_offline.snapshots(settings, ref))
        emit([_plain(one) for one in found], _list_table(found), output)


@command(app)
def latest(
    project: ProjectArg,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say which snapshot holds the latest labels: what `labels/latest.json` says to data pipelines."""
    from labelbridge.cli.present import grid

    with reporting(output):
        settings, ref = project_of(project, language_resource)
        found = run(_latest(settings, ref))
        if found is None:
            raise LabelbridgeError("snapshot_unknown", f"No labels of {ref.name} were carried yet.")
        plain = found.model_dump(mode="json")
        emit(plain, grid([(name, str(value)) for name, value in plain.items()]), output)


async def _latest(settings: "Settings", project: "ProjectRef") -> "LatestLabels | None":
    from labelbridge._offline import stores

    async with stores(settings) as opened:
        return await opened.markers.read(project)


@command(app)
def show(
    project: ProjectArg,
    snapshot: SnapshotArg,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show where a snapshot came from and what it holds."""
    from labelbridge import _offline

    with reporting(output):
        settings, ref = project_of(project, language_resource)
        found = run(_offline.manifest(settings, ref, snapshot))
        emit(_plain(found), _manifest_table(found), output)


@command(app)
def diff(
    project: ProjectArg,
    before: Annotated[str, typer.Argument(metavar="A", help="The earlier snapshot.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="The later one.", show_default=False)],
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say what changed from one snapshot to another, by document and label."""
    import msgspec

    from labelbridge.labels import diff as compare
    from labelbridge.labels.snapshot import stored_rows

    with reporting(output), ExitStack() as stack:
        settings, ref = project_of(project, language_resource)
        old, new = (stack.enter_context(_fetched(settings, ref, one)) for one in (before, after))
        found = compare.diff(stored_rows(old), stored_rows(new))
        emit(msgspec.to_builtins(found), _diff_table(found), output)
        say(
            f"{found.added} documents added, {found.removed} removed, {found.changed} changed, {found.same} the "
            f"same; {found.labels_added} labels added, {found.labels_removed} removed."
        )


@command(app)
def export(
    project: ProjectArg,
    snapshot: SnapshotArg,
    target: Annotated[str, typer.Argument(metavar="OUT", help="File, or - for stdout.", show_default=False)],
    to: Annotated[WriteName | None, typer.Option("--to", help="Format of OUT; by its name.")] = None,
    documents: Annotated[
        str | None,
        typer.Option(
            "--documents",
            metavar="DIR|URL",
            help="Where the documents are; the project's container if not given.",
        ),
    ] = None,
    allow_lossy: Annotated[
        bool, typer.Option("--allow-lossy", help="Export although the format cannot carry all labels.")
    ] = False,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Write a snapshot in another format. The report goes to stdout, or to stderr if OUT does."""
    with reporting(output):
        settings, ref = project_of(project, language_resource)
        wanted = files._target_format(to, target)
        side = Path("snapshot.quarantine.jsonl" if target == PIPE else f"{target}.quarantine.jsonl")
        report = _export(settings, ref, snapshot, target, wanted, side, documents, allow_lossy)
        files._show(report, side, target, output)
        raise done(ExitCode.QUARANTINED if report.totals.quarantined else ExitCode.DONE)


def _export(
    settings: "Settings",
    ref: "ProjectRef",
    snapshot: str,
    target: str,
    wanted: "Format",
    side: Path,
    documents: str | None,
    allow_lossy: bool,
) -> "Report":
    """Convert a snapshot; both output files appear only if that ends well."""
    from labelbridge.labels import convert as engine
    from labelbridge.labels.formats import Format, Source

    with ExitStack() as stack:
        file = stack.enter_context(_fetched(settings, ref, snapshot))
        into, where = engine.Target(project=ref.key), documents
        if wanted not in (Format.AZUREML, Format.SNAPSHOT, Format.CSV):
            into, container = _place(settings, ref)
            where = documents or container
        conversion = engine.Conversion(
            source=Format.SNAPSHOT,
            target=wanted,
            documents=files._contents(where, stack),
            into=into,
            allow_lossy=allow_lossy,
        )
        aside = stack.enter_context(files._beside(side, keep_empty=False))
        out = stack.enter_context(files._stdout() if target == PIPE else files._beside(Path(target)))
        return engine.convert(Source(f"snapshot {snapshot}", file=file), out, conversion, quarantine=aside)


def _fetched(settings: "Settings", project: "ProjectRef", snapshot: str) -> BinaryIO:
    from labelbridge import _offline

    return run(_offline.snapshot(settings, project, snapshot))


def _place(settings: "Settings", project: "ProjectRef") -> "tuple[Target, str]":
    """What Language says of the project, and the address of its documents."""
    from labelbridge import _offline
    from labelbridge.labels.convert import Target

    found, container = run(_offline.documents(settings, project))
    return Target(project=project.name, container=found.container, language=found.language), container


def _plain(manifest: "Manifest") -> object:
    import msgspec

    return msgspec.to_builtins(manifest)


def _list_table(found: "list[Manifest]") -> "Table":
    from labelbridge.cli.present import moment, with_columns

    made = with_columns("id", "taken", "side", "epoch", "documents", "labels", "quarantined")
    for one in found:
        counts = (one.epoch, one.documents, one.labels, one.quarantined)
        made.add_row(one.id[:16], moment(one.taken_at), one.side, *map(str, counts))
    return made


def _manifest_table(found: "Manifest") -> "Table":
    from labelbridge.cli.present import grid, moment

    rows = [
        ("Snapshot", found.id),
        ("Project", f"{found.project} ({found.kind.value})"),
        ("Taken", f"{moment(found.taken_at)} from {found.side}, epoch {found.epoch}"),
        ("Documents", f"{found.documents} of {found.rows} rows, {found.quarantined} quarantined"),
        ("Labels", ", ".join(f"{name} {count}" for name, count in found.counts.items()) or "none"),
        ("Categories", ", ".join(found.categories) or "none"),
        ("Ontology", found.ontology),
        ("Offsets", found.unit),
        ("Written by", f"labelbridge {found.tool_version}, schema {found.schema_version}"),
    ]
    rows += [("Read from", f"{name} ({tag})") for name, tag in found.source_etags.items()]
    rows += [("Quarantined", f"{code} {count}") for code, count in found.quarantined_codes.items()]
    return grid(rows)


def _diff_table(found: "Diff") -> "Table":
    from rich.markup import escape

    from labelbridge.cli.present import with_columns
    from labelbridge.labels.diff import TABLE_HEADER, table

    made = with_columns(*TABLE_HEADER)
    for line in table(found):
        made.add_row(*(escape(cell) for cell in line))
    return made
