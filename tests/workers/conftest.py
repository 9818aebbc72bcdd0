"""A real Temporal server of this folder's own, on a free port, ended with the session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labelbridge.local.temporal import TemporalServer


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    directory: Path = tmp_path_factory.mktemp("temporal")
    server = TemporalServer(directory, tuned=True)
    server.start()
    try:
        yield server
    finally:
        server.stop()
