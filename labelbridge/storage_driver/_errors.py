"""What can go wrong, by type, so that a caller can tell a lost payload from a service that is away."""


class StorageDriverError(Exception):
    """A payload could not be stored or retrieved; the message names container and blob, never content."""


class PayloadTooLargeError(StorageDriverError):
    """The payload is larger than the driver takes."""


class PayloadMissingError(StorageDriverError):
    """The blob of a claim is gone: deleted by hand or by a lifecycle rule."""


class IntegrityError(StorageDriverError):
    """The blob's content is not what was stored."""


class ClaimInvalidError(StorageDriverError):
    """A history names a blob that this driver would never have written."""
