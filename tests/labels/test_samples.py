"""The published sample projects and the shapes of the published formats, there and back."""

import json
import os
from pathlib import Path

import pytest

from labelbridge.labels import (
    Documents,
    LabeledDocument,
    LanguageProjectFile,
    Quarantined,
    Span,
    gather,
    quarantine_lines,
    same_labels,
    snapshot,
)
from labelbridge.labels.azureml_jsonl import documents_named, read, write
from labelbridge.labels.checks import checked
from labelbridge.labels.contents import MappingContents
from labelbridge.labels.lines import split
from labelbridge.labels.loss import Losses
from labelbridge.labels.training import write_conll
from labelbridge.model import OffsetUnit, ProjectKind

SHARED = Path(os.environ.get("LABELBRIDGE_SHARED") or Path(__file__).parents[3] / "shared")
pytestmark = pytest.mark.skipif(
    not (SHARED / "data").is_dir(), reason="the shared samples are not here (LABELBRIDGE_SHARED)"
)
NER, SINGLE, MULTI = ProjectKind.ENTITIES, ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL


def folder(name: str) -> tuple[LanguageProjectFile, bytes, Documents]:
    where = SHARED / "data" / name
    (labels,) = where.glob("*.json")
    texts = Documents({path.name: path.read_bytes() for path in where.glob("*.txt")})
    data = labels.read_bytes()
    return LanguageProjectFile.parse(data, labels.name), data, texts


@pytest.mark.parametrize(
    ("name", "documents", "labels"), [("loan-agreements", 20, 240), ("web-of-science", 210, 210)]
)
@pytest.mark.parametrize("unit", OffsetUnit)
def test_a_sample_project_survives_every_hop(
    name: str, documents: int, labels: int, unit: OffsetUnit
) -> None:
    file, data, texts = folder(name)
    rows, aside = gather(
        checked(file.rows(), kind=file.kind, texts=texts, categories=file.categories, source="x")
    )
    assert not aside
    taken = snapshot.encode(rows.values(), kind=file.kind, project_key="k", categories=file.categories)
    assert (taken.documents, taken.labels) == (documents, labels)

    kept = snapshot.decode(taken.content)
    jsonl = b"".join(write(kept.rows(), kind=file.kind, unit=unit, texts=texts, datastore="ds"))
    assert set(documents_named(split([jsonl]))) == set(rows)
    back, aside = gather(
        read(
            split([jsonl]),
            kind=file.kind,
            unit=unit,
            texts=texts,
            categories=file.categories,
            datastore="ds",
            source="y",
        )
    )
    assert not aside
    assert same_labels(back.values(), rows.values()) == []
    carried = [LabeledDocument(document=d, spans=r.spans, classes=r.classes) for d, r in back.items()]
    again = LanguageProjectFile.parse(file.with_labels(carried, texts=texts, settings={}), "z")
    whole, aside = gather(again.rows())
    assert not aside
    last = snapshot.encode(whole.values(), kind=file.kind, project_key="k", categories=again.categories)
    assert last.content == taken.content

    # In the file's own order the file itself comes back, field for field.
    same = json.loads(file.with_labels(list(rows.values()), texts=texts, settings={}))
    assert same == json.loads(data)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("language-labels-custom-ner.json", NER, [2, 0]),
        ("language-labels-single-class.json", SINGLE, [1, 1]),
        ("language-labels-multi-class.json", MULTI, [2, 0]),
    ],
)
def test_the_published_project_file_shapes_are_read(
    name: str, kind: ProjectKind, expected: list[int]
) -> None:
    file = LanguageProjectFile.parse((SHARED / "azure/specs/formats" / name).read_bytes(), name)
    assert file.kind is kind
    assert len(file.categories) == 2
    rows, aside = gather(file.rows())
    assert not aside
    assert [len(r.spans) + len(r.classes) for r in rows.values()] == expected
    assert [r.dataset for r in rows.values()] == ["Train", "Test"]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("aml-text-ner.jsonl", NER, [2, 0]),
        ("aml-text-multiclass.jsonl", SINGLE, [1, 1]),
        ("aml-text-multilabel.jsonl", MULTI, [2, 0]),
        ("aml-text-mlassist-multilabel-predictions.jsonl", MULTI, [2]),
    ],
)
def test_the_published_labeling_rows_are_read_and_written_alike(
    name: str, kind: ProjectKind, expected: list[int]
) -> None:
    lines = (SHARED / "azure/specs/formats" / name).read_bytes().splitlines()
    store = "textstore"
    texts = Documents(dict.fromkeys(documents_named(lines), b"x" * 60))
    found = list(
        read(
            lines,
            kind=kind,
            unit=OffsetUnit.AUTO,
            texts=texts,
            categories=None,
            datastore=store,
            source=name,
        )
    )
    rows, aside = gather(found)
    assert not aside
    assert [len(r.spans) + len(r.classes) for r in rows.values()] == expected
    if "mlassist" not in name:
        written = write(rows.values(), kind=kind, unit=OffsetUnit.UTF16, texts=texts, datastore=store)
        assert [json.loads(w) for w in written] == [json.loads(line) for line in lines]


def test_conll_is_written_as_automl_publishes_it() -> None:
    rows = [
        LabeledDocument(document="a", spans=(Span(0, 8, "PER"), Span(18, 4, "LOC"))),
        LabeledDocument(document="b"),
    ]
    texts = MappingContents({"a": b"Jane Doe lives in Oslo", "b": b"Next doc"})
    written = b"".join(write_conll(rows, contents=texts, losses=Losses("conll-pairs"), columns=2))
    published = (SHARED / "azure/specs/formats/aml-ner.conll").read_bytes()
    assert written.rstrip(b"\n") == published.rstrip(b"\n")


def test_a_wrong_text_puts_rows_aside_and_loses_none() -> None:
    file, _, _ = folder("loan-agreements")
    texts = Documents(dict.fromkeys((f"{n:02}.txt" for n in range(1, 11)), b"short"))
    found = list(checked(file.rows(), kind=NER, texts=texts, categories=None, source="x"))
    assert len(found) == 20
    aside = [row for row in found if isinstance(row, Quarantined)]
    assert {q.code for q in aside} == {"span_out_of_range", "document_missing"}
    for line, row in zip(quarantine_lines(aside), aside, strict=True):
        assert json.loads(line)["document"] == row.document
        assert json.loads(json.loads(line)["raw"])["document"] == row.document
