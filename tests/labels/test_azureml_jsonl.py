import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import Documents, LabeledDocument, Quarantined, Span, gather
from labelbridge.labels.azureml_jsonl import documents_named, read, unit_written, write
from labelbridge.labels.paths import UrlStyle
from labelbridge.model import OffsetUnit, ProjectKind
from tests.labels.strategies import CATEGORIES, Case, cases

NER, SINGLE, MULTI = ProjectKind.ENTITIES, ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL
U16, POINT, AUTO = OffsetUnit.UTF16, OffsetUnit.CODEPOINT, OffsetUnit.AUTO


def line(label: Any, document: str = "a.txt", **more: Any) -> bytes:
    return json.dumps({"image_url": f"AmlDatastore://store/{document}", "label": label, **more}).encode()


def span(start: int, end: int, label: str = "X") -> dict[str, Any]:
    return {"label": label, "offsetStart": start, "offsetEnd": end}


def results(
    *lines: bytes,
    kind: ProjectKind = NER,
    unit: OffsetUnit = U16,
    texts: dict[str, bytes] | None = None,
    categories: tuple[str, ...] | None = None,
    for_language: bool = True,
) -> list[LabeledDocument | Quarantined]:
    contents = {"a.txt": b"0123456789", "b.txt": b"b"} if texts is None else texts
    return list(
        read(
            lines,
            kind=kind,
            unit=unit,
            texts=Documents(contents),
            categories=categories,
            datastore="store",
            source="labels.jsonl",
            for_language=for_language,
        )
    )


def code(*lines: bytes, **options: Any) -> str:
    """The code of the only line's quarantine, or `read`."""
    (result,) = results(*lines, **options)
    return result.code if isinstance(result, Quarantined) else "read"


@given(cases(), st.sampled_from([U16, POINT]), st.sampled_from(["AmlDatastore", "azureml"]))
def test_what_is_written_is_read_back_exactly(case: Case, unit: OffsetUnit, style: UrlStyle) -> None:
    written = write(case.rows, kind=case.kind, unit=unit, texts=case.texts, datastore="store", style=style)
    back = read(
        written,
        kind=case.kind,
        unit=unit,
        texts=case.texts,
        categories=CATEGORIES,
        datastore="store",
        source="x",
    )
    assert tuple(back) == case.rows


@given(cases(NER))
def test_both_units_mean_the_same_text(case: Case) -> None:
    read_in_points = [
        json.loads(row) for row in write(case.rows, kind=NER, unit=POINT, texts=case.texts, datastore="store")
    ]
    for found, row in zip(read_in_points, case.rows, strict=True):
        body = case.contents[row.document]
        units = body.encode("utf-16-le")
        expected = [units[2 * s.start : 2 * s.end].decode("utf-16-le") for s in row.spans]
        assert [body[s["offsetStart"] : s["offsetEnd"]] for s in found["label"]] == expected


@given(cases(NER), st.sampled_from([U16, POINT]))
def test_auto_never_shifts_a_label(case: Case, unit: OffsetUnit) -> None:
    written = list(write(case.rows, kind=NER, unit=unit, texts=case.texts, datastore="store"))
    found = read(
        written,
        kind=NER,
        unit=AUTO,
        texts=case.texts,
        categories=None,
        datastore=None,
        source="x",
        for_language=False,
    )
    for result, row in zip(found, case.rows, strict=True):
        if isinstance(result, Quarantined):
            assert result.code == "ambiguous_offset_unit"
            assert any(c > "\uffff" for c in case.contents[row.document])
        else:
            assert result == row


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 1, Span(0, 1, "X")),  # before the emoji both readings agree
        (0, 2, Span(0, 3, "X")),  # unit 2 is inside the emoji: only code points are left
        (2, 4, Span(3, 2, "X")),
        (3, 4, "ambiguous_offset_unit"),
        (9, 10, Span(9, 1, "X")),  # there is no code point 10: only UTF-16 is left
        (2, 10, "span_splits_pair"),
        (0, 11, "span_out_of_range"),
        (4, 4, "empty_span"),
    ],
)
def test_auto_decides_only_where_one_reading_is_valid(start: int, end: int, expected: Any) -> None:
    # 9 code points, 10 units; the emoji is point 1, units 1 and 2.
    (found,) = results(line([span(start, end)]), unit=AUTO, texts={"a.txt": "a😀bcdefgh".encode()})
    assert (found.code if isinstance(found, Quarantined) else found.spans[0]) == expected


def test_spans_that_start_together_overlap_or_repeat_all_survive() -> None:
    found = [span(0, 5, "A"), span(0, 3, "B"), span(2, 9, "A"), span(0, 5, "A"), span(0, 5, "B")]
    (row,) = results(line(found))
    assert isinstance(row, LabeledDocument)
    assert row.spans == (Span(0, 5, "A"), Span(0, 3, "B"), Span(2, 7, "A"), Span(0, 5, "A"), Span(0, 5, "B"))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{", "broken_json"),
        (b'{"image_url": "AmlDatastore://store/a.txt", "label": NaN}', "broken_json"),
        (b'{"image_url": "AmlDatastore://store/a.txt", "label": "\\ud83d"}', "broken_json"),
        (b'{"image_url": "AmlDatastore://store/a.txt", "label": "\xff"}', "invalid_utf8"),
        (b'{"image_url": "AmlDatastore://store/a.txt", "label": ' + b"[" * 100_000, "nested_too_deep"),
        (b"[" * 100_000, "nested_too_deep"),
        (b" " * (17 << 20) + b"{}", "line_too_long"),
        (b"[]", "row_shape"),
        (b"null", "row_shape"),
        (b'{"label": []}', "row_shape"),
        (b'{"image_url": "AmlDatastore://store/a.txt"}', "row_shape"),
        (line("Class"), "row_shape"),
        (line(None), "row_shape"),
        (line([{"label": "X", "offsetStart": "1", "offsetEnd": 2}]), "row_shape"),
        (line([{"label": "X", "offsetStart": True, "offsetEnd": 2}]), "row_shape"),
        (line([span(0, 0)]), "empty_span"),
        (line([span(0, 11)]), "span_out_of_range"),
        (line([span(-1, 3)]), "span_out_of_range"),
        (line([span(5, 3)]), "span_out_of_range"),
        (line([span(0, 10**30)]), "span_out_of_range"),
        (line([span(0, 3, "a/b")]), "forbidden_category"),
        (line([span(0, 3, "")]), "forbidden_category"),
        (line([span(0, 3, "x" * 51)]), "forbidden_category"),
        (line([], "missing.txt"), "document_missing"),
        (line([], "../a.txt"), "path_outside_datastore"),
    ],
)
def test_a_bad_row_is_put_aside_with_its_code(raw: bytes, expected: str) -> None:
    (bad, good) = results(raw, line([span(0, 1)]))
    assert isinstance(bad, Quarantined)
    assert (bad.code, bad.line, bad.source) == (expected, 1, "labels.jsonl")
    assert bad.reason
    assert isinstance(good, LabeledDocument)


def test_a_quarantined_row_says_its_document_and_keeps_the_row_as_it_was() -> None:
    raw = line([span(0, 11)])
    (bad,) = results(raw)
    assert isinstance(bad, Quarantined)
    assert (bad.document, bad.raw) == ("a.txt", raw.decode())


def test_a_span_in_half_an_emoji_is_put_aside() -> None:
    assert code(line([span(1, 3)]), texts={"a.txt": "😀bc".encode()}) == "span_splits_pair"


def test_rows_of_a_document_that_is_not_utf8_are_put_aside() -> None:
    assert code(line([]), texts={"a.txt": b"\xff"}) == "invalid_utf8"


def test_what_language_would_refuse_is_put_aside_only_for_language() -> None:
    texts = {"a.txt": b"x" * 128_001}
    assert code(line([span(0, 3)]), texts=texts) == "document_too_long"
    assert code(line([span(0, 501, "a/b")]), texts=texts, for_language=False) == "read"
    assert code(line([span(0, 501)]), texts={"a.txt": b"x" * 600}) == "span_too_long"
    assert code(line([span(0, 500)]), texts={"a.txt": b"x" * 600}) == "read"


def test_a_category_that_the_project_does_not_have_is_put_aside() -> None:
    assert code(line([span(0, 3, "New")]), categories=("Old",)) == "unknown_category"
    assert code(line([span(0, 3, "a/b")]), categories=("a/b",)) == "read"


def test_the_second_row_of_a_document_is_put_aside_and_names_the_first() -> None:
    first, second, third = results(line([span(0, 1)]), line([span(0, 2)]), line([], "b.txt"))
    assert isinstance(first, LabeledDocument)
    assert isinstance(second, Quarantined)
    assert (second.code, second.document, second.line) == ("duplicate_document", "a.txt", 2)
    assert "line 1" in second.reason
    assert isinstance(third, LabeledDocument)


def test_blank_lines_line_ends_and_a_bom_are_no_rows() -> None:
    found = results(
        b"\xef\xbb\xbf" + line([]) + b"\r\n", b"\n", b"", b"  \t", b"\xef\xbb\xbf" + line([], "b.txt") + b"\n"
    )
    assert [row.document for row in found] == ["a.txt", "b.txt"]
    assert all(isinstance(row, LabeledDocument) for row in found)


@pytest.mark.parametrize("confidence", [1.0, [1.0], [], None, "?"])
def test_confidence_is_not_looked_at(confidence: Any) -> None:
    assert code(line([span(0, 1)], label_confidence=confidence)) == "read"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("A", ("A",)),
        (["A"], ("A",)),
        ("A,B", ("A,B",)),
        (["A", "B"], "too_many_labels"),
        ([], "missing_label"),
        ("", "missing_label"),
    ],
)
def test_a_single_label_row_has_exactly_one_class(label: Any, expected: Any) -> None:
    (found,) = results(line(label), kind=SINGLE)
    assert (found.code if isinstance(found, Quarantined) else found.classes) == expected


@pytest.mark.parametrize(
    ("label", "categories", "expected"),
    [
        (["A", "B"], None, ("A", "B")),
        ([], None, ()),
        ("", ("A",), ()),
        ("A,B", None, ("A", "B")),
        ("A,B", ("A", "B"), ("A", "B")),
        ("A,B", ("A,B", "C"), ("A,B",)),
        ("C,A,B,C", ("A,B", "C"), ("C", "A,B", "C")),
        ("A,B", ("A,B", "A", "B"), "ambiguous_classes"),
        ("A,D", ("A,B", "A", "B"), "unknown_category"),
        ("A,D", ("A", "B"), "unknown_category"),
        (["A,B"], ("A,B", "A", "B"), ("A,B",)),
    ],
)
def test_comma_joined_classes_are_cut_only_where_there_is_one_way(
    label: Any, categories: Any, expected: Any
) -> None:
    (found,) = results(line(label), kind=MULTI, categories=categories)
    assert (found.code if isinstance(found, Quarantined) else found.classes) == expected


def test_a_percent_sign_is_decoded_only_if_the_documents_say_so() -> None:
    def found(document: str, *there: str) -> tuple[str, str | None]:
        (row,) = results(line([], document), texts=dict.fromkeys(there, b""))
        return (row.code if isinstance(row, Quarantined) else "read"), row.document

    assert found("a%20b.txt", "a b.txt") == ("read", "a b.txt")
    assert found("a%20b.txt", "a%20b.txt") == ("read", "a%20b.txt")
    assert found("a%20b.txt", "a%20b.txt", "a b.txt")[0] == "ambiguous_path"
    assert found("a%20b.txt") == ("document_missing", "a%20b.txt")
    assert found("100%.txt", "100%.txt") == ("read", "100%.txt")
    assert found("%e2%82.txt", "%e2%82.txt") == ("read", "%e2%82.txt")
    assert found("%2e%2e/a.txt", "../a.txt")[0] == "path_outside_datastore"


def test_the_documents_that_a_file_needs_are_known_before_their_texts() -> None:
    lines = [line([]), b"{", line([], "Test%201.txt"), line([], "../x"), line("whatever", "Test 2.txt")]
    assert list(documents_named(lines)) == ["a.txt", "Test%201.txt", "Test 1.txt", "Test 2.txt"]


def test_classes_can_be_read_without_any_text_but_spans_cannot() -> None:
    options: dict[str, Any] = {
        "unit": U16,
        "texts": None,
        "categories": None,
        "datastore": None,
        "source": "x",
    }
    rows, aside = gather(read([line("A")], kind=SINGLE, **options))
    assert rows == {"a.txt": LabeledDocument(document="a.txt", classes=("A",))}
    assert not aside
    with pytest.raises(ValueError, match="texts"):
        list(read([line([])], kind=NER, **options))


def test_a_row_that_does_not_fit_its_text_is_never_written_nor_left_out() -> None:
    texts = Documents({"a.txt": "😀".encode()})
    for bad in (
        LabeledDocument(document="a.txt", spans=(Span(1, 1, "X"),)),
        LabeledDocument(document="a.txt", spans=(Span(0, 3, "X"),)),
        LabeledDocument(document="b.txt", spans=(Span(0, 1, "X"),)),
        LabeledDocument(document="a.txt", classes=("X",)),
    ):
        with pytest.raises(LabelbridgeError) as caught:
            list(write([bad], kind=NER, unit=POINT, texts=texts, datastore="store"))
        assert caught.value.code == "labels_quarantined"
        assert bad.document in caught.value.message
    with pytest.raises(LabelbridgeError):
        list(write([LabeledDocument(document="a.txt")], kind=SINGLE, unit=U16, texts=None, datastore="store"))
    with pytest.raises(ValueError, match="texts"):
        list(write([], kind=NER, unit=POINT, texts=None, datastore="store"))


def test_auto_is_written_as_utf16_with_full_confidence() -> None:
    assert unit_written(AUTO) is U16
    assert unit_written(POINT) is POINT
    row = LabeledDocument(document="a.txt", spans=(Span(2, 1, "X"),))
    (found,) = write(
        [row], kind=NER, unit=AUTO, texts=Documents({"a.txt": "😀b".encode()}), datastore="store"
    )
    assert json.loads(found) == json.loads(line([span(2, 3)], label_confidence=[1.0]))
    assert found.endswith(b"\n")
