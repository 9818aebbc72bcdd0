"""On a terminal the project's name must be typed, exactly."""

import os
import pty
import subprocess
import sys

import pytest

from labelbridge.errors import ExitCode

CODE = """
from labelbridge.cli.confirm import confirm_permanent
from labelbridge.cli.output import OutputFormat, reporting
import typer
try:
    with reporting(OutputFormat.TABLE):
        confirm_permanent("tickets", None, consequence="It is for ever.")
        print("went on")
except typer.Exit as end:
    raise SystemExit(end.exit_code)
"""


@pytest.mark.parametrize(
    ("typed", "code", "out"),
    [("tickets", 0, "went on\n"), ("Tickets", ExitCode.USAGE, ""), ("", ExitCode.USAGE, "")],
)
def test_only_the_exact_name_goes_on(typed: str, code: int, out: str) -> None:
    terminal, side = pty.openpty()
    try:
        os.write(terminal, f"{typed}\n".encode())
        done = subprocess.run(
            [sys.executable, "-c", CODE], stdin=side, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        os.close(terminal)
        os.close(side)
    assert done.returncode == code
    assert done.stdout == out
    assert "It is for ever." in done.stderr
