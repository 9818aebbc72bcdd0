"""A file is what its content says, whatever its name."""

import io
import json
from pathlib import Path

import pytest

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, LanguageProjectFile, Span, mltable, snapshot
from labelbridge.labels.contents import FolderContents, MappingContents, Measured
from labelbridge.labels.formats import (
    Format,
    ReadOptions,
    Source,
    WriteOptions,
    by_suffix,
    detect,
    reader,
    writer,
)
from labelbridge.labels.offsets import InvalidText
from labelbridge.model import ProjectKind

NER, SINGLE, MULTI = ProjectKind.ENTITIES, ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


def row(label: object, document: str = "a.txt", **more: object) -> bytes:
    return json.dumps({"image_url": f"AmlDatastore://s/{document}", "label": label, **more}).encode()


def source(data: bytes) -> Source:
    return Source("file", file=io.BytesIO(data))


LANGUAGE = LanguageProjectFile.new(name="p", kind=SINGLE, container="c", language="en").with_labels(
    [LabeledDocument(document="a", classes=("X",))], texts=Measured(MappingContents({"a": b""})), settings={}
)
SNAPSHOT = snapshot.encode([], kind=SINGLE, project_key="k", categories=()).content


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (row("X"), Format.AZUREML),
        (b"\xef\xbb\xbf\n" + row("X"), Format.AZUREML),
        (b"{broken\n" + row("X"), Format.AZUREML),
        (b"broken\n" + row("X"), Format.AZUREML),
        (row("X", metadata={"assets": 1}), Format.AZUREML),
        (LANGUAGE, Format.LANGUAGE),
        (json.dumps(json.loads(LANGUAGE), indent=2).encode(), Format.LANGUAGE),
        (SNAPSHOT, Format.SNAPSHOT),
        (b"document,label\na,X\n", Format.CSV),
        (b'"label";"document"\n', None),
        (b"", None),
        (b"\x00\xff", None),
        (b"[]", None),
    ],
)
def test_a_format_is_told_by_content(data: bytes, expected: Format | None) -> None:
    if expected is not None:
        assert detect(source(data)) is expected
        return
    with pytest.raises(LabelbridgeError) as caught:
        detect(source(data))
    assert caught.value.code == "input_invalid"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("X", label_confidence=1.0)], SINGLE),
        ([row("X,Y", label_confidence=[1.0, 0.5])], MULTI),
        ([row([]), b"{", row(["X"])], MULTI),
        ([row([]), row([{"label": "X", "offsetStart": 0, "offsetEnd": 1}])], NER),
    ],
)
def test_a_project_kind_is_told_by_the_first_row_that_shows_it(
    rows: list[bytes], expected: ProjectKind
) -> None:
    options = ReadOptions(texts=Measured(MappingContents({"a.txt": b"text"})))
    assert reader(source(b"\n".join(rows)), Format.AZUREML, options).kind is expected


def test_rows_that_show_no_kind_need_it_said() -> None:
    with pytest.raises(LabelbridgeError, match="--kind"):
        reader(source(row([])), Format.AZUREML, ReadOptions())
    assert reader(source(row([])), Format.AZUREML, ReadOptions(kind=MULTI)).kind is MULTI


def test_a_table_is_multi_label_if_a_document_has_not_one_class() -> None:
    for body, expected in ((b"a,X\nb,Y\n", SINGLE), (b"a,X\na,Y\n", MULTI), (b"a,\n", MULTI)):
        assert reader(source(b"document,label\n" + body), Format.CSV, ReadOptions()).kind is expected


def test_what_is_only_written_is_not_read_and_the_other_way_round() -> None:
    assert {f for f in Format if not f.readable} == {Format.CONLL, Format.CONLL_PAIRS, Format.SPACY}
    assert {f for f in Format if not f.writable} == {Format.MLTABLE}
    for refused in (
        lambda: reader(source(b""), Format.CONLL, ReadOptions()),
        lambda: writer(Format.MLTABLE, WriteOptions(kind=NER)),
        lambda: writer(Format.CSV, WriteOptions(kind=NER)),
        lambda: writer(Format.CONLL, WriteOptions(kind=SINGLE, contents=MappingContents({}))),
        lambda: writer(Format.CONLL, WriteOptions(kind=NER)),
        lambda: reader(source(row([])), Format.AZUREML, ReadOptions(kind=NER)),
    ):
        with pytest.raises(LabelbridgeError) as caught:
            refused()
        assert caught.value.code == "input_invalid"
    assert [by_suffix(n) for n in ("a.JSONL", "a.json", "a.csv", "a.conll", "a")] == [
        Format.AZUREML, Format.LANGUAGE, Format.CSV, Format.CONLL, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("style", "prefix"),
    [
        ("AmlDatastore", "AmlDatastore://s/"),
        ("azureml", "azureml://datastores/s/paths/"),
        ("azureml-long", "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/s/paths/"),
    ],
)
def test_every_path_style_is_written_and_read(style: str, prefix: str) -> None:
    options = WriteOptions(kind=SINGLE, datastore="s", style=style, workspace=WORKSPACE)  # type: ignore[arg-type]
    rows = [LabeledDocument(document="a b%20.txt", classes=("X",))]
    data = b"".join(writer(Format.AZUREML, options).write(rows))
    assert json.loads(data)["image_url"] == prefix + "a b%20.txt"
    texts = Measured(MappingContents({"a b%20.txt": b""}))
    assert list(reader(source(data), Format.AZUREML, ReadOptions(datastore="S", texts=texts)).rows()) == rows


def test_a_long_path_needs_its_workspace() -> None:
    options = WriteOptions(kind=SINGLE, datastore="s", style="azureml-long", workspace="w")
    with pytest.raises(LabelbridgeError) as caught:
        list(writer(Format.AZUREML, options).write([]))
    assert caught.value.code == "input_invalid"


TABLE = b"""
$schema: https://azuremlschemas.azureedge.net/latest/MLTable.schema.json
type: mltable
paths:
  - file: ./second.jsonl
  - pattern: ./parts/*.jsonl
  - folder: ./
transformations:
  - read_json_lines: {encoding: utf8}
"""


def test_an_mltable_gives_the_rows_of_its_files_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "MLTable").write_bytes(TABLE)
    (tmp_path / "parts").mkdir()
    (tmp_path / "first.jsonl").write_bytes(row("A", "1") + b"\n" + row("A", "3"))
    (tmp_path / "second.jsonl").write_bytes(row("A", "2"))
    (tmp_path / "parts" / "x.jsonl").write_bytes(row("A", "3") + b"\n{")
    for path in (tmp_path, tmp_path / "MLTable"):
        with Source("table", path=path) as table:
            assert detect(table) is Format.MLTABLE
            found = list(reader(table, Format.MLTABLE, ReadOptions(kind=SINGLE)).rows())
            assert [(r.document, getattr(r, "code", "read"), getattr(r, "source", "")) for r in found] == [
                ("2", "read", ""),
                ("3", "read", ""),
                (None, "broken_json", "x.jsonl"),
                ("1", "read", ""),
                ("3", "duplicate_document", "first.jsonl"),
            ]
            assert "line 1 of x.jsonl" in getattr(found[-1], "reason")  # noqa: B009
            assert list(reader(table, Format.MLTABLE, ReadOptions(kind=SINGLE)).documents()) == [
                "2",
                "3",
                "1",
                "3",
            ]


@pytest.mark.parametrize(
    "table",
    [
        b"", b"[", b"- a", b"a: b", b"\xff", b"{" * 9999, b"paths: [{file: a.jsonl}]",
        b"paths: []\ntransformations: [read_json_lines]",
        b"paths: [{file: ../a.jsonl}]\ntransformations: [read_json_lines]",
        b"paths: [{file: /a.jsonl}]\ntransformations: [read_json_lines]",
        b"paths: [{file: 'https://x/a.jsonl'}]\ntransformations: [read_json_lines]",
        b"paths: [{file: none.jsonl}]\ntransformations: [read_json_lines]",
        b"paths: [{file: 5}]\ntransformations: [read_json_lines]",
        b"paths: [{file: a.jsonl}]\ntransformations: [read_delimited: {}]",
        b"paths: [{file: a.jsonl}]\ntransformations: [read_json_lines]" + b" " * (1 << 20),
    ],
)  # fmt: skip
def test_a_table_that_is_no_table_of_labels_or_leaves_its_folder_is_refused(table: bytes) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        mltable.members(table, ["a.jsonl"], "MLTable")
    assert caught.value.code == "input_invalid"


def test_documents_of_a_folder_do_not_lead_out_of_it(tmp_path: Path) -> None:
    inside = tmp_path / "docs"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (inside / "a.txt").write_bytes(b"a")
    (inside / "sub" / "b.txt").write_bytes(b"\xff")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    contents = FolderContents(inside)
    assert contents.read("a.txt") == b"a"
    assert [contents.read(n) for n in ("link.txt", "../secret.txt", "sub", "none", "a\x00", "x" * 5000)] == [
        None
    ] * 6
    texts = Measured(contents)
    assert texts.get("none") is None
    for _ in range(2):
        with pytest.raises(InvalidText):
            texts.get("sub/b.txt")


def test_a_snapshot_is_read_with_its_kind_and_categories() -> None:
    rows = [LabeledDocument(document="a", spans=(Span(0, 9, "X"),)), LabeledDocument(document="b")]
    taken = snapshot.encode(rows, kind=NER, project_key="k", categories=("X", "Y"))
    bare = reader(source(taken.content), Format.SNAPSHOT, ReadOptions())
    assert (bare.kind, bare.categories, list(bare.rows())) == (NER, ("X", "Y"), rows)
    texts = Measured(MappingContents({"a": b"short", "b": b""}))
    held = list(reader(source(taken.content), Format.SNAPSHOT, ReadOptions(texts=texts)).rows())
    assert [getattr(r, "code", "read") for r in held] == ["span_out_of_range", "read"]
