"""Payloads outside Temporal, wired to our settings: which account, by which identity, from which size on.

Prevents a connection to Azure in processes that store and read nothing outside: credential and client are
made with the first payload, and closed with the Temporal client (`converter.close`).
"""

from typing import Any

from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient
from temporalio.converter import ExternalStorage

from labelbridge.azure.transport import DeadlineTransport
from labelbridge.settings import Settings
from labelbridge.storage_driver import AzureBlobStorageDriver, AzureBlobStorageDriverClient
from labelbridge.storage_driver.azure_storage_blob import AzureStorageBlobClient

DRIVER_NAME = "labelbridge.azure-blob"
"""Stands in histories: another name could not read them."""


def storage(settings: Settings) -> ExternalStorage:
    """What `storage` of the settings describes, which must be on."""
    options = settings.storage
    driver = AzureBlobStorageDriver(_Account(settings), options.container, driver_name=DRIVER_NAME)
    return ExternalStorage(drivers=[driver], payload_size_threshold=options.threshold)


class _Account(AzureBlobStorageDriverClient):
    """The account of the settings as `DefaultAzureCredential`, opened when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: AzureStorageBlobClient | None = None
        self._closing: list[Any] = []

    async def create_blob(self, *, container: str, blob: str, data: bytes) -> None:
        await (await self._client()).create_blob(container=container, blob=blob, data=data)

    async def read_blob(self, *, container: str, blob: str, limit: int) -> bytes:
        return await (await self._client()).read_blob(container=container, blob=blob, limit=limit)

    def describe(self) -> str:
        return f"of the account {self._settings.storage.account}"

    async def close(self) -> None:
        closing, self._closing, self._open = self._closing, [], None
        for one in closing:
            await one.close()

    async def _client(self) -> AzureStorageBlobClient:
        if self._open is None:
            transport = DeadlineTransport(self._settings.ca_bundle)
            credential: Any = DefaultAzureCredential(transport=transport)
            endpoint = self._settings.azure.storage_endpoint.replace(
                "{account}", self._settings.storage.account
            )
            # `open` of the transport awaits nothing, so nobody else can come between.
            self._open = AzureStorageBlobClient(
                BlobServiceClient(endpoint, credential=credential, transport=transport)
            )
            self._closing = [credential, transport]
            await transport.open()
        return self._open
