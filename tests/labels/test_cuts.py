"""A file is cut at line ends into parts that read together as the whole."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels import cuts, shards

LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=20)


@given(LINES, st.integers(1, 7), st.booleans())
def test_parts_have_so_many_lines_each_and_make_the_whole(
    found: list[bytes], lines_each: int, ends: bool
) -> None:
    data = b"\n".join(found) + (b"\n" if ends and found else b"")
    file = io.BytesIO(data)
    bounds = cuts.by_lines(file, lines_each)
    parts = [data[start:end] for start, end in bounds]
    assert b"".join(parts) == data
    assert all(part.count(b"\n") == lines_each for part in parts[:-1])
    read = [
        line
        for number, (start, end) in enumerate(bounds)
        for _, line in shards.shard_lines(file, shards.Shard(number, start, end))
    ]
    assert read == data.removesuffix(b"\n").split(b"\n") if data else not read


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b"%d\n" % number for number in range(200))
    whole = cuts.by_lines(io.BytesIO(data), 7)
    monkeypatch.setattr(cuts, "_BLOCK", 5)
    assert cuts.by_lines(io.BytesIO(data), 7) == whole
