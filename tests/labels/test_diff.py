import json
from collections import Counter
from datetime import UTC, datetime

import msgspec
from hypothesis import given

from labelbridge.labels import LabeledDocument, Span, snapshot
from labelbridge.labels.diff import TABLE_HEADER, Status, diff, table
from labelbridge.labels.manifest import Manifest, manifest_of, ontology_hash
from labelbridge.model import ProjectKind
from tests.labels.strategies import CATEGORIES, Case, cases

NER = ProjectKind.ENTITIES


def rows_of(case: Case) -> list[LabeledDocument]:
    return sorted(case.rows, key=lambda row: row.document)


@given(cases(NER, language_fields=True), cases(NER, language_fields=True))
def test_a_diff_applied_to_the_old_labels_gives_the_new_ones(one: Case, two: Case) -> None:
    before, after = rows_of(one), rows_of(two)
    found = diff(before, after)
    values = {row.document: Counter(row.spans) for row in before}
    for change in found.changes:
        value = values.get(change.document, Counter())
        value = value - Counter(change.spans_removed) + Counter(change.spans_added)
        values[change.document] = value
        if change.status is Status.REMOVED:
            assert not values.pop(change.document)
    assert values == {row.document: Counter(row.spans) for row in after}
    assert found.added - found.removed == len(after) - len(before)
    assert found.labels_added - found.labels_removed == sum(len(r.spans) for r in after) - sum(
        len(r.spans) for r in before
    )
    assert diff(after, after).changes == ()
    assert diff(after, after).same == len(after)


def test_every_label_that_came_or_went_is_a_line_of_the_table() -> None:
    before = [
        LabeledDocument(document="a", spans=(Span(0, 2, "X"), Span(5, 1, "Y")), dataset="Train"),
        LabeledDocument(document="c"),
    ]
    after = [
        LabeledDocument(document="a", spans=(Span(5, 1, "Y"), Span(5, 1, "Y")), dataset="Test"),
        LabeledDocument(document="b", spans=(Span(1, 1, "X"),)),
        LabeledDocument(document="d"),
    ]
    found = diff(before, after)
    assert (found.added, found.removed, found.changed, found.same) == (2, 1, 1, 0)
    assert list(table(found)) == [
        ("a", "changed", "-", "X", "0", "2"),
        ("a", "changed", "+", "Y", "5", "1"),
        ("a", "changed", "dataset", "Train to Test", "", ""),
        ("b", "added", "+", "X", "1", "1"),
        ("c", "removed", "labelled with nothing", "", "", ""),
        ("d", "added", "labelled with nothing", "", "", ""),
    ]
    assert all(len(line) == len(TABLE_HEADER) for line in table(found))
    plain = json.loads(msgspec.json.encode(found))
    assert plain["changes"][1] == {
        "document": "b",
        "status": "added",
        "spans_added": [{"offset": 1, "length": 1, "category": "X"}],
    }


def test_a_manifest_says_what_the_snapshot_is() -> None:
    rows = [LabeledDocument(document="a", spans=(Span(0, 1, "A"), Span(1, 1, "A")))]
    taken = snapshot.encode(rows, kind=NER, project_key="acc.p", categories=CATEGORIES)
    made = manifest_of(
        taken, side="language", epoch=3, taken_at=datetime(2026, 1, 2, tzinfo=UTC),
        quarantined_codes={"broken_json": 2}, source_etags={"export": "0x1"},
    )  # fmt: skip
    assert (made.id, made.sha256, made.project, made.side, made.epoch) == (
        taken.id,
        taken.id,
        "acc.p",
        "language",
        3,
    )
    assert (made.documents, made.labels, made.counts) == (1, 2, {"A": 2})
    assert (made.rows, made.quarantined, made.unit, made.schema_version) == (3, 2, "utf16", 1)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Manifest) == made
    assert made.tool_version
    assert made.ontology == ontology_hash(NER, CATEGORIES[::-1]) != ontology_hash(NER, CATEGORIES[1:])
