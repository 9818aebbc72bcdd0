from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels import LabeledDocument, Span, overlay, same_labels

Side = Mapping[str, LabeledDocument]
documents = st.sampled_from("abcd")
values = st.lists(st.sampled_from("XYZ"), unique=True, max_size=2).map(
    lambda names: tuple(Span(0, 1, name) for name in names)
)
sides = st.dictionaries(documents, values).map(
    lambda d: {k: LabeledDocument(document=k, spans=v) for k, v in d.items()}
)


def side(**labels: str) -> dict[str, LabeledDocument]:
    """`a="X"` is document a with class X; `a=""` is labelled with nothing."""
    return {d: LabeledDocument(document=d, classes=(c,) if c else ()) for d, c in labels.items()}


@given(sides, sides, sides, st.none() | sides)
def test_every_document_has_the_value_that_the_rule_says(
    onto: Side, base: Side, changed: Side, onto_base: Side | None
) -> None:
    merged = overlay(onto=onto, base=base, changed=changed, onto_base=onto_base)
    since = base if onto_base is None else onto_base

    def key(rows: Side, document: str) -> object:
        return rows[document].labels_key if document in rows else None

    conflicts = []
    for d in "abcd":
        touched = key(changed, d) != key(base, d)
        assert key(merged.rows, d) == key(changed if touched else onto, d)
        if touched and key(onto, d) != key(since, d) and key(onto, d) != key(changed, d):
            conflicts.append(d)
        assert (d in merged.taken) == (touched and d in changed)
        assert (d in merged.cleared) == (touched and d not in changed)
        assert (d in merged.kept) == (not touched and d in onto)
    assert merged.conflicts == tuple(conflicts)
    assert list(merged.rows) == sorted(merged.rows) == sorted((*merged.taken, *merged.kept))


@given(sides, sides)
def test_nothing_changed_means_nothing_moves_and_a_blank_base_takes_everything(
    onto: Side, changed: Side
) -> None:
    assert overlay(onto=onto, base=changed, changed=changed).rows == onto
    assert overlay(onto={}, base={}, changed=changed).rows == changed
    merged = overlay(onto=onto, base={}, changed=changed)
    assert merged.rows == {**onto, **changed}
    assert not merged.cleared


@given(sides, sides, sides)
def test_where_both_sides_do_not_disagree_it_does_not_matter_who_is_first(
    base: Side, one: Side, two: Side
) -> None:
    ours = overlay(onto=one, base=base, changed=two)
    theirs = overlay(onto=two, base=base, changed=one)
    assert ours.conflicts == theirs.conflicts
    assert set(same_labels(ours.rows.values(), theirs.rows.values())) == set(ours.conflicts)


def test_dataset_and_language_stay_those_of_the_side_that_is_opened() -> None:
    ours = LabeledDocument(document="a", classes=("X",), dataset="Test", language="de")
    theirs = LabeledDocument(document="a", classes=("Y",), dataset="Train", language="en")
    merged = overlay(onto={"a": ours}, base={}, changed={"a": theirs})
    assert merged.rows["a"] == LabeledDocument(document="a", classes=("Y",), dataset="Test", language="de")
    assert overlay(onto={}, base={}, changed={"a": theirs}).rows["a"] == theirs


def test_labelled_with_nothing_is_a_value_and_no_row_clears() -> None:
    merged = overlay(onto=side(a="X", b="X"), base=side(a="X", b="X"), changed=side(a=""))
    assert merged.rows == side(a="")
    assert (merged.taken, merged.cleared, merged.conflicts) == (("a",), ("b",), ())


def test_a_row_that_could_not_be_read_clears_nothing() -> None:
    onto, base = side(a="X", b="X", c="X"), side(a="X", b="X", c="X")
    changed = side(c="Y")
    named = overlay(onto=onto, base=base, changed=changed, unreadable={"a"})
    assert named.rows == side(a="X", c="Y")
    assert (named.kept, named.cleared, named.taken) == (("a",), ("b",), ("c",))
    nameless = overlay(onto=onto, base=base, changed=changed, unreadable={None})
    assert nameless.rows == side(a="X", b="X", c="Y")
    assert nameless.cleared == ()


def test_both_sides_coming_to_the_same_value_is_no_conflict() -> None:
    merged = overlay(onto=side(a="Y"), base=side(a="X"), changed=side(a="Y"), onto_base=side(a="X"))
    assert merged.conflicts == ()
    assert merged.taken == ("a",)
