import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, Quarantined, Span
from labelbridge.labels.categories import CategoriesMap

allowed = st.text("ABC xyz", min_size=1, max_size=4)


@given(
    st.dictionaries(st.text("AB/$", max_size=3), allowed).filter(lambda d: len(set(d.values())) == len(d)),
    st.lists(st.text("AB/$ xyz", min_size=1, max_size=3)),
)
def test_what_is_mapped_can_be_mapped_back(table: dict[str, str], names: list[str]) -> None:
    mapping = CategoriesMap(table)
    row = LabeledDocument(document="a", classes=tuple(names), spans=tuple(Span(0, 1, n) for n in names))
    (there,) = mapping.rename([row], to_language=True, source="x")
    if isinstance(there, Quarantined):
        assert there.code == "category_collision"
        assert any(name in mapping.back and name not in table for name in names)
    else:
        assert list(mapping.rename([there], to_language=False, source="x")) == [row]


def test_a_category_that_another_one_is_mapped_to_is_put_aside() -> None:
    mapping = CategoriesMap({"A/B": "A or B"})
    clash, fine = (
        LabeledDocument(document="a", classes=("A or B",)),
        LabeledDocument(document="b", classes=("A/B",)),
    )
    first, second = mapping.rename([clash, fine], to_language=True, source="x")
    assert isinstance(first, Quarantined)
    assert (first.code, first.document) == ("category_collision", "a")
    assert second == LabeledDocument(document="b", classes=("A or B",))
    assert mapping.names(["A/B", "A or B", "C"], to_language=True) == ("A or B", "C")
    assert mapping.names(["A or B", "C"], to_language=False) == ("A/B", "C")


@pytest.mark.parametrize(
    "data", [b'{"a": "x", "b": "x"}', b'{"a": "x/y"}', b'{"a": ""}', b'{"a": 1}', b"[]", b"{", b"[" * 9999]
)
def test_a_table_that_cannot_be_undone_or_used_is_refused(data: bytes) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        CategoriesMap.parse(data)
    assert caught.value.code == "input_invalid"
