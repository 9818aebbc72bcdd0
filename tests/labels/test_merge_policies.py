"""What decides a document that both sides changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, overlay
from labelbridge.labels.merge import Policy, merge
from labelbridge.labels.streams import aligned
from labelbridge.model import ProjectKind

MULTI = ProjectKind.MULTI_LABEL
Side = dict[str, LabeledDocument]
sides = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.sampled_from("XYZ"), unique=True, max_size=3).map(tuple)
).map(lambda d: {k: LabeledDocument(document=k, classes=v) for k, v in d.items()})


def side(**labels: str) -> Side:
    return {d: LabeledDocument(document=d, classes=tuple(c)) for d, c in labels.items()}


@given(sides, sides, sides)
def test_a_union_does_not_care_who_is_first_and_loses_no_class_of_a_conflict(
    base: Side, one: Side, two: Side
) -> None:
    ours = overlay(onto=one, base=base, changed=two, policy=Policy.UNION, kind=MULTI)
    theirs = overlay(onto=two, base=base, changed=one, policy=Policy.UNION, kind=MULTI)
    assert {d: r.labels_key for d, r in ours.rows.items()} == {
        d: r.labels_key for d, r in theirs.rows.items()
    }
    for conflict in ours.details:
        values = [set(row.classes) for row in (conflict.onto, conflict.changed) if row is not None]
        assert set(ours.rows[conflict.document].classes) == set().union(*values)


@given(sides, sides, sides)
def test_a_conflict_shows_both_values_and_policies_differ_only_there(
    base: Side, one: Side, two: Side
) -> None:
    active = overlay(onto=one, base=base, changed=two)
    united = overlay(onto=one, base=base, changed=two, policy=Policy.UNION, kind=MULTI)
    assert active.conflicts == united.conflicts
    for conflict in active.details:
        d = conflict.document
        assert (conflict.onto, conflict.before) == (one.get(d), base.get(d))
        assert (conflict.changed is None) == (d not in two)
        assert conflict.taken == active.rows.get(d)
    for d in "abcd":
        if d not in active.conflicts:
            assert active.rows.get(d) == united.rows.get(d)


def test_refuse_names_the_documents() -> None:
    with pytest.raises(LabelbridgeError, match=r"1 documents.*: a") as caught:
        overlay(
            onto=side(a="X", b="X"), base=side(a="", b="X"), changed=side(a="Y", b="Z"), policy=Policy.REFUSE
        )
    assert caught.value.code == "merge_conflict"
    fine = overlay(onto=side(b="X"), base=side(b="X"), changed=side(b="Z"), policy=Policy.REFUSE)
    assert fine.rows == side(b="Z")


def test_a_refusing_merge_that_streams_marks_conflicts_and_moves_nothing() -> None:
    (found,) = merge(
        onto=side(a="X").values(),
        base=side(a="").values(),
        changed=side(a="Y").values(),
        policy=Policy.REFUSE,
    )
    assert (found.how, found.row) == ("kept", side(a="X")["a"])
    assert found.conflict is not None


@pytest.mark.parametrize("kind", [None, ProjectKind.SINGLE_LABEL, ProjectKind.ENTITIES])
def test_only_multi_label_classes_can_be_united(kind: ProjectKind | None) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        overlay(onto={}, base={}, changed={}, policy=Policy.UNION, kind=kind)
    assert caught.value.code == "input_invalid"


def test_a_stream_out_of_order_is_found_out() -> None:
    rows = [LabeledDocument(document="b"), LabeledDocument(document="a")]
    with pytest.raises(ValueError, match="not sorted"):
        list(aligned(rows))
