import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels import lines


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b"\n", b"\r\n", b"\r", b"a\nb"])))
def test_however_a_stream_is_cut_its_lines_are_the_same(chunks: list[bytes]) -> None:
    expected = b"".join(chunks).split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert list(lines.split(chunks)) == expected


def test_an_endless_line_is_cut_and_the_next_one_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    found = list(lines.split([b"x" * 8, b"x" * 8, b"x" * 8 + b"\nnext", b"\n", b"y" * 11]))
    assert found == [b"x" * 11, b"next", b"y" * 11]
