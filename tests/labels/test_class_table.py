import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, Quarantined, lines
from labelbridge.labels.class_table import read, write
from labelbridge.labels.loss import Losses
from labelbridge.model import ProjectKind
from tests.labels.strategies import Case, cases

SINGLE, MULTI = ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL


def found(data: bytes, kind: ProjectKind = MULTI, **more: object) -> list[LabeledDocument | Quarantined]:
    return list(read(lines.split([data]), kind=kind, categories=None, source="x.csv", **more))  # type: ignore[arg-type]


def codes(data: bytes, kind: ProjectKind = MULTI) -> list[str]:
    return [row.code if isinstance(row, Quarantined) else "read" for row in found(data, kind)]


@given(st.sampled_from([SINGLE, MULTI]).flatmap(lambda kind: cases(kind, language_fields=True)))
def test_what_is_written_is_read_back_exactly(case: Case) -> None:
    losses = Losses("csv")
    data = b"".join(write(case.rows, kind=case.kind, losses=losses))
    assert tuple(found(data, case.kind)) == case.rows
    assert losses.report().lossless


def test_rows_of_a_document_are_one_and_a_blank_label_is_labelled_with_nothing() -> None:
    data = b'\xef\xbb\xbflabel,document\r\n"A, B",a.txt\r\nC,a.txt\r\n\r\n,b.txt\r\n'
    assert found(data) == [
        LabeledDocument(document="a.txt", classes=("A, B", "C")),
        LabeledDocument(document="b.txt"),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a,X\nb,X\na,Y\n", ["read", "read", "duplicate_document"]),
        (b"a,X\na,\nb,X\n", ["row_shape", "read"]),
        (b"a\nb,X\n", ["row_shape", "read"]),
        (b'a,"X" y\nb,X\n', ["row_shape", "read"]),
        (b"a,\xff\nb,X\n", ["invalid_utf8", "read"]),
        (b"../a,X\nb,X\n", ["path_outside_datastore", "read"]),
        (b"a,X/Y\nb,X\n", ["forbidden_category", "read"]),
        (b"a," + b"x" * (17 << 20) + b"\nb,X\n", ["line_too_long", "read"]),
        (b"a," + b"x" * 200_000 + b"\nb,X\n", ["row_shape", "read"]),
    ],
)
def test_a_bad_row_is_put_aside_with_its_code(body: bytes, expected: list[str]) -> None:
    assert codes(b"document,label\n" + body) == expected


def test_a_single_label_table_has_one_row_for_each_document() -> None:
    assert codes(b"document,label\na,X\na,Y\nb,\nc,X\n", SINGLE) == [
        "too_many_labels",
        "missing_label",
        "read",
    ]


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"document,label,label\n", b'"document\n'])
def test_a_file_without_the_columns_is_refused(data: bytes) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        found(data)
    assert caught.value.code == "input_invalid"


def test_entities_are_no_classes() -> None:
    with pytest.raises(LabelbridgeError) as caught:
        list(write([], kind=ProjectKind.ENTITIES, losses=Losses("csv")))
    assert caught.value.code == "input_invalid"


@given(st.binary(max_size=60))
def test_any_table_is_read_or_refused(data: bytes) -> None:
    found(b"document,label\n" + data)
