"""The codec, for any payload: what it makes comes back, and nothing else does."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from labelbridge.encryption.codec import EncryptionCodec
from labelbridge.encryption.keys import KeyRing
from labelbridge.encryption.marks import ENCODING
from labelbridge.encryption.source import Keys
from labelbridge.errors import LabelbridgeError

T = TypeVar("T")
OLD, NEW, OTHER = (bytes([number]) * 32 for number in (1, 2, 3))
PAYLOADS = st.builds(
    Payload,
    metadata=st.dictionaries(st.text(max_size=8), st.binary(max_size=20), max_size=3),
    data=st.binary(max_size=300),
)


def codec(
    active: str = "new",
    namespace: str = "labeling",
    *,
    plain: bool = True,
    keys: dict[str, bytes] | None = None,
) -> EncryptionCodec:
    ring = KeyRing(active, keys or {"new": NEW, "old": OLD})

    async def load(_: KeyRing | None) -> KeyRing:
        return ring

    source = Keys(load, refresh=timedelta(hours=1), unknown_key_pause=timedelta(0))
    return EncryptionCodec(source, namespace, accept_plaintext=plain)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def refusal(reader: EncryptionCodec, payload: Payload) -> LabelbridgeError:
    with pytest.raises(LabelbridgeError) as caught:
        run(reader.decode([payload]))
    return caught.value


@given(st.lists(PAYLOADS, max_size=4))
def test_what_is_encrypted_comes_back_whole_and_shows_nothing(payloads: list[Payload]) -> None:
    sealed = run(codec().encode(payloads))
    assert run(codec().decode(sealed)) == payloads
    for payload, made in zip(payloads, sealed, strict=True):
        assert set(made.metadata) == {"encoding", "encryption-format", "encryption-key-id"}
        assert made.metadata["encryption-key-id"] == b"new"
        assert len(payload.data) < 8 or payload.data not in made.data


@given(PAYLOADS, st.data())
def test_a_payload_changed_in_any_byte_is_refused(payload: Payload, data: st.DataObject) -> None:
    (sealed,) = run(codec().encode([payload]))
    place = data.draw(st.integers(0, len(sealed.data) - 1))
    changed = bytearray(sealed.data)
    changed[place] ^= data.draw(st.integers(1, 255))
    sealed.data = bytes(changed)
    assert refusal(codec(), sealed).code == "payload_unreadable"


@given(PAYLOADS, st.integers(0, 400))
def test_a_payload_cut_short_is_refused(payload: Payload, left: int) -> None:
    (sealed,) = run(codec().encode([payload]))
    sealed.data = sealed.data[: min(left, len(sealed.data) - 1)]
    assert refusal(codec(), sealed).code == "payload_unreadable"


@given(PAYLOADS)
def test_what_a_former_key_encrypted_is_read_after_the_rotation(payload: Payload) -> None:
    (before,) = run(codec(active="old").encode([payload]))
    assert run(codec(active="new").decode([before])) == [payload]


@given(PAYLOADS)
def test_another_key_under_the_same_id_reads_nothing(payload: Payload) -> None:
    (sealed,) = run(codec().encode([payload]))
    assert refusal(codec(keys={"new": OTHER}), sealed).code == "payload_unreadable"


def test_a_key_that_is_not_there_is_named() -> None:
    (sealed,) = run(codec().encode([Payload(data=b"x")]))
    error = refusal(codec(active="old", keys={"old": OLD}), sealed)
    assert (error.code, error.data) == ("encryption_key_unknown", {"key": "new"})
    assert "'new'" in error.message
    assert "'old'" in error.message


def test_metadata_is_bound_so_that_a_payload_passes_for_no_other_keys_nor_namespaces() -> None:
    same = {"new": NEW, "old": NEW}
    (sealed,) = run(codec(keys=same).encode([Payload(data=b"x")]))
    assert refusal(codec(namespace="other"), sealed).code == "payload_unreadable"
    sealed.metadata["encryption-key-id"] = b"old"
    assert refusal(codec(keys=same), sealed).code == "payload_unreadable"


def test_a_later_format_is_refused_by_its_number() -> None:
    (sealed,) = run(codec().encode([Payload(data=b"x")]))
    sealed.metadata["encryption-format"] = b"2"
    assert "'2'" in refusal(codec(), sealed).message


def test_the_same_payload_never_looks_the_same() -> None:
    sealed = run(codec().encode([Payload(data=b"x")] * 100))
    assert len({made.data[:12] for made in sealed}) == 100


@given(PAYLOADS.filter(lambda p: p.metadata.get("encoding") != ENCODING))
def test_payloads_of_before_pass_until_they_are_turned_away(payload: Payload) -> None:
    assert run(codec().decode([payload])) == [payload]
    assert refusal(codec(plain=False), payload).code == "payload_unreadable"
