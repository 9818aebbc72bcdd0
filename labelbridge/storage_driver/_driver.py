"""The driver: payloads as content-addressed blobs, checked when they come back.

Prevents three failures: a payload that was changed or cut short in the storage and is believed; two writers
of one payload that disturb each other (the name is the content's hash, and a blob is only ever created);
and a forged history that makes a worker read other blobs of the account (a claim must have the shape, and
with a fixed container the place, of what the driver writes).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from labelbridge.storage_driver._client import AzureBlobStorageDriverClient, BlobNotFoundError
from labelbridge.storage_driver._errors import (
    ClaimInvalidError,
    IntegrityError,
    PayloadMissingError,
    PayloadTooLargeError,
    StorageDriverError,
)
from labelbridge.storage_driver._names import blob_name, is_blob_name

TYPE = "azure.blobdriver"
DEFAULT_MAX_PAYLOAD_SIZE = 50 * 1024 * 1024
_T = TypeVar("_T")

ContainerSelector = Callable[[StorageDriverStoreContext, Payload], str]


class AzureBlobStorageDriver(StorageDriver):
    """Stores payloads in Azure Blob Storage. Experimental, as the SDK's interface is."""

    def __init__(
        self,
        client: AzureBlobStorageDriverClient,
        container: str | ContainerSelector,
        *,
        driver_name: str = TYPE,
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
    ) -> None:
        """Nothing is opened or made: the container must exist.

        Args:
            client: see `azure_storage_blob`.
            container: name of the container, or what chooses one for each payload. With a chooser, a
                claim may name any container that the client's identity can read.
            driver_name: stands in histories, so it must never change; one for each driver of a client.
            max_payload_size: bytes of a serialized payload; also the most that is ever read.

        Raises:
            ValueError: `max_payload_size` is not positive.
        """
        if max_payload_size <= 0:
            raise ValueError("max_payload_size must be greater than zero")
        self._client = client
        self._container = container
        self._name = driver_name or TYPE
        self._max_size = max_payload_size

    def name(self) -> str:
        """As given."""
        return self._name

    def type(self) -> str:
        """The same for this driver in any language."""
        return TYPE

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store each payload; one that is there already is not written again.

        Raises:
            PayloadTooLargeError: nothing of that payload was sent.
            StorageDriverError: Blob Storage failed; its error is the cause.
        """
        return await _all([self._store(context, payload) for payload in payloads])

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """The payloads of claims that `store` gave.

        Raises:
            PayloadMissingError: the blob is gone.
            IntegrityError: its content is not what was stored.
            ClaimInvalidError: `store` gives no such claim.
            StorageDriverError: Blob Storage failed; its error is the cause.
        """
        return await _all([self._retrieve(claim) for claim in claims])

    async def _store(self, context: StorageDriverStoreContext, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString()
        if len(data) > self._max_size:
            raise PayloadTooLargeError(
                f"A payload has {len(data)} bytes; the storage driver {self._name} takes {self._max_size}."
            )
        container = self._container if isinstance(self._container, str) else self._container(context, payload)
        digest = hashlib.sha256(data).hexdigest()
        blob = blob_name(context.target, digest)
        try:
            await self._client.create_blob(container=container, blob=blob, data=data)
        except Exception as error:
            raise self._failed("store", container, blob) from error
        return StorageDriverClaim(
            claim_data={
                "container": container,
                "blob": blob,
                "hash_algorithm": "sha256",
                "hash_value": digest,
                "size": str(len(data)),
            }
        )

    async def _retrieve(self, claim: StorageDriverClaim) -> Payload:
        container, blob, digest, size = self._checked(claim)
        try:
            data = await self._client.read_blob(container=container, blob=blob, limit=size + 1)
        except BlobNotFoundError as error:
            raise PayloadMissingError(
                f"{self._place(container, blob)} is gone: a payload is lost."
            ) from error
        except Exception as error:
            raise self._failed("retrieve", container, blob) from error
        actual = hashlib.sha256(data).hexdigest()
        if len(data) != size or actual != digest:
            found = f"more than {size}" if len(data) > size else str(len(data))
            raise IntegrityError(
                f"{self._place(container, blob)} was changed: {size} bytes with sha256 {digest} were stored,"
                f" {found} bytes with {actual} are there."
            )
        try:
            return Payload.FromString(data)
        except DecodeError as error:
            raise IntegrityError(f"{self._place(container, blob)} holds no payload.") from error

    def _checked(self, claim: StorageDriverClaim) -> tuple[str, str, str, int]:
        """Container, blob, hash and size of a claim that this driver can have made."""
        told = claim.claim_data
        container, blob, digest, size = (told.get(k, "") for k in ("container", "blob", "hash_value", "size"))
        if told.get("hash_algorithm") != "sha256":
            raise ClaimInvalidError(
                f"A claim has the hash {told.get('hash_algorithm')!r}; only sha256 is known."
            )
        if not (container and is_blob_name(blob, digest)):
            raise ClaimInvalidError(
                f"A claim names {self._place(container, blob)}, which is no payload's place."
            )
        if isinstance(self._container, str) and container != self._container:
            raise ClaimInvalidError(f"A claim names the container {container!r}, not {self._container!r}.")
        if not (size.isascii() and size.isdigit() and int(size) <= self._max_size):
            raise ClaimInvalidError(
                f"A claim's size is {size!r}; this driver stores up to {self._max_size} bytes."
            )
        return container, blob, digest, int(size)

    def _failed(self, what: str, container: str, blob: str) -> StorageDriverError:
        return StorageDriverError(f"Could not {what} {self._place(container, blob)}.")

    def _place(self, container: str, blob: str) -> str:
        return f"the blob {blob!r} in {container!r} {self._client.describe()}".rstrip()


async def _all(work: Sequence[Awaitable[_T]]) -> list[_T]:
    """Run all at once; the first failure ends the others, and none is left running."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
