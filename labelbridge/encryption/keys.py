"""Keys of the payload codec: a ring of one key that encrypts and former ones that only decrypt.

Prevents three failures: a key that others on the machine can read (the file's permissions are checked), a
typo that silently makes a weaker key (length and form of each are), and a key in a log (a ring's `repr`
names ids only).
"""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labelbridge.errors import LabelbridgeError

KEY_BYTES = 32
"""AES-256."""
_KEY_ID = re.compile(r"[0-9A-Za-z._\-]{1,64}")
_MAX_FILE = 1 << 20
_READ_BY_GROUP = stat.S_IRGRP
_BY_OTHERS = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


@dataclass(frozen=True)
class KeyRing:
    """Keys by id. `active` encrypts; every key of the ring decrypts."""

    active: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        """Check it; ValueError says what is wrong, never a key."""
        for name, key in self.keys.items():
            if not _KEY_ID.fullmatch(name):
                raise ValueError(f"the key id {name!r} is not 1 to 64 of A-Z a-z 0-9 . _ -")
            if len(key) != KEY_BYTES:
                raise ValueError(f"the key {name!r} has {len(key)} bytes; it must have {KEY_BYTES}")
        if self.active not in self.keys:
            raise ValueError(f"the active key {self.active!r} is not among the keys")


def key_bytes(text: str) -> bytes:
    """The bytes of a key as it is written down: base64, white space around it ignored.

    Raises:
        ValueError: no base64; the text is not repeated.
    """
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a key must be written in base64") from error


def parse_keys(text: str | bytes) -> KeyRing:
    """The ring of a key file.

    Raises:
        ValueError: what is wrong with it.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is no JSON ({type(error).__name__})") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    active = found.get("active") if isinstance(found, dict) else None
    if not isinstance(active, str) or not isinstance(keys, dict) or set(found) != {"active", "keys"}:
        raise ValueError('it must be {"active": ID, "keys": {ID: KEY, ...}}')
    if not all(isinstance(value, str) for value in keys.values()):
        raise ValueError("a key must be written in base64")
    return KeyRing(active, {name: key_bytes(value) for name, value in keys.items()})


def read_keys_file(path: Path) -> KeyRing:
    """The ring in a key file, whose permissions must keep it from others.

    Its owner may read and write it, and nobody else may do anything; but a file of root may be readable by
    its group, since that is how Kubernetes mounts a Secret for a process that is not root (`defaultMode: 0440`).

    Raises:
        LabelbridgeError: `settings_invalid` names the file and what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            _check_permissions(os.fstat(file.fileno()))
            text = file.read(_MAX_FILE + 1)
        if len(text) > _MAX_FILE:
            raise ValueError("it is larger than 1 MiB")
        return parse_keys(text)
    except OSError as error:
        raise _invalid(path, error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise _invalid(path, str(error)) from error


def _check_permissions(found: os.stat_result) -> None:
    """Of the file that was opened, so that a link leads nowhere else meanwhile."""
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    if found.st_uid not in (0, os.geteuid()):
        raise ValueError("it belongs to another user than this process and root")
    excess = found.st_mode & (_BY_OTHERS if found.st_uid == 0 else _BY_OTHERS | _READ_BY_GROUP)
    if excess:
        mode = stat.S_IMODE(found.st_mode)
        raise ValueError(f"its permissions {mode:04o} let others at the keys: chmod 0400 it")


def _invalid(path: Path, why: str) -> LabelbridgeError:
    return LabelbridgeError("settings_invalid", f"encryption.keys_file: {path}: {why}.")
