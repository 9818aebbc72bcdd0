"""Reads a history, or any message of Temporal's, as whoever runs Temporal can: payload by payload."""

from collections.abc import Iterator

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

from labelbridge.encryption.marks import ENCODING


def sealed_by(message: Message) -> set[str]:
    """Ids of the keys of every payload in a message; fails if one is neither encrypted nor a search attribute."""
    found: set[str] = set()
    for payload, place in payloads(message):
        if payload.metadata.get("encoding") == ENCODING:
            found.add(payload.metadata["encryption-key-id"].decode())
        elif not (payload.external_payloads or "search_attributes" in place):
            raise AssertionError(f"{place} is not encrypted: {payload}")
    return found


def payloads(message: Message, path: str = "") -> Iterator[tuple[Payload, str]]:
    """Every payload in a message, with the names of the fields that lead to it."""
    if isinstance(message, Payload):
        yield message, path
        return
    for descriptor, value in message.ListFields():
        place = f"{path}/{descriptor.name}"
        for one in _messages(value):
            yield from payloads(one, place)


def _messages(value: object) -> list[Message]:
    """The messages in a field: one, a list's or a map's."""
    if isinstance(value, Message):
        return [value]
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return []
    inside = value.values() if hasattr(value, "values") else value
    return [one for one in inside if isinstance(one, Message)]
