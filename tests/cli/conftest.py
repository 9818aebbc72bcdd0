"""Fixtures of the command line's tests."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from labelbridge.local import processes
from labelbridge.local.temporal import TemporalServer

RESOURCE = "/subscriptions/0/resourceGroups/rehearsal/providers/Microsoft.CognitiveServices/accounts/contoso"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    return processes.free_port()


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A real Temporal server without any worker."""
    server = TemporalServer(tmp_path_factory.mktemp("temporal"), tuned=True)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def labelbridge() -> Run:
    """Runs the command line in a process of its own, against a Temporal address."""

    def run(
        *arguments: str, address: str, connect_timeout: str = "PT10S"
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "labelbridge.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=os.environ
            | {
                "LABELBRIDGE_TEMPORAL__ADDRESS": address,
                "LABELBRIDGE_TEMPORAL__CONNECT_TIMEOUT": connect_timeout,
                "LABELBRIDGE_LANGUAGE_RESOURCE": RESOURCE,
                "LABELBRIDGE_ACTOR_OBJECT_ID": "00000000-0000-0000-0000-000000000001",
            },
        )

    return run
