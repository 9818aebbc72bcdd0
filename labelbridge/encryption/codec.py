"""The payload codec: AES-256-GCM over whole payloads, with the key's id beside each.

Prevents four failures: a database or a backup of Temporal that tells what projects, people and labels there
are; an encrypted payload that was changed or carried into another namespace and is believed; a rotation
after which old histories cannot be read; and a missing key that shows as garbage instead of by its name.

A payload becomes one whose data is the nonce (96 bits by chance), the ciphertext of the payload's protobuf
and the tag (128 bits), and whose metadata names encoding, format and key. These and the namespace are the
associated data. Not bound are the workflow and the field: the SDK does not tell both ends the same, so
whoever may write Temporal's database can swap payloads within a namespace. NIST SP 800-38D allows 2^32
payloads for one key with nonces by chance: rotate before.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from labelbridge.encryption.marks import ENCODING, FORMAT, FORMAT_FIELD, KEY_ID_FIELD
from labelbridge.encryption.source import Keys
from labelbridge.errors import LabelbridgeError

_NONCE = 12
_TAG = 16


class EncryptionCodec(PayloadCodec):
    """Encrypts with the active key of `keys`, decrypts with any of them."""

    def __init__(self, keys: Keys, namespace: str, *, accept_plaintext: bool = True) -> None:
        """`namespace` is Temporal's; what was encrypted for another cannot be read."""
        self.keys = keys
        self._namespace = namespace.encode()
        self._accept_plaintext = accept_plaintext

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, metadata included."""
        ring = await self.keys.ring()
        cipher, key_id = AESGCM(ring.keys[ring.active]), ring.active.encode()
        return [self._encrypted(payload, cipher, key_id) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what `encode` made; other payloads stay as they are.

        Raises:
            LabelbridgeError: `encryption_key_unknown`, `payload_unreadable`, `encryption_keys_unavailable`.
        """
        return [await self._decoded(payload) for payload in payloads]

    def _encrypted(self, payload: Payload, cipher: AESGCM, key_id: bytes) -> Payload:
        nonce = os.urandom(_NONCE)
        sealed = cipher.encrypt(nonce, payload.SerializeToString(), self._bound(key_id))
        metadata = {"encoding": ENCODING, FORMAT_FIELD: FORMAT, KEY_ID_FIELD: key_id}
        return Payload(metadata=metadata, data=nonce + sealed)

    async def _decoded(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return self._plain(payload)
        form = payload.metadata.get(FORMAT_FIELD, b"")
        if form != FORMAT:
            raise _unreadable(
                f"it has the format {form.decode(errors='replace')!r}, which this version does not know"
            )
        key_id = payload.metadata.get(KEY_ID_FIELD, b"")
        name = key_id.decode(errors="replace")[:80]
        if len(payload.data) < _NONCE + _TAG:
            raise _unreadable("it is too short")
        cipher = AESGCM(await self.keys.key(name))
        try:
            plain = cipher.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], self._bound(key_id))
            return Payload.FromString(plain)
        except (InvalidTag, DecodeError) as error:
            raise _unreadable(
                f"it was changed, or encrypted for another namespace, or with another key than our {name!r}"
            ) from error

    def _plain(self, payload: Payload) -> Payload:
        if not self._accept_plaintext:
            raise _unreadable("it is not encrypted, and `encryption.accept_plaintext` is off")
        return payload

    def _bound(self, key_id: bytes) -> bytes:
        """The associated data; lengths stand before the parts, so no two lists of parts read alike."""
        parts = (ENCODING, FORMAT, key_id, self._namespace)
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _unreadable(why: str) -> LabelbridgeError:
    return LabelbridgeError("payload_unreadable", f"An encrypted payload cannot be read: {why}.")
