"""What marks a payload as ours, and the typed error of a process that has no keys at all.

Prevents the bare "unknown encoding" of a worker that was started without the encryption's settings.
"""

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)

from labelbridge.errors import LabelbridgeError

ENCODING = b"binary/labelbridge-aes-256-gcm"
FORMAT_FIELD = "encryption-format"
FORMAT = b"1"
KEY_ID_FIELD = "encryption-key-id"


class _Encrypted(EncodingPayloadConverter):
    """Meets encrypted payloads only where no codec took them before: it refuses, by name."""

    @property
    def encoding(self) -> str:
        """The codec's."""
        return ENCODING.decode()

    def to_payload(self, value: Any) -> Payload | None:
        """Nothing is made here."""
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Raise `encryption_key_unknown`."""
        key = payload.metadata.get(KEY_ID_FIELD, b"").decode(errors="replace")[:80]
        raise LabelbridgeError(
            "encryption_key_unknown",
            f"A payload is encrypted with the key {key!r}; this process was started without encryption.",
            data={"key": key},
        )


class LabelbridgePayloadConverter(CompositePayloadConverter):
    """Pydantic's JSON as `pydantic_data_converter` has it, and a name for what cannot be decrypted."""

    def __init__(self) -> None:
        """As the SDK makes it: without arguments."""
        usual = (
            PydanticJSONPlainPayloadConverter() if isinstance(one, JSONPlainPayloadConverter) else one
            for one in DefaultPayloadConverter.default_encoding_payload_converters
        )
        super().__init__(*usual, _Encrypted())
