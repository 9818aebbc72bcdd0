"""Blobs of one storage account, with conditional writes.

Prevents the lost update: what two may write is written with `If-None-Match: *` or `If-Match`.

A conditional write whose answer is lost is ambiguous: it may have been done, and the same write sent
again (by us, or by aiohttp on a connection that broke) then meets its own first attempt. So the SDK's
retries are off, and a caller to whom `create` or `replace` said no reads the blob back before it
concludes that somebody else wrote it.
"""

import os
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient, BlobServiceClient
from pydantic import Field

from labelbridge.azure._listing import Listing
from labelbridge.azure.errors import azure_errors
from labelbridge.azure.observed import Transport
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Model
from labelbridge.model._places import account_name, blob_path, container_name

_CONTENT_TYPES = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "txt": "text/plain; charset=utf-8",
}


_BLOCK = 4 << 20
"""Bytes held in memory at once: what is larger goes up and comes down in blocks of this size."""


class BlobContent(Model):
    """All bytes of a blob and the ETag they were read under."""

    data: bytes
    etag: str


class BlobHead(Model):
    """What is known of a blob that was downloaded. `size` is in bytes, of the whole blob."""

    size: int
    etag: str
    metadata: dict[str, str] = Field(default_factory=dict)


class BlobInfo(Model):
    """One line of a listing. `size` is in bytes."""

    name: str
    size: int
    etag: str
    last_modified: datetime | None = None


class Blobs:
    """The blob service of one storage account.

    A blob or container that is not there is None or an empty listing only where a method says so;
    else it is `invalid_request` with `data["status"] == "404"`.
    """

    def __init__(
        self,
        account: str,
        endpoint: str,
        credential: AsyncTokenCredential,
        transport: Transport,
    ) -> None:
        """`endpoint` is the template of `AzureSettings.storage_endpoint`; `transport` is shared.

        Raises:
            LabelbridgeError: `invalid_request` if `account` is no account's name: it becomes part of a host,
                which is sent our token.
        """
        self.account = within(account_name, account)
        self.endpoint = endpoint.replace("{account}", account).rstrip("/")
        self._service = BlobServiceClient(
            self.endpoint,
            credential=credential,
            transport=transport,
            retry_total=0,
            max_single_put_size=_BLOCK,
            max_block_size=_BLOCK,
            max_single_get_size=_BLOCK,
            max_chunk_get_size=_BLOCK,
        )
        self._listing = Listing(self.endpoint, self._service.api_version, credential, transport)

    def url(self, container: str, name: str = "") -> str:
        """Address of a blob (or of a container), percent-encoded, without any signature."""
        return f"{self.endpoint}/{quote(container)}/{quote(name, safe='/')}".rstrip("/")

    async def read(self, container: str, name: str) -> BlobContent | None:
        """The blob's bytes and ETag, or None if the blob or its container does not exist."""
        async with azure_errors(f"read the blob {self._label(container, name)}"):
            try:
                download = await self._blob(container, name).download_blob()
                data = await download.readall()
            except ResourceNotFoundError:
                return None
            return BlobContent(data=data, etag=_etag(download.properties.etag))

    async def download(
        self, container: str, name: str, file: BinaryIO, *, offset: int = 0, length: int | None = None
    ) -> BlobHead | None:
        """Write a blob (or `length` bytes of it from `offset` on) to `file` where it stands, in blocks.

        All blocks are of one version: a blob that changes meanwhile is an error.

        Returns:
            None if the blob or its container does not exist; then nothing was written.
        """
        async with azure_errors(f"read the blob {self._label(container, name)}"):
            try:
                download = await self._blob(container, name).download_blob(
                    offset=offset or (None if length is None else 0), length=length
                )
            except ResourceNotFoundError:
                return None
            await download.readinto(file)
            found = download.properties
            return BlobHead(size=found.size, etag=_etag(found.etag), metadata=found.metadata or {})

    async def create(
        self,
        container: str,
        name: str,
        data: bytes | BinaryIO,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> str | None:
        """Write a blob that must not exist yet (`If-None-Match: *`).

        A file is written from its start, in blocks; the blob appears with the last of them.

        Returns:
            The new blob's ETag, or None if there is a blob of this name already. After an answer that
            was lost that may be our own: read it back.
        """
        async with azure_errors(f"create the blob {self._label(container, name)}"):
            try:
                written = await self._blob(container, name).upload_blob(
                    data,
                    length=_size(data),
                    overwrite=False,
                    metadata=dict(metadata) if metadata else None,
                    content_settings=_settings(name),
                )
            except (ResourceExistsError, ResourceModifiedError) as error:
                if error.status_code not in (409, 412) or _code(error) == "ContainerBeingDeleted":
                    raise
                return None
            return _etag(written["etag"])

    async def swap(self, container: str, name: str, data: bytes, etag: str | None) -> bool:
        """Create a blob (`etag` None) or replace the one that has `etag`; False if another was first.

        After False that other may be our own write whose answer was lost: read it back.
        """
        if etag is None:
            return await self.create(container, name, data) is not None
        try:
            await self.replace(container, name, data, etag)
        except LabelbridgeError as error:
            if error.code != "record_conflict":
                raise
            return False
        return True

    async def replace(
        self,
        container: str,
        name: str,
        data: bytes | BinaryIO,
        etag: str,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Overwrite a blob that still has `etag` (`If-Match`); returns its new ETag.

        Of two who replace it at once by files of several blocks one wins, but its content may be made
        of both: whoever does that puts a hash into `metadata`.

        Raises:
            LabelbridgeError: `record_conflict` if the blob changed or is gone. After an answer that
                was lost the change may be our own: read it back.
        """
        async with azure_errors(f"replace the blob {self._label(container, name)}"):
            try:
                written = await self._blob(container, name).upload_blob(
                    data,
                    length=_size(data),
                    overwrite=True,
                    metadata=dict(metadata) if metadata else None,
                    etag=f'"{_etag(etag)}"',
                    match_condition=MatchConditions.IfNotModified,
                    content_settings=_settings(name),
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                if isinstance(error, ResourceNotFoundError) and _code(error) == "ContainerNotFound":
                    raise
                raise LabelbridgeError(
                    "record_conflict",
                    f"The blob {self._label(container, name)} was changed by somebody else.",
                    data={"blob": name, "etag": etag},
                ) from error
            return _etag(written["etag"])

    async def list(self, container: str, prefix: str = "") -> tuple[BlobInfo, ...]:
        """The container's blobs whose name starts with `prefix`, by name; empty if there are none."""
        return tuple([blob async for blob in self.each(container, prefix)])

    async def each(self, container: str, prefix: str = "") -> AsyncGenerator[BlobInfo, None]:
        """`list`, one blob after the other, in bounded memory."""
        async with azure_errors(f"list the container {self.account}/{container}"):
            within(container_name, container)
            async for name, size, etag, modified in self._listing.each(container, prefix):
                yield BlobInfo(
                    name=name,
                    size=size,
                    etag=_etag(etag),
                    last_modified=parsedate_to_datetime(modified) if modified else None,
                )

    async def exists(self, container: str, name: str | None = None) -> bool:
        """True if the blob exists; without `name`, if the container does."""
        async with azure_errors(f"look for {self._label(container, name or '')}"):
            if name is None:
                return await self._service.get_container_client(within(container_name, container)).exists()
            return await self._blob(container, name).exists()

    async def ensure_container(self, container: str) -> None:
        """Create the container unless it exists."""
        async with azure_errors(f"create the container {self.account}/{container}"):
            client = self._service.get_container_client(within(container_name, container))
            if await client.exists():  # creating needs a wider role than using does
                return
            try:
                await client.create_container()
            except ResourceExistsError as error:
                if _code(error) == "ContainerBeingDeleted":
                    raise

    async def delete(self, container: str, name: str) -> None:
        """Delete the blob; no error if it is gone already."""
        async with azure_errors(f"delete the blob {self._label(container, name)}"):
            try:
                await self._blob(container, name).delete_blob()
            except ResourceNotFoundError as error:
                if _code(error) == "ContainerNotFound":
                    raise

    async def probe(self, container: str) -> None:
        """Write, read and delete a blob of its own: proof that this identity may do all three.

        Raises:
            LabelbridgeError: `forbidden` and others of the call that failed; `read_back_differs` if
                other bytes came back.
        """
        name = f".labelbridge-probe/{uuid.uuid4()}"
        content = name.encode()
        await self.create(container, name, content)
        try:
            read = await self.read(container, name)
            if read is None or read.data != content:
                raise LabelbridgeError(
                    "read_back_differs", f"A probe of {self.account}/{container} read back wrong."
                )
        finally:
            await self.delete(container, name)

    def _blob(self, container: str, name: str) -> BlobClient:
        if not name:
            raise LabelbridgeError("invalid_request", f"No blob of {self.account}/{container} is named.")
        return self._service.get_blob_client(within(container_name, container), within(blob_path, name))

    def _label(self, container: str, name: str) -> str:
        return f"{self.account}/{container}/{name}".rstrip("/")


def within(rule: Callable[[str], str], value: str) -> str:
    """`value` if it keeps to the rule of its place, else `invalid_request`; the last look before an address."""
    try:
        return rule(value)
    except ValueError as error:
        raise LabelbridgeError("invalid_request", f"Nothing is sent: {error}.") from error


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _etag(value: object) -> str:
    """ETags without quotes: a listing gives them bare, a read gives them quoted, and they must compare."""
    return str(value).strip('"')


def _size(data: bytes | BinaryIO) -> int:
    """Bytes to be written; a file is put back to its start."""
    if isinstance(data, bytes):
        return len(data)
    size = data.seek(0, os.SEEK_END)
    data.seek(0)
    return size


def _settings(name: str) -> ContentSettings:
    return ContentSettings(
        content_type=_CONTENT_TYPES.get(name.rsplit(".", 1)[-1], "application/octet-stream")
    )
