"""What checks deploy/, from the extra `deploy`: missing, it skips a test here and fails it in CI."""

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def module(name: str) -> Any:
    """An installed module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        absent(name)


def run(
    name: str,
    arguments: Sequence[str],
    *,
    directory: Path = ROOT,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment to its end, with a bare environment and `variables`."""
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        absent(name)
    return subprocess.run(
        [str(program), *arguments],
        cwd=directory,
        env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def absent(name: str, remedy: str = "make deploy-tools") -> NoReturn:
    """Skip the test, or fail it in CI, because something is not installed."""
    message = f"{name} is not installed: {remedy}"
    if "LABELBRIDGE_CI" in os.environ or "CI" in os.environ:
        pytest.fail(message)
    pytest.skip(message)
