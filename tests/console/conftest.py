"""Consoles that serve over TLS: one without Temporal or Azure, for all that needs neither, and one on the stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labelbridge.local.processes import free_port
from labelbridge.local.stack import Stack
from labelbridge.settings import Settings, TemporalSettings
from tests.console.serving import Site, Trust, site


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """Who vouches for the console and its identity provider."""
    return Trust.make(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module")
def lonely(trust: Trust) -> Iterator[Site]:
    """A console whose Temporal does not answer and that knows no Azure."""
    nowhere = TemporalSettings.model_validate(
        {"address": f"127.0.0.1:{free_port()}", "connect_timeout": "PT0.5S"}
    )
    with site(Settings(_env_file=None, temporal=nowhere), trust, trust.ca) as made:
        yield made


@pytest.fixture(autouse=True)
def _issuer_is_honest_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test told the identity provider to do ends with the test."""
    yield
    if "lonely" in request.fixturenames:
        issuer = request.getfixturevalue("lonely").issuer
        issuer.twist = issuer.sign = None
        issuer.down = False


@pytest.fixture(scope="module")
def console(stack: Stack, trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console on the shared stack; its people are principals of the tenant."""
    both: Path = tmp_path_factory.mktemp("authorities") / "ca.pem"
    settings = stack.settings("operator")
    assert settings.ca_bundle
    both.write_bytes(settings.ca_bundle.read_bytes() + trust.ca.read_bytes())
    with stack.acting_as("operator"), site(settings, trust, both) as made:
        operator = stack.tenant.principals["operator"].object_id
        made.issuer.object_ids.update(dict.fromkeys(("olga", "otto", "rita"), operator))
        made.issuer.object_ids["sven"] = stack.tenant.principals["stranger"].object_id
        yield made
