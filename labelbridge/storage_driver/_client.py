"""The two calls that the driver needs of Blob Storage, so that any client can be put behind it."""

from abc import ABC, abstractmethod


class BlobNotFoundError(Exception):
    """There is no such blob or container."""


class AzureBlobStorageDriverClient(ABC):
    """Blob operations of one storage account. Transient failures are repeated by the implementation."""

    @abstractmethod
    async def create_blob(self, *, container: str, blob: str, data: bytes) -> None:
        """Write a blob unless one of this name exists (`If-None-Match: *`); an existing one is left alone."""

    @abstractmethod
    async def read_blob(self, *, container: str, blob: str, limit: int) -> bytes:
        """The first `limit` bytes of a blob, or all if it is shorter.

        Raises:
            BlobNotFoundError: there is none.
        """

    def describe(self) -> str:
        """Names the account in error messages."""
        return ""

    async def close(self) -> None:  # noqa: B027 - most clients are closed by whoever made them
        """Close connections; called by the driver's `close`."""
