from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels.offsets import Documents, InvalidText, Text
from labelbridge.model import OffsetUnit
from tests.labels.strategies import text, utf16

U16, POINT = OffsetUnit.UTF16, OffsetUnit.CODEPOINT


@given(text)
def test_every_offset_agrees_with_encoding_the_text_before_it(body: str) -> None:
    measured = Text.decode(body.encode())
    assert (measured.codepoint_length, measured.utf16_length) == (len(body), utf16(body))
    assert measured.has_astral == any(c > "\uffff" for c in body)
    boundaries = [utf16(body[:i]) for i in range(len(body) + 1)]
    for point, unit in enumerate(boundaries):
        assert measured.convert(point, POINT, U16) == measured.to_utf16(point) == unit
        assert measured.convert(unit, U16, POINT) == measured.to_codepoint(unit) == point
    inside = [a + 1 for a, b in pairwise(boundaries) if b - a == 2]
    assert [i for i in range(-2, utf16(body) + 3) if measured.splits_pair(i)] == inside


@given(text, st.integers())
def test_an_offset_that_is_none_is_refused(body: str, offset: int) -> None:
    measured = Text.of(body)
    if not 0 <= offset <= len(body):
        with pytest.raises(ValueError, match="outside"):
            measured.to_utf16(offset)
    if not 0 <= offset <= measured.utf16_length:
        with pytest.raises(ValueError, match="outside"):
            measured.to_codepoint(offset)
    elif measured.splits_pair(offset):
        with pytest.raises(ValueError, match="splits"):
            measured.to_codepoint(offset)


def test_bom_and_crlf_count_as_characters() -> None:
    assert Text.decode(b"\xef\xbb\xbfa\r\nb").codepoint_length == 5


@pytest.mark.parametrize("data", [b"\xff", b"a\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\x80"])
def test_bytes_that_are_not_utf8_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidText):
        Text.decode(data)
    documents = Documents({"bad.txt": data, "good.txt": b"x"})
    assert "bad.txt" in documents
    assert len(documents) == 2
    assert documents.get("good.txt") is not None
    assert documents.get("other.txt") is None
    with pytest.raises(InvalidText):
        documents.get("bad.txt")


def test_auto_is_no_unit_to_convert_to() -> None:
    with pytest.raises(ValueError, match="auto"):
        Text.of("a").convert(0, OffsetUnit.AUTO, U16)


def test_the_same_unit_needs_no_conversion() -> None:
    assert Text.of("😀").convert(2, U16, U16) == 2
