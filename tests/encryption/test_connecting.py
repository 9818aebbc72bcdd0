"""Temporal's own profiles decide how it is reached, for client and worker alike; what is wrong is named."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme
from temporalio.client import Client

from labelbridge.client import connect_temporal as client_connects
from labelbridge.errors import LabelbridgeError
from labelbridge.local.temporal import TemporalServer
from labelbridge.settings import Settings, TemporalSettings
from tests.encryption.proxy import tls_proxy
from workers.startup import connect_temporal as worker_connects

Connect = Callable[[Settings], Awaitable[Client]]
both = pytest.mark.parametrize("connect", [client_connects, worker_connects], ids=["client", "worker"])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Path:
    """A folder with the authority's certificate, a client's and its key."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = authority.issue_cert("worker@contoso.com", common_name="worker")
    client.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    return tmp_path


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No profile of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def profile(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, name: str = "prod") -> None:
    """Make a file with that profile the one in force."""
    path = folder / "temporal.toml"
    path.write_text(f"[profile.{name}]\n{text}\n")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(path))
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")


def settings(**temporal: object) -> Settings:
    return Settings(
        _env_file=None, temporal=TemporalSettings.model_validate({"connect_timeout": "PT3S", **temporal})
    )


async def refusal(connect: Connect, **temporal: object) -> LabelbridgeError:
    with pytest.raises(LabelbridgeError) as caught:
        await connect(settings(**temporal))
    return caught.value


@both
async def test_tls_and_an_api_key_of_a_profile_are_used(
    connect: Connect,
    temporal: TemporalServer,
    authority: trustme.CA,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with tls_proxy(authority, temporal.address) as proxy:
        text = f'address = "{proxy.address}"\nnamespace = "default"\napi_key = "a-key-of-temporal-cloud"\n'
        profile(monkeypatch, files, f'{text}[profile.prod.tls]\nserver_ca_cert_path = "{files / "ca.pem"}"')
        monkeypatch.setenv("TEMPORAL_GRPC_META_X_TEAM", "labeling")
        client = await connect(settings())
        assert await client.count_workflows() is not None
    sent = [one for one in proxy.requests if ":path" in one]
    assert sent
    assert {one["authorization"] for one in sent} == {"Bearer a-key-of-temporal-cloud"}
    assert {one["x-team"] for one in sent} == {"labeling"}
    assert {one[":scheme"] for one in sent} == {"https"}


@both
async def test_a_client_certificate_is_shown_to_who_asks_for_one(
    connect: Connect,
    temporal: TemporalServer,
    authority: trustme.CA,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with tls_proxy(authority, temporal.address, clients=authority) as proxy:
        monkeypatch.setenv("TEMPORAL_ADDRESS", proxy.address)
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(files / "ca.pem"))
        error = await refusal(connect)
        assert (error.code, "client certificate" in error.remedy) == ("temporal_unreachable", True)
        assert proxy.address in error.message

        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(files / "client.pem"))
        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(files / "client.key"))
        client = await connect(settings())
        assert await client.count_workflows() is not None
    assert proxy.people == {"worker"}


@both
async def test_a_server_of_another_authority_is_not_believed(
    connect: Connect, temporal: TemporalServer, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tls_proxy(trustme.CA(), temporal.address) as proxy:
        profile(
            monkeypatch,
            files,
            f'address = "{proxy.address}"\napi_key = "k"\n'
            f'[profile.prod.tls]\nserver_ca_cert_path = "{files / "ca.pem"}"',
        )
        error = await refusal(connect)
    assert (error.code, proxy.requests) == ("temporal_unreachable", [])
    assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" in error.remedy


@both
async def test_our_own_address_and_namespace_win_and_the_profiles_rest_holds(
    connect: Connect,
    temporal: TemporalServer,
    authority: trustme.CA,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with tls_proxy(authority, temporal.address) as proxy:
        tls = f'[profile.prod.tls]\nserver_ca_cert_path = "{files / "ca.pem"}"'
        profile(monkeypatch, files, f'address = "127.0.0.1:1"\nnamespace = "other"\n{tls}')
        client = await connect(settings(address=proxy.address, namespace="default"))
    assert client.namespace == "default"


WRONG = {
    "a misspelt key": ('adress = "127.0.0.1:1"', "adress"),
    "a misspelt key of TLS": ('[profile.prod.tls]\nserver_ca_path = "x"', "server_ca_path"),
    "no TOML": ("[profile", "TOML"),
    "a certificate that is not there": (
        '[profile.prod.tls]\nclient_cert_path = "/no/such.pem"\nclient_key_path = "/no/such.key"',
        "/no/such.pem",
    ),
}


@both
@pytest.mark.parametrize("what", WRONG)
async def test_a_profile_that_is_wrong_is_refused_and_the_mistake_named(
    connect: Connect, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, named = WRONG[what]
    profile(monkeypatch, tmp_path, text)
    error = await refusal(connect)
    assert (error.code, named in error.message) == ("settings_invalid", True), error.message


@both
async def test_a_profile_or_file_that_does_not_exist_is_named(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile(monkeypatch, tmp_path, 'address = "127.0.0.1:1"', name="another")
    error = await refusal(connect)
    assert (error.code, "'prod'" in error.message) == ("settings_invalid", True)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "nowhere.toml"))
    error = await refusal(connect)
    assert (error.code, "nowhere.toml" in error.message) == ("settings_invalid", True)


@both
async def test_missing_keys_end_the_start_by_their_own_name(connect: Connect, tmp_path: Path) -> None:
    missing = settings().model_copy(
        update={"encryption": Settings(_env_file=None, encryption={"keys_file": tmp_path / "no"}).encryption}
    )
    with pytest.raises(LabelbridgeError, match=r"settings_invalid: encryption.keys_file"):
        await connect(missing)
