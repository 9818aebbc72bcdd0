"""Azure Blob Storage for Temporal's external storage (`temporalio.converter.ExternalStorage`).

Nothing in this package knows Labelbridge: it needs `temporalio` and, for `azure_storage_blob`, the official
`azure-storage-blob`. The SDK's interface is experimental, so this is too.
"""

from labelbridge.storage_driver._client import AzureBlobStorageDriverClient, BlobNotFoundError
from labelbridge.storage_driver._driver import AzureBlobStorageDriver
from labelbridge.storage_driver._errors import (
    ClaimInvalidError,
    IntegrityError,
    PayloadMissingError,
    PayloadTooLargeError,
    StorageDriverError,
)

__all__ = [
    "AzureBlobStorageDriver",
    "AzureBlobStorageDriverClient",
    "BlobNotFoundError",
    "ClaimInvalidError",
    "IntegrityError",
    "PayloadMissingError",
    "PayloadTooLargeError",
    "StorageDriverError",
]
