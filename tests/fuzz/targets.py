"""Fuzz targets: one for each reader. Whatever comes in, only typed errors come out."""

import io
from collections.abc import Callable

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import Documents, LabeledDocument, LanguageProjectFile, Quarantined, mltable, snapshot
from labelbridge.labels import lines as line_reader
from labelbridge.labels._azureml_blocks import BlockReader
from labelbridge.labels.azureml_jsonl import documents_named, read, write
from labelbridge.labels.categories import CategoriesMap
from labelbridge.labels.class_table import read as read_table
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.formats import Source, detect
from labelbridge.labels.paths import candidates
from labelbridge.labels.vote import tally
from labelbridge.model import OffsetUnit, ProjectKind

Target = Callable[[bytes], None]
TEXTS = Documents({"a.txt": "ab😀\r\nc".encode(), "b": b"\xff", "c.txt": b"0123456789"})
KINDS, UNITS = tuple(ProjectKind), tuple(OffsetUnit)


def expect(error: LabelbridgeError, code: str) -> None:
    """Any other code is a finding."""
    assert error.code == code


def azureml(data: bytes) -> None:
    """Rows of Azure ML: line by line and in blocks alike, each line once, and what is read can be written."""
    if not data:
        return
    kind, unit = KINDS[data[0] % 3], UNITS[data[0] // 3 % 3]
    lines = data[1:].split(b"\n")
    found = list(
        read(lines, kind=kind, unit=unit, texts=TEXTS, categories=None, datastore=None, source="fuzz")
    )
    filled = sum(1 for line in lines if line.removeprefix(b"\xef\xbb\xbf").strip())
    assert len(found) == filled
    reader = BlockReader(kind=kind, unit=unit, texts=TEXTS, categories=None, datastore=None)
    assert list(reader.read_file(io.BytesIO(data[1:]), "fuzz")) == found
    rows = [row for row in found if isinstance(row, LabeledDocument)]
    assert len(list(write(rows, kind=kind, unit=unit, texts=TEXTS, datastore="d"))) == len(rows)
    list(documents_named(lines))
    tally(lines, texts=TEXTS, datastore=None)


def language(data: bytes) -> None:
    """Language's project file: read or refused, and what is read can be written and read again."""
    try:
        file = LanguageProjectFile.parse(data, "fuzz")
    except LabelbridgeError:
        return
    rows = list(file.rows())
    assert all(isinstance(row, LabeledDocument | Quarantined) for row in rows)
    labels = ("A",) if file.kind is ProjectKind.SINGLE_LABEL else ()
    written = file.with_labels([LabeledDocument(document="a.txt", classes=labels)], texts=TEXTS, settings={})
    again = LanguageProjectFile.parse(written, "fuzz")
    assert any(isinstance(row, LabeledDocument) and row.document == "a.txt" for row in again.rows())


def stored(data: bytes) -> None:
    """A snapshot: read or refused; one that is read is written as the same bytes if it was canonical."""
    try:
        found = snapshot.decode(data)
    except LabelbridgeError as error:
        expect(error, "snapshot_unreadable")
        return
    header = found.header
    again = snapshot.encode(
        found.rows(), kind=header.kind, project_key=header.project, categories=header.categories
    )
    assert again.labels == found.labels


def table(data: bytes) -> None:
    """A table of classes: read or refused."""
    for kind in (ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL):
        try:
            list(read_table(line_reader.split([data]), kind=kind, categories=None, source="fuzz"))
        except LabelbridgeError as error:
            expect(error, "input_invalid")


def tables_folder(data: bytes) -> None:
    """An MLTable: its files all are in the folder."""
    names = ["a.jsonl", "b/c.jsonl"]
    try:
        assert set(mltable.members(data, names, "fuzz")) <= set(names)
    except LabelbridgeError as error:
        expect(error, "input_invalid")


def small(data: bytes) -> None:
    """Detection, the categories map, and the address of a document."""
    for attempt in (
        lambda: detect(Source("fuzz", file=io.BytesIO(data))),
        lambda: CategoriesMap.parse(data),
    ):
        try:
            attempt()
        except LabelbridgeError as error:
            expect(error, "input_invalid")
    try:
        names = candidates(data.decode("utf-8", "replace"), None)
    except RejectedRowError:
        return
    assert all(".." not in name.replace("\\", "/").split("/") for name in names)


TARGETS: dict[str, Target] = {
    target.__name__: target for target in (azureml, language, stored, table, tables_folder, small)
}

SEEDS: dict[str, tuple[bytes, ...]] = {
    "azureml": (
        b'\x00{"image_url": "AmlDatastore://s/a.txt", "label": "A,B"}\n{}',
        b'\x02{"image_url": "AmlDatastore://s/a.txt", "label": [{"label": "X", "offsetStart": 0, "offsetEnd": 2}]}',
        b'\x08{"image_url": "AmlDatastore://s/c.txt", "label": ["A"], "label_confidence": [1.0]}',
    ),
    "language": (
        b"""{"metadata": {"language": "en"}, "assets": {"projectKind": "CustomEntityRecognition",
        "entities": [{"category": "A"}], "documents": [{"location": "a.txt", "entities": [{"regionOffset": 0,
        "labels": [{"category": "A", "offset": 0, "length": 1}]}]}, {"location": "b"}, {"location": "c"}]}}""",
        b"""{"assets": {"projectKind": "CustomSingleLabelClassification", "documents": [
        {"location": "a", "class": {"category": "A"}}]}}""",
    ),
    "stored": (
        snapshot.encode(
            [LabeledDocument(document="a", classes=("A",))],
            kind=ProjectKind.MULTI_LABEL, project_key="k", categories=("A",),
        ).content,
    ),
    "table": (b"document,label\na,X\na,Y\n", b'label,document,dataset\r\n"X, Y",a,Train\r\n'),
    "tables_folder": (b"paths: [{file: a.jsonl}]\ntransformations: [read_json_lines]",),
    "small": (b"AmlDatastore://s/a%20b.txt", b'{"A/B": "A or B"}', b"document,label\n"),
}  # fmt: skip
