"""The server's own way to Blob, by account key: it plays the service, which needs no caller's token.

What a caller or a resource's identity may do to blobs is checked with `Rbac` before this is used.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient

from labelbridge.local.azure_error import AzureError
from labelbridge.local.config import BlobConfig


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
        try:
            found = self._client(account).get_container_client(container).list_blobs(name_starts_with=prefix)
            async for blob in found:
                yield BlobItem(blob.name, blob.size, blob.etag)
        except ResourceNotFoundError as error:
            raise AzureError(
                400, "ContainerNotFound", f"Container '{container}' of account '{account}' does not exist."
            ) from error
        except HttpResponseError as error:
            raise _unavailable(account) from error

    async def read(self, account: str, container: str, name: str) -> bytes | None:
        """The blob's content; None if the blob or its container does not exist."""
        try:
            stream = await self._client(account).get_blob_client(container, name).download_blob()
            return await stream.readall()
        except ResourceNotFoundError:
            return None
        except HttpResponseError as error:
            if error.status_code == 416:
                return b""
            raise _unavailable(account) from error

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
        for client in self._clients.values():
            await client.close()

    def _client(self, account: str) -> BlobServiceClient:
        if account not in self._config.keys:
            raise AzureError(
                400, "StorageAccountNotFound", f"Storage account '{account}' is not configured here."
            )
        client = self._clients.get(account)
        if client is None:
            verify: bool | str = str(self._config.ca_file) if self._config.ca_file else True
            client = BlobServiceClient(
                self.endpoint(account),
                credential={"account_name": account, "account_key": self._config.keys[account]},
                connection_verify=verify,
                retry_total=2,
            )
            self._clients[account] = client
        return client


def _unavailable(account: str) -> AzureError:
    return AzureError(503, "ServiceUnavailable", f"Blob storage of account '{account}' does not answer.")
