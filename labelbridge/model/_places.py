"""What may stand in the names of Azure's places: ARM ids, storage accounts, containers, blobs.

Prevents a name that becomes an address of something else: an account `evil.example/` would send the worker's
token to another host, an ARM id with `?` or `..` would turn a PUT on a labeling job into one on any resource,
and a blob name with `..` is folded by clients and proxies into another container. So nothing gets into such a
name that could end its part of an address, whoever asked: a person, a labels file, or Azure itself.
"""

import re

ACCOUNT_NAME = r"^[a-z0-9]{3,24}$"
"""Storage accounts (Azure's naming rule); the name becomes a host's name."""
CONTAINER_NAME = r"^[a-z0-9](-?[a-z0-9]){2,62}$"
"""Blob containers of people's own (Azure's naming rule); 63 characters at most, which is checked beside it."""
MAX_BLOB_NAME = 1024
"""Characters in the name of a blob, at most (Azure Storage)."""
_ANY_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9](-?[a-z0-9])*|\$(root|web|logs)")
"""Azure makes the three with a dollar by itself."""
_ACCOUNT = re.compile(ACCOUNT_NAME.strip("^$"))
_SEPARATOR = re.compile(r"[/\\]")
# Resource groups have letters of any alphabet, digits, `-`, `_`, `.` and parentheses; other names fewer.
_PART = r"(?!\.{1,2}(?:/|\Z))[\w.()\-]{1,260}"
_ARM_ID = re.compile(
    rf"/subscriptions/{_PART}/resourceGroups/{_PART}/providers/{_PART}(?:/{_PART}/{_PART})+", re.IGNORECASE
)


def arm_id(value: str) -> str:
    """Return `value` without a trailing slash if it is an ARM resource id, else raise ValueError."""
    value = value.rstrip("/")
    if len(value) > 2048 or not _ARM_ID.fullmatch(value):
        raise ValueError(f"not an ARM resource id: {value[:300]!r}")
    return value


def account_name(value: str) -> str:
    """Return `value` if it can be a storage account's name, else raise ValueError."""
    if not _ACCOUNT.fullmatch(value):
        raise ValueError(f"not the name of a storage account: {value[:100]!r}")
    return value


def container_name(value: str) -> str:
    """Return `value` if it can be a blob container's name, else raise ValueError."""
    if not _ANY_CONTAINER.fullmatch(value):
        raise ValueError(f"not the name of a container: {value[:100]!r}")
    return value


def blob_path(value: str) -> str:
    """Return `value` if it stays in its container, as a blob's name or as a folder; else raise ValueError.

    A folder may be empty (all of the container) or end with a slash. A backslash separates too, because
    Azure Storage turns it into a slash.
    """
    parts = _SEPARATOR.split(value)
    if "." in parts or ".." in parts:
        raise ValueError(f"a path that leaves its container: {value[:300]!r}")
    if len(value) > MAX_BLOB_NAME:
        raise ValueError(f"a blob's name of {len(value)} characters")
    if "\0" in value or not _encodable(value):
        raise ValueError(f"a blob's name that no address can hold: {value[:300]!r}")
    return value


def _encodable(text: str) -> bool:
    """False for half of a surrogate pair, which JSON can carry and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
