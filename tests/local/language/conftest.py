"""Fixtures of the Language part: one server for all, new projects for each test."""

from collections.abc import Iterator

import pytest

from labelbridge.local.azurite import Azurite
from labelbridge.local.certificates import Certificates
from tests.local.language.lab import UNHURRIED, Lab


@pytest.fixture(scope="session")
def language_blob(azurite: Azurite, certs: Certificates) -> tuple[Azurite, Certificates]:
    return azurite, certs


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
def slow_lab(
    tmp_path_factory: pytest.TempPathFactory, language_blob: tuple[Azurite, Certificates]
) -> Iterator[Lab]:
    """For what happens meanwhile: jobs and gates take so long that a busy machine gets a word in."""
    jobs = {"export": 3.0, "import": 0.1, "train": 3.0}
    nasty = {"gate_takes_effect_after": 3.0, "stale_reads_for": 3.0}
    settings = {"language": UNHURRIED, "jobs": jobs, "nasty": nasty}
    made = Lab(tmp_path_factory.mktemp("language-slow"), *language_blob, settings)
    try:
        yield made.start()
    finally:
        made.server.stop()
