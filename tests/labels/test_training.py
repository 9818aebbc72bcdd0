"""Exports for training keep what they can and say what they cannot."""

import itertools
import json
from collections import Counter

import pytest
from hypothesis import given

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, Span
from labelbridge.labels.contents import MappingContents
from labelbridge.labels.loss import Loss, Losses, refuse
from labelbridge.labels.training import flat, write_conll, write_spacy
from labelbridge.model import ProjectKind
from tests.labels.strategies import Case, cases

NER = ProjectKind.ENTITIES


def conll(
    text: str, *spans: Span, columns: int = 2, dataset: str | None = None
) -> tuple[list[str], dict[str, int]]:
    losses = Losses("conll")
    row = LabeledDocument(document="a", spans=spans, dataset=dataset)
    data = b"".join(
        write_conll([row], contents=MappingContents({"a": text.encode()}), losses=losses, columns=columns)
    )
    return data.decode().split("\n"), losses.report().counts


def test_tokens_are_cut_where_spans_are_and_no_span_is_lost() -> None:
    lines, lost = conll("Ana's 😀 pay£5", Span(0, 3, "PER"), Span(6, 2, "ICON"), Span(12, 2, "SUM"))
    assert lines == ["Ana B-PER", "' O", "s O", "😀 B-ICON", "pay O", "£ B-SUM", "5 I-SUM", "", ""]
    assert lost == {}


def test_conll_2003_has_four_columns_documents_and_sentences() -> None:
    lines, _ = conll("One two.\r\nThree\nfour", Span(10, 10, "X"), columns=4)
    assert lines == [
        "-DOCSTART- -X- -X- O", "", "One -X- -X- O", "two -X- -X- O", ". -X- -X- O", "",
        "Three -X- -X- B-X", "four -X- -X- I-X", "", "",
    ]  # fmt: skip


def test_adjacent_spans_stay_apart() -> None:
    assert conll("ab cd", Span(0, 1, "X"), Span(1, 1, "X"), Span(3, 2, "X"))[0][:3] == [
        "a B-X",
        "b B-X",
        "cd B-X",
    ]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([Span(0, 5, "X"), Span(0, 2, "Y")], {"span_overlaps": 1}),
        ([Span(0, 4, "X"), Span(3, 3, "Y")], {"span_overlaps": 1}),
        ([Span(0, 2, "X"), Span(0, 2, "X")], {"span_repeated": 1}),
        ([Span(2, 1, "X")], {"span_without_text": 1}),
        ([Span(0, 3, "X")], {"span_trimmed": 1}),
        ([Span(0, 2, "two words")], {"category_renamed": 1}),
    ],
)
def test_what_is_lost_is_counted_by_reason(spans: list[Span], expected: dict[str, int]) -> None:
    assert conll("ab cdef", *spans)[1] == expected


def test_a_train_test_assignment_is_a_loss_in_conll() -> None:
    assert conll("ab", dataset="Test")[1] == {"split_dropped": 1}


@given(cases(NER))
def test_what_stays_is_disjoint_and_everything_else_is_counted(case: Case) -> None:
    for row in case.rows:
        lost: Counter[Loss] = Counter()
        text = case.contents[row.document]
        kept = flat(row, text, lost)
        assert len(kept) + lost[Loss.OVERLAP] + lost[Loss.DUPLICATE] + lost[Loss.BLANK] == len(row.spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(kept))
        assert all(text[s:e] == text[s:e].strip() != "" for s, e, _ in kept)
        lines, _ = conll(text, *row.spans)
        assert sum(" B-" in line for line in lines) == len(kept)
        assert "".join(line.rsplit(" ", 1)[0] for line in lines) == "".join(text.split())


@given(cases(NER))
def test_spacy_gets_code_points_that_cut_the_same_text(case: Case) -> None:
    losses = Losses("spacy")
    contents = MappingContents({name: text.encode() for name, text in case.contents.items()})
    written = write_spacy(case.rows, kind=NER, categories=(), contents=contents, losses=losses)
    for line, row in zip(written, case.rows, strict=True):
        found = json.loads(line)
        units = case.contents[row.document].encode("utf-16-le")
        labelled = {
            (units[2 * s.start : 2 * s.end].decode("utf-16-le").strip(), s.category) for s in row.spans
        }
        assert found["text"] == case.contents[row.document]
        assert {(found["text"][s:e], c) for s, e, c in found["entities"]} <= labelled
        assert found["meta"] == {"document": row.document}


def test_spacy_gets_every_class_as_yes_or_no() -> None:
    rows = [LabeledDocument(document="a", classes=("X",), dataset="Train"), LabeledDocument(document="a")]
    contents = MappingContents({"a": b"text"})
    written = write_spacy(
        rows, kind=ProjectKind.MULTI_LABEL, categories=("X", "Y"), contents=contents, losses=Losses("spacy")
    )
    first, second = map(json.loads, written)
    assert first["cats"] == {"X": 1.0, "Y": 0.0}
    assert second["cats"] == {"X": 0.0, "Y": 0.0}
    assert first["meta"] == {"document": "a", "dataset": "Train"}


def test_a_report_counts_documents_and_names_the_reasons() -> None:
    losses = Losses("conll")
    losses.note("a", Counter({Loss.OVERLAP: 2, Loss.TRIMMED: 1}))
    losses.note("b", Counter())
    report = losses.report()
    assert (report.documents, report.counts) == (1, {"span_overlaps": 2, "span_trimmed": 1})
    with pytest.raises(LabelbridgeError, match="span_overlaps 2") as caught:
        refuse(report)
    assert caught.value.code == "lossy_export"
    refuse(Losses("conll").report())


def test_a_document_that_is_missing_or_not_utf8_is_refused_not_left_out() -> None:
    for contents in ({}, {"a": b"\xff"}):
        rows = [LabeledDocument(document="a")]
        with pytest.raises(LabelbridgeError) as caught:
            list(write_conll(rows, contents=MappingContents(contents), losses=Losses("conll")))
        assert caught.value.code == "labels_quarantined"
