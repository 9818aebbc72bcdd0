"""The driver's client on the official `azure-storage-blob` (its `aio` half)."""

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobServiceClient

from labelbridge.storage_driver._client import AzureBlobStorageDriverClient, BlobNotFoundError

_NO_SUCH_RANGE = 416
_BINARY = ContentSettings(content_type="application/x-protobuf")


class AzureStorageBlobClient(AzureBlobStorageDriverClient):
    """One storage account. Whoever made the service client closes it, and chooses how often it repeats."""

    def __init__(self, service: BlobServiceClient) -> None:
        """Its identity needs Storage Blob Data Contributor on the containers."""
        self._service = service

    async def create_blob(self, *, container: str, blob: str, data: bytes) -> None:
        """See the base class. A repeat after a lost answer meets its own blob, which is as good."""
        client = self._service.get_blob_client(container, blob)
        try:
            await client.upload_blob(data, overwrite=False, content_settings=_BINARY)
        except ResourceExistsError as error:
            if getattr(error, "error_code", None) != "BlobAlreadyExists":
                raise

    async def read_blob(self, *, container: str, blob: str, limit: int) -> bytes:
        """See the base class."""
        client = self._service.get_blob_client(container, blob)
        try:
            download = await client.download_blob(offset=0, length=limit)
            return await download.readall()
        except ResourceNotFoundError as error:
            raise BlobNotFoundError(f"{container}/{blob}") from error
        except HttpResponseError as error:
            if error.status_code == _NO_SUCH_RANGE:  # an empty blob has no first byte
                return b""
            raise

    def describe(self) -> str:
        """The account's address."""
        return f"at {self._service.primary_hostname}"
