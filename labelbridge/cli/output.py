"""Where words go: data to stdout, everything else to stderr, errors with their remedy.

Prevents the script that breaks because a progress line got into its JSON: only `emit*` functions
write to stdout, and each command calls one of them once.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from labelbridge.cli import query
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from labelbridge.model import Finding

PIPE_WIDTH = 200
"""Columns of a table that does not go to a terminal: wide, so that ids are not folded."""


class OutputFormat(StrEnum):
    """Form of the data on stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def stdout() -> "Console":
    """The console for data; made anew because a test or a shell may replace the stream."""
    return _console(sys.stdout.isatty(), stderr=False)


def stderr() -> "Console":
    """The console for progress, messages and errors."""
    return _console(sys.stderr.isatty(), stderr=True)


def _console(terminal: bool, *, stderr: bool) -> "Console":
    from rich.console import Console  # honours NO_COLOR

    return Console(stderr=stderr, width=None if terminal else PIPE_WIDTH, highlight=False)


def say(message: str) -> None:
    """Print one message for people, without markup, on stderr."""
    stderr().print(message, markup=False, soft_wrap=True)


def emit(data: object, table: "RenderableType", output: OutputFormat) -> None:
    """Print `data` as one document, or its picture `table`, on stdout; of both only what `--query` asks for."""
    plain, asked = _plain(data), query.chosen()
    if asked is not None:
        plain = asked.of(plain)
        picture: RenderableType | str = query.picture(plain)
    else:
        picture = table
    if output is not OutputFormat.TABLE:
        sys.stdout.write(_document(plain, output))
    elif isinstance(picture, str):
        sys.stdout.write(picture + "\n" if picture else "")
    else:
        stdout().print(picture)


def emit_line(data: object, text: str, output: OutputFormat) -> None:
    """Print one of a stream on stdout, at once: JSON on one line, a YAML document, or `text`.

    With `--query` what it finds in this one; nothing if that is null, so a query can choose.
    """
    plain, asked = _plain(data), query.chosen()
    if asked is not None:
        plain = asked.of(plain)
        if plain is None:
            return
        text = query.line(plain)
    if output is OutputFormat.JSON:
        text = _json(plain, indent=None)
    elif output is OutputFormat.YAML:
        text = "---\n" + _document(plain, output).rstrip("\n")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _plain(data: object) -> object:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(data)


def _document(plain: object, output: OutputFormat) -> str:
    if output is OutputFormat.JSON:
        return _json(plain, indent=2) + "\n"
    import yaml

    # Wide, because a folded id or command cannot be copied; no `...` after a scalar.
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000)
    return str(text).removesuffix("...\n")


def _json(plain: object, *, indent: int | None) -> str:
    import json

    return json.dumps(plain, indent=indent, ensure_ascii=False)


def show_error(error: LabelbridgeError, output: OutputFormat) -> None:
    """Print an error: `code: message` and the remedy on stderr, and `{"error": ...}` on stdout if asked for."""
    console = stderr()
    console.print(f"{error.code}: {error.message}", markup=False, soft_wrap=True, style="bold red")
    if error.remedy:
        console.print(f"  {error.remedy}", markup=False, soft_wrap=True)
    show_findings(error.findings)
    if output is not OutputFormat.TABLE:
        # Not what `--query` asks for: a script must find the error where it always is.
        sys.stdout.write(_document(_plain({"error": error.info}), output))


def show_findings(findings: "Sequence[Finding]") -> None:
    """Print the findings that are not in order on stderr, each with the command that mends it."""
    for finding in findings:
        if finding.severity == "ok":
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
