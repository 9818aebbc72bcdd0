"""Whatever comes in, readers answer with rows, quarantined rows, or a typed error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import Documents, LabeledDocument, LanguageProjectFile, Quarantined, quarantine_lines
from labelbridge.labels.azureml_jsonl import documents_named, read, write
from labelbridge.labels.snapshot import decode
from labelbridge.model import OffsetUnit, ProjectKind
from tests.labels.strategies import Case, cases

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["\ud83d", "AmlDatastore://store/a.txt", "azureml://datastores/x/paths/%ff", "a.txt", "A", "A,B"])
)  # fmt: skip
keys = st.sampled_from([
    "image_url", "label", "offsetStart", "offsetEnd", "location", "entities", "classes", "class", "category",
    "labels", "offset", "length", "regionOffset", "documents", "assets", "metadata", "projectKind", "language",
])  # fmt: skip
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=15,
)
kinds, units = st.sampled_from(ProjectKind), st.sampled_from(OffsetUnit)
categories = st.sampled_from([None, ("A", "B"), ("A", "A,B", "B")])
TEXTS = Documents({"a.txt": "ab😀\r\nc".encode(), "A": b"\xff"})


def tree_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def labeling_row(label: Any) -> bytes:
    return tree_bytes({"image_url": "AmlDatastore://store/a.txt", "label": label})


lines = st.lists(st.binary(max_size=40) | trees.map(tree_bytes) | trees.map(labeling_row), max_size=6)


@given(lines, kinds, units, categories)
def test_no_line_is_lost_and_none_stops_the_reader(
    rows: list[bytes], kind: ProjectKind, unit: OffsetUnit, known: tuple[str, ...] | None
) -> None:
    found = list(
        read(rows, kind=kind, unit=unit, texts=TEXTS, categories=known, datastore=None, source="fuzz")
    )
    assert len(found) == sum(bool(row.removeprefix(b"\xef\xbb\xbf").strip()) for row in rows)
    list(documents_named(rows))
    readable = [row for row in found if isinstance(row, LabeledDocument)]
    assert len(list(quarantine_lines(row for row in found if isinstance(row, Quarantined)))) == len(
        found
    ) - len(readable)
    # What was read fits, so it can be written.
    assert len(list(write(readable, kind=kind, unit=unit, texts=TEXTS, datastore="d"))) == len(readable)


@given(st.binary() | trees.map(tree_bytes) | st.builds(
    lambda kind, documents, rest: tree_bytes(
        {"metadata": {"language": "en"} | rest, "assets": {"projectKind": kind.value, "documents": documents}}
    ),
    kinds, st.lists(trees), st.dictionaries(keys, trees, max_size=3),
))  # fmt: skip
def test_any_project_file_is_read_or_refused(data: bytes) -> None:
    try:
        file = LanguageProjectFile.parse(data, "fuzz")
    except LabelbridgeError:
        return
    rows = list(file.rows())
    list(quarantine_lines(row for row in rows if isinstance(row, Quarantined)))
    fitting = [
        LabeledDocument(document="a.txt", classes=("A",) if file.kind is ProjectKind.SINGLE_LABEL else ())
    ]
    written = file.with_labels(fitting, texts=TEXTS, settings={})
    again = LanguageProjectFile.parse(written, "fuzz")
    assert [row for row in again.rows() if isinstance(row, LabeledDocument)] != []


@given(st.binary())
def test_bytes_that_are_no_snapshot_are_refused(data: bytes) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        decode(data)
    assert caught.value.code == "snapshot_unreadable"


@given(cases(ProjectKind.ENTITIES), st.integers(0), st.integers(0, 255))
def test_one_wrong_byte_costs_at_most_the_rows_that_it_touches(case: Case, where: int, byte: int) -> None:
    options: dict[str, Any] = {"kind": case.kind, "texts": case.texts, "datastore": "s"}
    data = bytearray(b"".join(write(case.rows, unit=OffsetUnit.UTF16, **options)))
    if not data:
        return
    data[where % len(data)] = byte
    found = list(
        read(
            bytes(data).split(b"\n"),
            unit=OffsetUnit.UTF16,
            categories=None,
            source="x",
            for_language=False,
            **options,
        )
    )
    whole = sum(row in found for row in case.rows)
    assert whole >= len(case.rows) - 2
