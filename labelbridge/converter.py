"""The one place where a data converter is made: client, worker, replayer, console and tests share it.

Prevents a process that cannot read what another wrote. Payloads are pydantic's JSON; with keys in the
settings they are encrypted, failures included; large ones are then stored outside Temporal if an account is
given for it. What is loaded for that is loaded only where it is turned on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    PayloadCodec,
)

from labelbridge.encryption.keys import KeyRing
from labelbridge.encryption.marks import LabelbridgePayloadConverter
from labelbridge.settings import Settings

PLAIN = DataConverter(payload_converter_class=LabelbridgePayloadConverter)
"""Without encryption and outside storage; it names a payload that is encrypted."""


def data_converter(settings: Settings, namespace: str | None = None) -> DataConverter:
    """The converter for one Temporal client.

    Args:
        settings: `encryption` and `storage` of all processes of a namespace must be the same.
        namespace: Temporal's; that of the settings if None. Encrypted payloads are bound to it.

    For one event loop. `close` it with the client if `storage` is on.
    """
    converter = PLAIN
    if settings.encryption.enabled:
        converter = replace(
            converter,
            payload_codec=codec(settings, namespace),
            # Messages and stack traces of failures would stand in plain text beside the payloads.
            failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
        )
    if settings.storage.enabled:
        converter = replace(converter, external_storage=_storage(settings))
    return converter


def codec(settings: Settings, namespace: str | None = None) -> PayloadCodec:
    """The codec that `encryption` describes, which must be on; nothing is fetched yet."""
    from labelbridge.encryption.codec import EncryptionCodec
    from labelbridge.encryption.source import Keys

    options = settings.encryption
    keys = Keys(
        partial(_load, settings), refresh=options.refresh, unknown_key_pause=options.unknown_key_pause
    )
    return EncryptionCodec(
        keys, namespace or settings.temporal.namespace, accept_plaintext=options.accept_plaintext
    )


async def check(converter: DataConverter) -> None:
    """Fetch the keys once, so that a process without them ends before it takes work.

    Raises:
        LabelbridgeError: `encryption_keys_unavailable`, `settings_invalid`.
    """
    from labelbridge.encryption.codec import EncryptionCodec

    if isinstance(converter.payload_codec, EncryptionCodec):
        await converter.payload_codec.keys.ring()


@asynccontextmanager
async def closing(client: Client) -> AsyncIterator[Client]:
    """`close` at the end of the block."""
    try:
        yield client
    finally:
        await close(client)


async def close(client: Client) -> None:
    """Close the connections that a client's converter holds. It can be used no more."""
    storage = client.data_converter.external_storage
    for driver in storage.drivers if storage else ():
        if closing := getattr(driver, "close", None):
            await closing()


async def _load(settings: Settings, known: KeyRing | None) -> KeyRing:
    import asyncio

    if settings.encryption.keys_file is not None:
        from labelbridge.encryption.keys import read_keys_file

        return await asyncio.to_thread(read_keys_file, settings.encryption.keys_file)
    from labelbridge.encryption.keyvault import load_keys

    return await load_keys(settings, known)


def _storage(settings: Settings) -> ExternalStorage:
    from labelbridge.payload_storage import storage

    return storage(settings)
