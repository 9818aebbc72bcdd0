"""The command `convert`: labels from one format into another, with no server.

Prevents two failures: a half-written output that looks like a whole one, and a script that takes
"done, but rows are missing" for "done" (exit code 9).
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from labelbridge.cli.options import KindName, OutputOption
from labelbridge.cli.output import OutputFormat, done, emit, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from labelbridge.labels.contents import Contents
    from labelbridge.labels.convert import Conversion, Progress, Report
    from labelbridge.labels.formats import Format
    from labelbridge.labels.language_project import LanguageProjectFile

PIPE = "-"
INLINE = "inline"


class ReadName(StrEnum):
    """Formats that can be read."""

    AZUREML = "azureml"
    MLTABLE = "mltable"
    LANGUAGE = "language"
    SNAPSHOT = "snapshot"
    CSV = "csv"


class WriteName(StrEnum):
    """Formats that can be written."""

    AZUREML = "azureml"
    LANGUAGE = "language"
    SNAPSHOT = "snapshot"
    CSV = "csv"
    CONLL = "conll"
    CONLL_PAIRS = "conll-pairs"
    SPACY = "spacy"


class UnitName(StrEnum):
    """What Azure ML's offsets count, and `vote`: as `auto`, but the project settles what is ambiguous."""

    UTF16 = "utf16"
    CODEPOINT = "codepoint"
    AUTO = "auto"
    VOTE = "vote"


class StyleName(StrEnum):
    """How Azure ML's rows spell a document."""

    LABELING = "AmlDatastore"
    SHORT = "azureml"
    LONG = "azureml-long"


def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="File, MLTable folder, or - for stdin.", show_default=False)
    ],
    target: Annotated[str, typer.Argument(metavar="OUT", help="File, or - for stdout.", show_default=False)],
    from_: Annotated[
        ReadName | None, typer.Option("--from", help="Format of IN; found out from its content.")
    ] = None,
    to: Annotated[WriteName | None, typer.Option("--to", help="Format of OUT; by its name.")] = None,
    kind: Annotated[
        KindName | None, typer.Option("--kind", help="Project kind; found out from the content.")
    ] = None,
    documents: Annotated[
        str | None,
        typer.Option(
            "--documents",
            metavar="DIR|URL",
            help="Where the documents are: a folder, a container's https address, or `inline` if each "
            "row of IN carries its text in the field `text`.",
        ),
    ] = None,
    unit: Annotated[
        UnitName, typer.Option("--offset-unit", help="What Azure ML's offsets count (Azure does not say).")
    ] = UnitName.AUTO,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            "--quarantine",
            metavar="FILE",
            help="Rows that cannot be used; OUT.quarantine.jsonl if not given.",
        ),
    ] = None,
    categories_map: Annotated[
        Path | None,
        typer.Option(
            "--categories-map",
            metavar="FILE",
            help="JSON object: category outside Language to category in Language, used both ways.",
        ),
    ] = None,
    allow_lossy: Annotated[
        bool, typer.Option("--allow-lossy", help="Export although the format cannot carry all labels.")
    ] = False,
    template: Annotated[
        Path | None,
        typer.Option(
            "--template", metavar="FILE", help="Language project file whose other fields OUT keeps."
        ),
    ] = None,
    project: Annotated[str, typer.Option("--project", help="Project name in OUT.")] = "",
    container: Annotated[str, typer.Option("--container", help="Container name in OUT.")] = "",
    language: Annotated[str, typer.Option("--language", help="Language of the documents in OUT.")] = "",
    datastore: Annotated[str, typer.Option("--datastore", help="Datastore name in Azure ML's rows.")] = "",
    style: Annotated[
        StyleName, typer.Option("--path-style", help="How OUT spells documents, for Azure ML.")
    ] = StyleName.LABELING,
    workspace: Annotated[
        str | None, typer.Option("--workspace", metavar="ARM-ID", help="Workspace, for the long path style.")
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Convert labels from one format into another; works with no server at all.

    The report goes to stdout, or to stderr if OUT does. Exit code 9: some rows are in quarantine.
    """
    with reporting(output), ExitStack() as stack:
        from labelbridge.labels import convert as engine
        from labelbridge.labels.categories import CategoriesMap
        from labelbridge.labels.formats import Format, ReadOptions
        from labelbridge.model import OffsetUnit

        wanted = _target_format(to, target)
        read_unit = OffsetUnit.AUTO if unit is UnitName.VOTE else OffsetUnit(unit.value)
        conversion = engine.Conversion(
            target=wanted,
            source=Format(from_.value) if from_ else None,
            read=ReadOptions(
                kind=kind.kind if kind else None,
                unit=read_unit,
                vote=unit is UnitName.VOTE,
                datastore=datastore or None if wanted is not Format.AZUREML else None,
            ),
            documents=_contents(documents, stack),
            inline=documents == INLINE,
            into=engine.Target(
                datastore=datastore,
                style=style.value,
                workspace=workspace,
                project=project,
                container=container,
                language=language,
                template=_template(template, stack),
            ),
            unit=read_unit,
            categories_map=CategoriesMap.parse(_small_file(categories_map)) if categories_map else None,
            allow_lossy=allow_lossy,
        )
        side = quarantine or Path(
            "labelbridge.quarantine.jsonl" if target == PIPE else f"{target}.quarantine.jsonl"
        )
        report = _run(source, target, side, conversion)
        _show(report, side, target, output)
        raise done(ExitCode.QUARANTINED if report.totals.quarantined else ExitCode.DONE)


def _target_format(to: WriteName | None, target: str) -> "Format":
    from labelbridge.labels.formats import Format, by_suffix

    found = Format(to.value) if to else by_suffix(target)
    if found is None:
        raise LabelbridgeError("input_invalid", f"The format of {target} cannot be told: give --to.")
    return found


def _contents(documents: str | None, stack: ExitStack) -> "Contents | None":
    """What gives the documents; a container's session is closed with `stack`."""
    if documents is None or documents == INLINE:
        return None
    if documents.startswith("https://"):
        from labelbridge.labels.container import ContainerContents
        from labelbridge.settings import Settings

        return stack.enter_context(ContainerContents(documents, Settings.load()))
    from labelbridge.labels.contents import FolderContents

    folder = Path(documents)
    if not folder.is_dir():
        raise LabelbridgeError("input_invalid", f"--documents: {folder} is no folder.")
    return FolderContents(folder)


def _template(path: Path | None, stack: ExitStack) -> "LanguageProjectFile | None":
    if path is None:
        return None
    from labelbridge.labels.formats import Source
    from labelbridge.labels.language_project import LanguageProjectFile

    source = stack.enter_context(Source(path.name, path=path))
    return LanguageProjectFile.open(source.file, path.name)


def _small_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabelbridgeError("input_invalid", f"{path} cannot be read: {error.strerror}") from error


def _run(source: str, target: str, side: Path, conversion: "Conversion") -> "Report":
    from labelbridge.labels import convert as engine
    from labelbridge.labels.formats import Source

    with ExitStack() as stack:
        if source == PIPE:
            file = stack.enter_context(engine.seekable(sys.stdin.buffer))
            given = Source("stdin", file=file)
        else:
            path = Path(source)
            if target != PIPE and path.resolve() == Path(target).resolve():
                raise LabelbridgeError("input_invalid", "IN and OUT are the same file.")
            given = stack.enter_context(Source(path.name, path=path))
        progress = stack.enter_context(_progress())
        aside = stack.enter_context(_beside(side, keep_empty=False))
        out = stack.enter_context(_stdout() if target == PIPE else _beside(Path(target)))
        return engine.convert(given, out, conversion, quarantine=aside, progress=progress)


@contextlib.contextmanager
def _beside(path: Path, *, keep_empty: bool = True) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` only if the block ends well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            size = file.tell()
        if size or keep_empty:
            partial.replace(path)
        else:
            path.unlink(missing_ok=True)  # an earlier run's rows would look like this one's
    except OSError as error:
        raise LabelbridgeError("input_invalid", f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _stdout() -> Iterator[BinaryIO]:
    """A temporary file that goes to stdout as a whole if the block ends well."""
    import shutil
    import tempfile

    with tempfile.TemporaryFile(prefix="labelbridge-") as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _progress() -> "Iterator[Progress | None]":
    """A counter of rows on stderr, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from labelbridge.cli.output import stderr

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=stderr(), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("rows", total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _show(report: "Report", side: Path, target: str, output: OutputFormat) -> None:
    """The report on stdout, or on stderr if the converted labels went to stdout."""
    import msgspec

    totals = report.totals
    for note in report.assumed:
        say(f"Assumed, because nobody said it: {note}.")
    if report.vote is not None:
        settled = report.settled or "nothing"
        say(
            f"Vote: utf16 {report.vote['utf16']}, codepoint {report.vote['codepoint']}; it settled {settled}."
        )
    if not report.loss.lossless:
        say(str(report.loss))
    if totals.quarantined:
        codes = ", ".join(f"{code} {count}" for code, count in totals.codes.items())
        say(f"{totals.quarantined} of {totals.rows} rows are in {side}: {codes}.")
    line = (
        f"{report.source} to {report.target}: {totals.rows} rows in, {totals.written} out, "
        f"{totals.quarantined} quarantined, {totals.labels} labels, sha256 {report.sha256[:16]}"
    )
    if target == PIPE:
        say(line)
    else:
        emit(msgspec.to_builtins(report), line, output)
