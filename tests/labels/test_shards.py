"""Shards read apart and joined are what one reader would have given."""

import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels import Documents, LabeledDocument, LanguageProjectFile, Quarantined, lines
from labelbridge.labels.azureml_jsonl import RowReader, read
from labelbridge.labels.shards import join, plan, read_shard, shard_lines
from labelbridge.labels.vote import Vote, tally
from labelbridge.model import OffsetUnit, ProjectKind

NER = ProjectKind.ENTITIES
TEXTS = Documents({"a.txt": "ab😀\r\nc".encode(), "b.txt": b"0123456789", "c.txt": "é😀😀".encode()})


def row(document: str, *spans: tuple[int, int]) -> bytes:
    label = [{"label": "X", "offsetStart": a, "offsetEnd": b} for a, b in spans]
    return json.dumps({"image_url": f"AmlDatastore://s/{document}", "label": label}).encode()


spans = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=2)
files = st.lists(
    st.builds(
        lambda d, s: row(d, *s), st.sampled_from(["a.txt", "b.txt", "c.txt", "../x", "none.txt"]), spans
    )
    | st.sampled_from([b"", b"\r", b"{", b"\xff", b"  ", b"\xef\xbb\xbf" + row("b.txt", (0, 1))]),
    max_size=12,
).flatmap(lambda rows: st.sampled_from([b"\n".join(rows), b"\n".join(rows) + b"\n"]))


def whole(data: bytes, **options: object) -> list[LabeledDocument | Quarantined]:
    return list(
        read(
            lines.split([data]), kind=NER, unit=OffsetUnit.AUTO, texts=TEXTS, categories=None, datastore=None,
            source="x",
        )
    )  # fmt: skip


def in_shards(data: bytes, size: int) -> Iterator[LabeledDocument | Quarantined]:
    results = []
    for shard in plan(len(data), size):
        reader = RowReader(
            kind=NER, unit=OffsetUnit.AUTO, texts=TEXTS, categories=None, datastore=None, repeats=True
        )
        results.append(list(read_shard(io.BytesIO(data), shard, reader, "x")))
    return join(results, raw=lambda offset, length: data[offset : offset + length], source="x")


@given(files, st.integers(1, 400))
def test_joined_shards_are_what_one_reader_gives(data: bytes, size: int) -> None:
    assert list(in_shards(data, size)) == whole(data)


@given(files, st.integers(1, 400))
def test_joined_shards_make_the_same_file_byte_for_byte(data: bytes, size: int) -> None:
    def file(items: Iterator[LabeledDocument | Quarantined]) -> bytes:
        new = LanguageProjectFile.new(name="p", kind=NER, container="c", language="en")
        rows = [item for item in items if isinstance(item, LabeledDocument)]
        return new.with_labels(rows, texts=TEXTS, settings={})

    assert file(in_shards(data, size)) == file(iter(whole(data)))


@given(files, st.integers(1, 200))
def test_every_line_is_in_exactly_one_shard_and_votes_add_up(data: bytes, size: int) -> None:
    file = io.BytesIO(data)
    parts = [[line for _, line in shard_lines(file, shard)] for shard in plan(len(data), size)]
    assert [line for part in parts for line in part] == list(lines.split([data]))
    votes = [tally(part, texts=TEXTS, datastore=None) for part in parts]
    assert sum(votes, Vote()) == tally(lines.split([data]), texts=TEXTS, datastore=None)


def test_a_line_longer_than_any_row_is_cut_alike_in_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    from labelbridge.labels import azureml_jsonl, shards

    for module in (lines, shards, azureml_jsonl):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)
    data = row("b.txt", (0, 1)) + b"\n" + b"x" * 500 + b"\n" + row("b.txt", (0, 1)) + b"\n" + b"y" * 101
    assert list(in_shards(data, 64)) == whole(data)
    assert [getattr(item, "code", "read") for item in whole(data)] == [
        "read", "line_too_long", "duplicate_document", "line_too_long",
    ]  # fmt: skip


def test_a_plan_covers_the_input_and_needs_a_size() -> None:
    assert [(s.number, s.start, s.end) for s in plan(10, 4)] == [(0, 0, 4), (1, 4, 8), (2, 8, 10)]
    assert [(s.start, s.end) for s in plan(0, 4)] == [(0, 0)]
    with pytest.raises(ValueError, match="byte"):
        plan(10, 0)
