import hashlib
import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, Span, same_labels
from labelbridge.labels.snapshot import Snapshot, decode, encode
from labelbridge.model import ProjectKind
from tests.labels.strategies import CATEGORIES, Case, cases


def snapshot(*rows: LabeledDocument) -> Snapshot:
    return encode(rows, kind=ProjectKind.ENTITIES, project_key="acc-1.p", categories=("A",))


@given(cases(language_fields=True), st.randoms(use_true_random=False))
def test_the_same_labels_in_any_order_are_the_same_bytes_and_come_back(
    case: Case, chance: random.Random
) -> None:
    made = encode(case.rows, kind=case.kind, project_key="k", categories=CATEGORIES)
    shuffled = [
        msgspec.structs.replace(
            row,
            spans=tuple(chance.sample(row.spans, len(row.spans))),
            classes=tuple(chance.sample(row.classes, len(row.classes))),
        )
        for row in chance.sample(case.rows, len(case.rows))
    ]
    assert encode(shuffled, kind=case.kind, project_key="k", categories=CATEGORIES) == made
    back = decode(made.content, expected_id=made.id)
    assert back == made
    assert back.id == hashlib.sha256(made.content).hexdigest()
    assert back.header.categories == CATEGORIES
    expected = {row.document: row for row in case.rows}
    assert back.by_document().keys() == expected.keys()
    for row in back.rows():
        old = expected[row.document]
        assert sorted(row.spans) == sorted(old.spans)
        assert (row.dataset, row.language) == (old.dataset, old.language)
    assert same_labels(back.rows(), case.rows) == []
    assert back.labels == sum(len(r.spans) + len(r.classes) for r in case.rows) == sum(back.counts.values())
    assert back.documents == len(case.rows)
    assert made.content.split(b"\n")[1:-1] == sorted(
        made.content.split(b"\n")[1:-1], key=lambda line: json.loads(line)["document"].encode()
    )


def test_a_document_labelled_with_nothing_is_not_an_absent_one() -> None:
    empty, absent = snapshot(LabeledDocument(document="a")), snapshot()
    assert empty.id != absent.id
    assert (empty.documents, absent.documents) == (1, 0)
    assert same_labels(empty.rows(), absent.rows()) == ["a"]
    assert same_labels(empty.rows(), absent.rows(), empty_is_absent=True) == []


def test_documents_whose_labels_differ_are_named_whatever_else_differs() -> None:
    a = [LabeledDocument(document=d, spans=(Span(0, 1, "A"),), dataset="Train") for d in "abc"]
    b = [LabeledDocument(document=d, spans=(Span(0, 1, "A"),) * 2, language="de") for d in "bd"]
    assert same_labels(a, b) == ["a", "c", "d"]


def test_two_rows_for_a_document_are_refused() -> None:
    with pytest.raises(LabelbridgeError, match="two rows"):
        snapshot(LabeledDocument(document="a"), LabeledDocument(document="a", dataset="Test"))


def test_a_snapshot_that_was_altered_is_not_read() -> None:
    good = snapshot(LabeledDocument(document="a", spans=(Span(0, 1, "A"),)), LabeledDocument(document="b"))
    header, a, b, _ = good.content.split(b"\n")
    for bad in (
        b"",
        b"\n",
        b"[]\n",
        b"[" * 100_000,
        header,
        good.content[:-1],
        header.replace(b'"schema_version":1', b'"schema_version":2') + b"\n",
        header.replace(b"labelbridge-snapshot", b"something") + b"\n",
        b"\n".join([header, b, a, b""]),
        b"\n".join([header, a, a, b""]),
        b"\n".join([header, b"", a, b""]),
        b"\n".join([header, a.replace(b"spans", b"spams"), b""]),
        good.content.replace(b'"A"]', b'"\xff"]'),
    ):
        with pytest.raises(LabelbridgeError) as caught:
            decode(bad)
        assert caught.value.code == "snapshot_unreadable"
    with pytest.raises(LabelbridgeError) as caught:
        decode(good.content, expected_id="0" * 64)
    assert caught.value.code == "snapshot_unreadable"
