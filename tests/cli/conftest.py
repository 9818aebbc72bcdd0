"""Runs the command line in processes of its own, as an operator of the shared stack would."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from labelbridge.local import processes
from labelbridge.local.stack import Stack

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "labelbridge.cli.main")


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    return processes.free_port()


@pytest.fixture(scope="session")
def operator(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an operator of the stack; what commands note for completion stays among the tests."""
    own = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    return os.environ | stack.environment("operator") | own


@pytest.fixture(scope="session")
def labelbridge(operator: dict[str, str]) -> Run:
    """`labelbridge("status", "-o", "json")` runs a command to its end, without a terminal."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=operator | environment,
        )

    return run
