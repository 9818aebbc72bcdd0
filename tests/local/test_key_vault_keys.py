"""The product's keys from a Key Vault: versions are keys, a new one is found at once, a disabled one is gone."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.keyvault.secrets import SecretClient
from temporalio.api.common.v1 import Payload

from labelbridge import converter
from labelbridge.encryption.keyvault import load_keys
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import Tenant
from labelbridge.settings import Settings
from tests.local.conftest import SignIn
from tests.local.servers import LocalAzure
from tests.local.test_key_vault import allow, until_allowed, vault

__all__ = ["vault"]
SECRET = "labelbridge-payload-key"
Set = Callable[..., Awaitable[str]]


def value(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


@pytest.fixture
def set_key(local_azure: LocalAzure, tenant: Tenant, vault: Any, request: pytest.FixtureRequest) -> Set:
    """`await set_key(text, **options)`: a new version, by the administrator; returns its id."""
    name = request.node.name.replace("_", "-")[:24]
    allow(local_azure, tenant, "admin", "Key Vault Secrets Officer", name)
    client: SecretClient = vault(name, "admin")
    until_allowed(client)

    async def set_one(text: str, **options: Any) -> str:
        made = await asyncio.to_thread(client.set_secret, SECRET, text, **options)
        assert made.properties.version
        return made.properties.version

    return set_one


@pytest.fixture
def settings(local_azure: LocalAzure, vault: Any, request: pytest.FixtureRequest) -> Settings:
    """Of a process whose keys are in this test's vault."""
    address = vault(request.node.name.replace("_", "-")[:24], "admin").vault_url
    return Settings(
        _env_file=None,
        ca_bundle=local_azure.place.authority,
        encryption={"vault": address, "unknown_key_pause": "PT0S"},
    )


async def test_the_newest_version_encrypts_and_all_enabled_ones_decrypt(
    settings: Settings, set_key: Set
) -> None:
    first, second = await set_key(value(1)), await set_key(value(2))
    assert (await load_keys(settings, None)).active == second
    off = await set_key(value(3), enabled=False)
    later = await set_key(value(4), not_before=datetime.now(UTC) + timedelta(days=1))
    over = await set_key(value(5), expires_on=datetime.now(UTC) - timedelta(days=1))
    ring = await load_keys(settings, None)
    assert ring.active in (first, second)  # made in one second of the vault's clock
    assert set(ring.keys) == {first, second, later, over}
    assert off not in ring.keys
    assert ring.keys[first] == bytes([1]) * 32


async def test_a_new_version_reaches_processes_that_run_already(settings: Settings, set_key: Set) -> None:
    first = await set_key(value(1))
    running = converter.codec(settings)
    (before,) = await running.encode([Payload(data=b"before")])
    second = await set_key(value(2))
    rotated = converter.codec(settings)
    (after,) = await rotated.encode([Payload(data=b"after")])
    keys = [payload.metadata["encryption-key-id"].decode() for payload in (before, after)]
    assert keys == [first, second]
    assert [p.data for p in await running.decode([before, after])] == [b"before", b"after"]
    (now,) = await running.encode([Payload(data=b"now")])
    assert now.metadata["encryption-key-id"].decode() == second


async def test_a_disabled_version_is_gone_and_asked_for_by_name(
    settings: Settings, set_key: Set, vault: Any, request: pytest.FixtureRequest
) -> None:
    first = await set_key(value(1))
    (sealed,) = await converter.codec(settings).encode([Payload(data=b"x")])
    await set_key(value(2))
    client = vault(request.node.name.replace("_", "-")[:24], "admin")
    await asyncio.to_thread(client.update_secret_properties, SECRET, first, enabled=False)
    with pytest.raises(LabelbridgeError, match=first) as caught:
        await converter.codec(settings).decode([sealed])
    assert caught.value.code == "encryption_key_unknown"


async def test_a_version_that_is_no_key_is_named_without_its_value(settings: Settings, set_key: Set) -> None:
    with pytest.raises(LabelbridgeError, match="no version that is enabled"):
        await load_keys(settings, None)
    version = await set_key("hunter2!")
    with pytest.raises(LabelbridgeError, match=version) as caught:
        await load_keys(settings, None)
    assert caught.value.code == "settings_invalid"
    assert "hunter2" not in str(caught.value)


async def test_without_the_role_the_keys_cannot_be_had_and_the_role_is_named(
    settings: Settings, set_key: Set, sign_in: SignIn
) -> None:
    await set_key(value(1))
    sign_in("stranger")
    with pytest.raises(LabelbridgeError) as caught:
        await load_keys(settings, None)
    assert caught.value.code == "encryption_keys_unavailable"
    assert "Key Vault Secrets User" in caught.value.remedy


async def test_a_vault_that_cannot_be_reached_is_named(settings: Settings) -> None:
    nowhere = settings.encryption.model_copy(update={"vault": "https://127.0.0.1:9/vault"})
    with pytest.raises(LabelbridgeError, match=r"127\.0\.0\.1:9") as caught:
        await load_keys(settings.model_copy(update={"encryption": nowhere}), None)
    assert caught.value.code == "encryption_keys_unavailable"
