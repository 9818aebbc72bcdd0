"""Where words go: data to stdout, everything else to stderr, errors with their remedy.

Prevents the script that breaks because a progress line got into its JSON: only `emit_*` functions
write to stdout, and each command calls one of them once.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType

from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.model import Finding, Severity

PIPE_WIDTH = 200
"""Columns of a table that does not go to a terminal: wide, so that ids are not folded."""


class OutputFormat(StrEnum):
    """Form of the data on stdout."""

    TABLE = "table"
    JSON = "json"


def stdout() -> Console:
    """The console for data; made anew because a test or a shell may replace the stream."""
    return _console(sys.stdout.isatty(), stderr=False)


def stderr() -> Console:
    """The console for progress, messages and errors."""
    return _console(sys.stderr.isatty(), stderr=True)


def _console(terminal: bool, *, stderr: bool) -> Console:
    return Console(stderr=stderr, width=None if terminal else PIPE_WIDTH, highlight=False)


def say(message: str) -> None:
    """Print one message for people, without markup, on stderr."""
    stderr().print(message, markup=False, soft_wrap=True)


def emit_json(data: object) -> None:
    """Print `data` (models, sequences, plain values) as one JSON document on stdout."""
    text = json.dumps(to_jsonable_python(data), indent=2, ensure_ascii=False)
    sys.stdout.write(text + "\n")


def emit_line(data: object, text: str, output: OutputFormat) -> None:
    """Print one of a stream on stdout, at once: as JSON on one line, or as `text`."""
    if output is not OutputFormat.TABLE:
        text = json.dumps(to_jsonable_python(data), ensure_ascii=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit(data: object, table: RenderableType, output: OutputFormat) -> None:
    """Print `data` as JSON, or its picture `table`, on stdout."""
    if output is OutputFormat.JSON:
        emit_json(data)
    else:
        stdout().print(table)


def show_error(error: LabelbridgeError, output: OutputFormat) -> None:
    """Print an error: `code: message` and the remedy on stderr, and `{"error": ...}` on stdout if JSON."""
    console = stderr()
    console.print(f"{error.code}: {error.message}", markup=False, soft_wrap=True, style="bold red")
    if error.remedy:
        console.print(f"  {error.remedy}", markup=False, soft_wrap=True)
    show_findings(error.findings)
    if output is OutputFormat.JSON:
        emit_json({"error": error.info})


def show_findings(findings: Sequence[Finding]) -> None:
    """Print the findings that are not in order on stderr, each with the command that mends it."""
    for finding in findings:
        if finding.severity is Severity.OK:
            continue
        say(f"  {finding.severity.value} {finding.code}: {finding.message}")
        if finding.command:
            say(f"    {finding.command}")


@contextmanager
def reporting(output: OutputFormat) -> Iterator[None]:
    """Turn a foreseen error into its message and exit code; others pass through with their traceback."""
    try:
        yield
    except LabelbridgeError as error:
        show_error(error, output)
        raise typer.Exit(int(error.kind.exit_code)) from None


def done(code: ExitCode = ExitCode.DONE) -> typer.Exit:
    """The exception that ends a command with `code`."""
    return typer.Exit(int(code))
