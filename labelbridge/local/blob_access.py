"""The server's own way to Blob, by account key: it plays the service, which needs no caller's token.

What a caller or a resource's identity may do to blobs is checked with `Rbac` before this is used.

Reading and listing go straight over HTTP with a signature made from the key: an import reads each
document of a project, and the official client takes several milliseconds of processor time for each.
"""

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import aiohttp
import yarl
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.storage.blob.aio import BlobServiceClient

from labelbridge.azure._listing import PAGE, parse
from labelbridge.local.azure_error import AzureError
from labelbridge.local.config import BlobConfig

_SIGNED_FOR = timedelta(hours=2)
_TRIES = 3


@dataclass(frozen=True)
class BlobItem:
    """One blob in a listing; `size` in bytes."""

    name: str
    size: int
    etag: str


class BlobAccess:
    """Reads and writes blobs of the accounts whose keys the configuration has."""

    def __init__(self, config: BlobConfig) -> None:
        """No connection is made before the first call."""
        self._config = config
        self._clients: dict[str, BlobServiceClient] = {}
        self._signatures: dict[str, tuple[float, str]] = {}
        self._http: aiohttp.ClientSession | None = None

    def knows(self, account: str) -> bool:
        """True if the account's key is configured."""
        return account in self._config.keys

    def endpoint(self, account: str) -> str:
        """The account's blob endpoint, without a trailing slash."""
        return self._config.endpoint.format(account=account).rstrip("/")

    async def list(self, account: str, container: str, prefix: str = "") -> AsyncIterator[BlobItem]:
        """Blobs whose name starts with `prefix`, in name order.

        Raises:
            AzureError: 400 `ContainerNotFound`; 503 if Blob does not answer.
        """
        query = {"restype": "container", "comp": "list", "maxresults": str(PAGE)}
        marker: str | None = ""
        while marker is not None:
            more = {name: value for name, value in (("prefix", prefix), ("marker", marker)) if value}
            page = await self._get(account, quote(container), query | more)
            if page is None:
                raise AzureError(
                    400,
                    "ContainerNotFound",
                    f"Container '{container}' of account '{account}' does not exist.",
                )
            lines, marker = parse(page)
            for name, size, etag, _ in lines:
                yield BlobItem(name, size, etag)

    async def read(self, account: str, container: str, name: str) -> bytes | None:
        """The blob's content; None if the blob or its container does not exist."""
        return await self._get(account, f"{quote(container)}/{quote(name)}", {})

    async def _get(self, account: str, path: str, query: dict[str, str]) -> bytes | None:
        """The body of a GET below the account's endpoint; None for 404."""
        address = f"{self.endpoint(account)}/{path}?{urlencode(query)}&{self._signature(account)}"
        for left in reversed(range(_TRIES)):
            try:
                async with self._session().get(yarl.URL(address, encoded=True)) as answer:
                    if answer.status == 404:
                        return None
                    if answer.status == 200:
                        return await answer.read()
            except aiohttp.ClientError:
                if left:
                    continue
                raise _unavailable(account) from None
            if answer.status < 500:
                break
        raise _unavailable(account)

    async def write(self, account: str, container: str, name: str, data: bytes) -> None:
        """Write (or overwrite) a blob; the container must exist."""
        try:
            await self._client(account).get_blob_client(container, name).upload_blob(data, overwrite=True)
        except ResourceNotFoundError as error:
            raise AzureError(
                400, "ContainerNotFound", f"Container '{container}' of account '{account}' does not exist."
            ) from error
        except HttpResponseError as error:
            raise _unavailable(account) from error

    async def container_exists(self, account: str, container: str) -> bool:
        """True if the container is there."""
        try:
            return await self._client(account).get_container_client(container).exists()
        except HttpResponseError as error:
            raise _unavailable(account) from error

    async def ensure_container(self, account: str, container: str) -> None:
        """Create the container unless it is there."""
        try:
            await self._client(account).create_container(container)
        except ResourceExistsError:
            return
        except HttpResponseError as error:
            raise _unavailable(account) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
        for client in self._clients.values():
            await client.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            verify = ssl.create_default_context(cafile=self._config.ca_file)
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=verify))
        return self._http

    def _signature(self, account: str) -> str:
        """A signature that lets its holder read and list the account's blobs for a while."""
        until, known = self._signatures.get(account, (0.0, ""))
        if time.monotonic() < until:
            return known
        made: str = generate_account_sas(
            account,
            self._key(account),
            ResourceTypes(container=True, object=True),
            AccountSasPermissions(read=True, list=True),
            datetime.now(UTC) + _SIGNED_FOR,
        )
        self._signatures[account] = (time.monotonic() + _SIGNED_FOR.total_seconds() / 2, made)
        return made

    def _key(self, account: str) -> str:
        key = self._config.keys.get(account)
        if key is None:
            raise AzureError(
                400, "StorageAccountNotFound", f"Storage account '{account}' is not configured here."
            )
        return key

    def _client(self, account: str) -> BlobServiceClient:
        key = self._key(account)
        client = self._clients.get(account)
        if client is None:
            verify: bool | str = str(self._config.ca_file) if self._config.ca_file else True
            client = BlobServiceClient(
                self.endpoint(account),
                credential={"account_name": account, "account_key": key},
                connection_verify=verify,
                retry_total=2,
            )
            self._clients[account] = client
        return client


def _unavailable(account: str) -> AzureError:
    return AzureError(503, "ServiceUnavailable", f"Blob storage of account '{account}' does not answer.")
