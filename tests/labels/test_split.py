import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument
from labelbridge.labels.split import Split, assign, by_name, evaluation_options


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 99), st.integers(0, 99))
def test_a_document_in_test_stays_there_at_a_higher_percentage(name: str, one: int, two: int) -> None:
    low, high = sorted((one, two))
    assert by_name(name, low) == "Train" or by_name(name, high) == "Test"
    assert by_name(name, 0) == "Train"


def test_the_hash_split_is_fixed_for_ever_and_about_as_asked_for() -> None:
    # Written down, because a document that moves between Train and Test makes scores incomparable.
    assert [n for n in range(12) if by_name(f"{n:02}.txt", 20) == "Test"] == [6, 8]
    assert sum(by_name(f"{n}.txt", 20) == "Test" for n in range(10_000)) in range(1900, 2100)


def test_keep_asks_the_row_then_language_then_the_name() -> None:
    rows = [
        LabeledDocument(document="a", dataset="Test"),
        LabeledDocument(document="b"),
        LabeledDocument(document="c"),
    ]
    known = {"a": "Train", "b": "Test"}
    kept = list(assign(rows, Split.KEEP, known=known.get))
    assert [row.dataset for row in kept] == ["Test", "Test", by_name("c", 20)]
    assert [row.dataset for row in assign(rows, Split.SERVICE, known=known.get)] == ["Train"] * 3


def test_the_training_is_told_who_splits() -> None:
    assert evaluation_options(Split.KEEP) == {"kind": "manual"}
    assert evaluation_options(Split.SERVICE, 30) == {
        "kind": "percentage",
        "trainingSplitPercentage": 70,
        "testingSplitPercentage": 30,
    }
    with pytest.raises(LabelbridgeError):
        evaluation_options(Split.SERVICE, 100)
