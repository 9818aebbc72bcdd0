"""Keys from Azure Key Vault, through the official client: each version of one secret is a key.

Prevents a key on a disk, and a rotation that must touch every machine: a new version of the secret is found
by all processes, and a version that is disabled is gone for all of them after `encryption.refresh`.

The versions' ids are the key ids. Among the enabled ones the newest encrypts; one whose activation date
(`nbf`) is still to come, or that has expired, only decrypts. By its documentation Key Vault itself makes
nothing of these two dates for secrets, so that they mean this is our choice.
"""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from labelbridge.azure.errors import azure_errors
from labelbridge.azure.transport import DeadlineTransport
from labelbridge.encryption.keys import KeyRing, key_bytes
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings

_TIMEOUT = 10
"""Seconds for connecting and for each answer: payloads wait for the first fetch."""
_GRANT = "Grant this process's identity the role Key Vault Secrets User on the vault."


async def load_keys(settings: Settings, known: KeyRing | None) -> KeyRing:
    """The ring in the vault of the settings; values that `known` has are not fetched again.

    Client and credential live for this call only: it comes once in `encryption.refresh`, and leaves no
    connection that somebody would have to close.

    Raises:
        LabelbridgeError: `encryption_keys_unavailable`; `settings_invalid` if a version is no key.
    """
    where = f"the secret {settings.encryption.secret} of {settings.encryption.vault}"
    try:
        async with AsyncExitStack() as stack:
            client = await _client(settings, stack)
            await stack.enter_async_context(azure_errors(f"read {where}"))
            return await _load(client, settings.encryption.secret, known)
    except LabelbridgeError as error:
        remedy = _GRANT if error.code == "forbidden" else None
        raise LabelbridgeError("encryption_keys_unavailable", error.message, remedy=remedy) from error
    except ValueError as error:
        raise LabelbridgeError("settings_invalid", f"encryption.vault: {where}: {error}.") from error


async def _client(settings: Settings, stack: AsyncExitStack) -> SecretClient:
    assert settings.encryption.vault is not None
    transport = DeadlineTransport(settings.ca_bundle)
    await transport.open()
    stack.push_async_callback(transport.close)
    credential: Any = DefaultAzureCredential(transport=transport)
    stack.push_async_callback(credential.close)
    return SecretClient(
        settings.encryption.vault,
        credential,
        transport=transport,
        connection_timeout=_TIMEOUT,
        read_timeout=_TIMEOUT,
        retry_total=1,
    )


async def _load(client: SecretClient, name: str, known: KeyRing | None) -> KeyRing:
    enabled = [one async for one in client.list_properties_of_secret_versions(name) if one.enabled]
    keys: dict[str, bytes] = {}
    for one in enabled:
        version = _version(one)
        if known is not None and version in known.keys:
            keys[version] = known.keys[version]
        else:
            keys[version] = _key(version, (await client.get_secret(name, version)).value)
    return KeyRing(await _active(client, name, enabled), keys)


async def _active(client: SecretClient, name: str, enabled: list[SecretProperties]) -> str:
    now = datetime.now(UTC)
    usable = [
        one
        for one in enabled
        if (one.not_before is None or one.not_before <= now)
        and (one.expires_on is None or now < one.expires_on)
    ]
    if not usable:
        raise ValueError("it has no version that is enabled, activated and not expired")
    newest = max(_created(one) for one in usable)
    last = [_version(one) for one in usable if _created(one) == newest]
    if len(last) > 1:  # the vault's clock counts seconds; it knows itself which of them is current
        current = (await client.get_secret(name)).properties.version
        return current if current in last else max(last)
    return last[0]


def _created(one: SecretProperties) -> datetime:
    return one.created_on or datetime.min.replace(tzinfo=UTC)


def _version(one: SecretProperties) -> str:
    if not one.version:
        raise ValueError("the vault named a version without an id")
    return one.version


def _key(version: str, value: str | None) -> bytes:
    try:
        return key_bytes(value or "")
    except ValueError as error:
        raise ValueError(f"its version {version}: {error}") from error
