"""Fixtures of the Language part: one Blob service and one server for all, new projects for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelbridge.local import certificates
from labelbridge.local.azurite import Azurite
from labelbridge.local.certificates import Certificates
from tests.local.language.lab import UNHURRIED, Lab


@pytest.fixture(scope="session")
def language_blob(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Azurite, Certificates]]:
    folder = tmp_path_factory.mktemp("language-blob")
    made = certificates.ensure(folder / "certificates")
    service = Azurite(folder / "azurite", made)
    service.start()
    yield service, made
    service.stop()


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, language_blob: tuple[Azurite, Certificates]
) -> Iterator[Lab]:
    jobs = {"export": 0.1, "import": 0.1, "train": 0.4, "deploy": 0.1, "delete": 0.1}
    settings = {"language": UNHURRIED, "jobs": jobs}
    made = Lab(tmp_path_factory.mktemp("language"), *language_blob, settings)
    try:
        yield made.start()
    finally:
        made.server.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material beside the repository, which is no part of it."""
    beside = Path(__file__).resolve().parents[4] / "shared"
    found = Path(os.environ.get("LABELBRIDGE_SHARED", beside))
    if not (found / "azure" / "specs").is_dir():
        pytest.skip("needs the shared folder: set LABELBRIDGE_SHARED")
    return found
