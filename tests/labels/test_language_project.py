import json
from typing import Any

import pytest
from hypothesis import given

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import Documents, LabeledDocument, LanguageProjectFile, Quarantined, Span, gather
from labelbridge.labels.checks import checked
from labelbridge.model import ProjectKind
from tests.labels.strategies import CATEGORIES, Case, cases, utf16

NER, SINGLE, MULTI = ProjectKind.ENTITIES, ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL


def project(kind: ProjectKind, *documents: Any, **changes: Any) -> dict[str, Any]:
    categories = [{"category": "A", "description": "first"}, {"category": "B"}]
    return {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {
            "projectKind": kind.value,
            "projectName": "p",
            "language": "en-us",
            "settings": {"x": 1},
        },
        "assets": {
            "projectKind": kind.value,
            "entities" if kind is NER else "classes": categories,
            "documents": list(documents),
        },
    } | changes


def entity_document(name: str, *labels: tuple[str, int, int], **more: Any) -> dict[str, Any]:
    found = [{"category": c, "offset": o, "length": n} for c, o, n in labels]
    return {"location": name, "entities": [{"regionOffset": 0, "regionLength": 9, "labels": found}]} | more


def parse(value: Any) -> LanguageProjectFile:
    return LanguageProjectFile.parse(json.dumps(value).encode(), "project.json")


def codes(value: Any) -> list[str]:
    return [row.code if isinstance(row, Quarantined) else "read" for row in parse(value).rows()]


@given(cases(language_fields=True))
def test_what_is_written_is_read_back_exactly(case: Case) -> None:
    empty = LanguageProjectFile.new(
        name="p", kind=case.kind, container="c", language="fr", description="", categories=CATEGORIES[:2]
    )
    data = empty.with_labels(case.rows, texts=case.texts, settings={"isLabelingLocked": True})
    back = LanguageProjectFile.parse(data, "p.json")
    assert tuple(back.rows()) == case.rows
    assert back.kind is case.kind
    assert back.metadata["settings"] == {"isLabelingLocked": True}
    used = {c for row in case.rows for c in (*row.classes, *(s.category for s in row.spans))}
    assert back.categories[:2] == CATEGORIES[:2]
    assert set(back.categories) == used | set(CATEGORIES[:2])
    for found in json.loads(data)["assets"]["documents"]:
        for region in found.get("entities", ()):
            assert region["regionOffset"] == 0
            assert region["regionLength"] == utf16(case.contents[found["location"]])
    assert back.with_labels(case.rows, texts=case.texts, settings={"isLabelingLocked": True}) == data


def test_fields_that_this_version_does_not_know_survive_byte_for_byte() -> None:
    old = project(
        NER,
        entity_document("a.txt", ("A", 0, 2), ("B", 3, 1), note=[1, {"x": None}]),
        entity_document("gone.txt", ("A", 0, 2)),
        {"location": "unlabelled.txt", "dataset": "Test", "note": "kept"},
        top={"n": 1},
    )
    old["metadata"]["tag"] = "m"
    old["assets"]["extra"] = "big number here"
    region = old["assets"]["documents"][0]["entities"][0]
    region["regionNote"] = "r"
    region["labels"][0]["by"] = "ann"
    data = json.dumps(old).encode().replace(b'"big number here"', b"[1.10, 1e999]")

    rows = [LabeledDocument(document="a.txt", spans=(Span(0, 2, "A"), Span(5, 1, "C")), dataset="Train")]
    texts = Documents({"a.txt": "123456😀".encode()})
    written = LanguageProjectFile.parse(data, "x").with_labels(
        rows, texts=texts, settings={}, categories=("D",)
    )

    assert b'"extra":[1.10, 1e999]' in written
    new = json.loads(written)
    assert new["top"] == {"n": 1}
    assert new["metadata"] == old["metadata"] | {"settings": {}}
    assert new["assets"]["entities"] == [
        {"category": "A", "description": "first"},
        {"category": "B"},
        {"category": "D"},
        {"category": "C"},
    ]
    assert new["assets"]["documents"] == [
        {
            "location": "a.txt",
            "entities": [
                {
                    "regionOffset": 0,
                    "regionLength": 8,
                    "labels": [
                        {"category": "A", "offset": 0, "length": 2, "by": "ann"},
                        {"category": "C", "offset": 5, "length": 1},
                    ],
                    "regionNote": "r",
                }
            ],
            "note": [1, {"x": None}],
            "language": "en-us",
            "dataset": "Train",
        },
        {"location": "unlabelled.txt", "dataset": "Test", "note": "kept"},
    ]


def test_dataset_and_language_stay_where_the_row_says_none() -> None:
    old = project(
        MULTI,
        {"location": "a.txt", "language": "de", "dataset": "Test", "classes": [{"category": "A", "x": 1}]},
    )
    rows = [
        LabeledDocument(document="a.txt", classes=("B", "A")),
        LabeledDocument(document="b.txt", classes=("A",)),
    ]
    written = parse(old).with_labels(rows, texts=Documents({"a.txt": b"", "b.txt": b""}), settings={})
    assert json.loads(written)["assets"]["documents"] == [
        {
            "location": "a.txt",
            "language": "de",
            "dataset": "Test",
            "classes": [{"category": "B"}, {"category": "A", "x": 1}],
        },
        {"location": "b.txt", "language": "en-us", "classes": [{"category": "A"}]},
    ]


def test_a_class_that_stays_keeps_its_other_fields() -> None:
    old = project(
        SINGLE,
        {"location": "a.txt", "class": {"category": "A", "x": 1}},
        {"location": "b.txt", "class": None},
    )
    rows = [
        LabeledDocument(document="a.txt", classes=("A",)),
        LabeledDocument(document="b.txt", classes=("B",)),
    ]
    written = parse(old).with_labels(rows, texts=Documents({"a.txt": b"", "b.txt": b""}), settings={})
    assert [d["class"] for d in json.loads(written)["assets"]["documents"]] == [
        {"category": "A", "x": 1},
        {"category": "B"},
    ]


@pytest.mark.parametrize("kind", ProjectKind)
def test_no_labels_is_not_labelled_and_an_empty_list_is_labelled_with_nothing(kind: ProjectKind) -> None:
    field = {NER: "entities", SINGLE: "class", MULTI: "classes"}[kind]
    empty: list[dict[str, Any]] = (
        [] if kind is SINGLE else [{"location": "b.txt", field: []}, {"location": "c.txt", field: []}]
    )
    if kind is NER:
        empty[1][field] = [{"regionOffset": 0, "regionLength": 4, "labels": []}]
    rows = list(
        parse(project(kind, {"location": "a.txt"}, {"location": "d.txt", field: None}, *empty)).rows()
    )
    assert rows == [LabeledDocument(document=d["location"]) for d in empty]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (entity_document("a.txt", ("A", 0, 1)), "read"),
        (entity_document("a.txt", ("A", 0, 0)), "empty_span"),
        (entity_document("a.txt", ("A", -1, 2)), "span_out_of_range"),
        (entity_document("a.txt", ("A", 0, -2)), "span_out_of_range"),
        (entity_document("a.txt", ("C", 0, 1)), "unknown_category"),
        (entity_document("../a.txt", ("A", 0, 1)), "path_outside_datastore"),
        (entity_document("a.txt", ("\ud83d", 0, 1)), "broken_json"),
        (entity_document("a.txt", ("A", 0, 1), x=float("nan")), "broken_json"),
        (entity_document("a.txt", ("A", 0.5, 1)), "row_shape"),  # type: ignore[arg-type]
        ({"location": "a.txt", "entities": {}}, "row_shape"),
        ({"entities": []}, "row_shape"),
        ("a.txt", "row_shape"),
        (None, "row_shape"),
    ],
)
def test_a_bad_entry_is_put_aside_with_its_code_and_the_rest_is_read(document: Any, expected: str) -> None:
    assert codes(project(NER, document, entity_document("b.txt", ("B", 0, 1)))) == [expected, "read"]


def test_an_entry_that_is_not_utf8_is_put_aside_and_the_rest_is_read() -> None:
    data = json.dumps(
        project(
            SINGLE,
            {"location": "?", "class": {"category": "A"}},
            {"location": "b", "class": {"category": "A"}},
        )
    )
    found = list(LanguageProjectFile.parse(data.encode().replace(b"?", b"\xff"), "x").rows())
    assert [isinstance(row, Quarantined) for row in found] == [True, False]


def test_an_unknown_field_that_is_not_utf8_puts_its_entry_aside() -> None:
    data = json.dumps(project(NER, entity_document("a", ("A", 0, 1), x="?"), entity_document("b")))
    found = list(LanguageProjectFile.parse(data.encode().replace(b"?", b"\xff"), "x").rows())
    assert [getattr(row, "code", "read") for row in found] == ["invalid_utf8", "read"]


def test_an_unknown_field_that_is_no_text_does_not_stop_its_row_from_being_written() -> None:
    file = parse(project(NER, entity_document("a", ("A", 0, 1)), entity_document("b", **{"\ud83d": 1})))
    written = file.with_labels([LabeledDocument(document="b")], texts=Documents({"b": b"text"}), settings={})
    (document,) = json.loads(written)["assets"]["documents"]
    assert document["entities"] == [{"regionOffset": 0, "regionLength": 4, "labels": []}]


def test_labels_in_a_region_that_does_not_start_at_0_are_put_aside() -> None:
    later = {"regionOffset": 5, "regionLength": 2, "labels": [{"category": "A", "offset": 0, "length": 1}]}
    assert codes(project(NER, {"location": "a.txt", "entities": [later]})) == ["ambiguous_region"]
    assert codes(project(NER, {"location": "a.txt", "entities": [later | {"labels": []}]})) == ["read"]


def test_the_second_entry_of_a_document_is_put_aside() -> None:
    assert codes(project(NER, entity_document("a", ("A", 0, 1)), entity_document("a"))) == [
        "read",
        "duplicate_document",
    ]


def test_offsets_that_are_not_utf16_are_put_aside() -> None:
    value = project(
        NER, entity_document("a", ("A", 0, 1)), entity_document("b"), stringIndexType="UnicodeCodePoint"
    )
    assert codes(value) == ["unsupported_string_index", "read"]


def test_a_single_label_document_needs_its_class() -> None:
    assert codes(project(SINGLE, {"location": "a", "class": {"category": "C"}})) == ["unknown_category"]
    assert codes(project(SINGLE, {"location": "a", "class": {}})) == ["row_shape"]


@pytest.mark.parametrize("field", ["metadata", "assets"])
def test_one_project_kind_in_any_case_is_enough_and_both_are_written(field: str) -> None:
    value = project(MULTI)
    other = "assets" if field == "metadata" else "metadata"
    del value[field]["projectKind"]
    del value["metadata"]["settings"]
    value[other]["ProjectKIND"] = value[other].pop("projectKind").upper()
    file = parse(value)
    assert file.kind is MULTI
    written = json.loads(file.with_labels([], texts={}, settings={}))
    assert written["assets"]["projectKind"] == written["metadata"]["projectKind"] == MULTI.value
    assert written["metadata"]["settings"] == {}
    assert "ProjectKIND" not in written[other]


def test_a_bom_and_missing_parts_are_tolerated() -> None:
    data = b'\xef\xbb\xbf{"metadata": null, "assets": {"projectKind": "customEntityRecognition", "documents": null}}'
    file = LanguageProjectFile.parse(data, "x")
    assert (file.kind, file.categories, list(file.rows())) == (NER, (), [])
    assert json.loads(file.with_labels([], texts={}, settings={}))["stringIndexType"] == "Utf16CodeUnit"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"x", b"\xff", b"{" * 100_000, b'{"assets": ' * 100_000, b'{"assets": []}',
        b'{"assets": "x"}', b'{"assets": {"documents": {}, "projectKind": "CustomEntityRecognition"}}',
        b'{"metadata": {"projectKind": "CustomHealthcare"}}', b'{"metadata": {"projectKind": 5}}',
        b'{"metadata": {"projectKind": "CustomEntityRecognition", "x": NaN}}',
    ],
)  # fmt: skip
def test_what_is_no_project_file_is_refused(data: bytes) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        LanguageProjectFile.parse(data, "some.json")
    assert caught.value.code == "input_invalid"
    assert "some.json" in caught.value.message


def test_a_row_that_does_not_fit_is_never_written() -> None:
    texts = Documents({"a.txt": "😀".encode(), "b.txt": b"\xff"})
    for bad in (
        LabeledDocument(document="a.txt", spans=(Span(0, 1, "A"),)),
        LabeledDocument(document="b.txt"),
        LabeledDocument(document="c.txt"),
        LabeledDocument(document="a.txt", classes=("A",)),
    ):
        with pytest.raises(LabelbridgeError) as caught:
            parse(project(NER)).with_labels([bad], texts=texts, settings={})
        assert caught.value.code == "labels_quarantined"
    twice = [LabeledDocument(document="a.txt")] * 2
    with pytest.raises(LabelbridgeError, match="two rows"):
        parse(project(NER)).with_labels(twice, texts=texts, settings={})


def test_rows_are_held_against_their_texts_on_demand() -> None:
    value = project(
        NER, entity_document("a", ("A", 0, 2)), entity_document("b", ("A", 1, 2)), entity_document("c"), 5
    )
    texts = Documents({"a": "😀".encode(), "b": "😀x".encode()})
    found = checked(parse(value).rows(), kind=NER, texts=texts, categories=("A",), source="project.json")
    rows, aside = gather(found)
    assert list(rows) == ["a"]
    assert [(q.document, q.code) for q in aside] == [
        ("b", "span_splits_pair"),
        ("c", "document_missing"),
        (None, "row_shape"),
    ]
