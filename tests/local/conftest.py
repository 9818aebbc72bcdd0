"""A real Azurite and a real local Azure (own processes, over TLS) for the tests of this room."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.identity import DefaultAzureCredential

from labelbridge.local import certificates
from labelbridge.local.azurite import Azurite
from labelbridge.local.certificates import Certificates
from labelbridge.local.seed import Tenant
from tests.local.servers import LocalAzure, shared_folder

StartAzure = Callable[..., LocalAzure]
SignIn = Callable[[str], DefaultAzureCredential]


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.ensure(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory, certs: Certificates) -> Iterator[Azurite]:
    server = Azurite(tmp_path_factory.mktemp("azurite"), certs)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def local_azure(
    tmp_path_factory: pytest.TempPathFactory, azurite: Azurite, certs: Certificates
) -> Iterator[LocalAzure]:
    server = LocalAzure.create(tmp_path_factory.mktemp("azure"), azurite, certs)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tenant(local_azure: LocalAzure) -> Tenant:
    return local_azure.tenant()


@pytest.fixture
def start_azure(tmp_path: Path, azurite: Azurite, certs: Certificates) -> Iterator[StartAzure]:
    """Starts a local Azure of one's own: keyword arguments are fields of `LocalConfig`."""
    started: list[LocalAzure] = []

    def start(**fields: Any) -> LocalAzure:
        server = LocalAzure.create(tmp_path / f"azure-{len(started)}", azurite, certs, **fields)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Fixtures that are not part of this repository."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("no shared fixtures: set LABELBRIDGE_SHARED or have ../shared beside the repository")
    return folder


@pytest.fixture
def sign_in(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    """Makes `DefaultAzureCredential` that principal, by the variables that App Service sets.

    They are read at each token request, so only the last who signed in is somebody.
    """

    def sign_in(name: str) -> DefaultAzureCredential:
        monkeypatch.setenv("IDENTITY_ENDPOINT", tenant.place.identity_endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", tenant.principals[name].identity_header)
        return DefaultAzureCredential()

    return sign_in
