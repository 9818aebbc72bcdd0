import json

from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels import Documents, LabeledDocument, Quarantined, Span
from labelbridge.labels.azureml_jsonl import read, write
from labelbridge.labels.offsets import InlineTexts
from labelbridge.labels.vote import QUORUM, Vote, tally
from labelbridge.model import OffsetUnit, ProjectKind
from tests.labels.strategies import Case, cases

NER, U16, POINT, AUTO = ProjectKind.ENTITIES, OffsetUnit.UTF16, OffsetUnit.CODEPOINT, OffsetUnit.AUTO


def line(document: str, start: int, end: int) -> bytes:
    label = [{"label": "X", "offsetStart": start, "offsetEnd": end}]
    return json.dumps({"image_url": f"AmlDatastore://s/{document}", "label": label}).encode()


TEXT = "a😀bcdefgh"  # 9 code points, 10 units; the emoji is point 1, units 1 and 2
TEXTS = Documents({f"{n}.txt": TEXT.encode() for n in range(9)} | {"plain.txt": b"0123456789"})
SAYS_POINT, SAYS_UNITS, EITHER = (0, 2), (9, 10), (3, 4)


def vote_of(*spans: tuple[int, int]) -> Vote:
    rows = [line(f"{n}.txt", *span) for n, span in enumerate(spans)]
    return tally(rows, texts=TEXTS, datastore=None)


def test_only_documents_that_fit_in_one_unit_vote() -> None:
    assert vote_of(SAYS_POINT, SAYS_UNITS, EITHER, (0, 99), (2, 10)) == Vote(utf16=1, codepoint=1)
    rows = [line("plain.txt", 0, 1), b"{", b"", line("missing.txt", 0, 1), b"\xff"]
    assert tally(rows, texts=TEXTS, datastore=None) == Vote()


def test_a_vote_decides_with_a_quorum_and_without_a_voice_against() -> None:
    assert vote_of(*[SAYS_POINT] * QUORUM).decision is POINT
    assert vote_of(*[SAYS_UNITS] * QUORUM).decision is U16
    assert vote_of(*[SAYS_POINT] * (QUORUM - 1), EITHER).decision is None
    assert vote_of(*[SAYS_POINT] * QUORUM, SAYS_UNITS).decision is None


def test_votes_of_parts_add_up() -> None:
    assert Vote(1, 2) + Vote(3, 4) == Vote(4, 6)


def test_a_decision_settles_only_what_is_ambiguous() -> None:
    rows = [line("0.txt", *EITHER), line("1.txt", *SAYS_UNITS), line("2.txt", 0, 99), line("plain.txt", 3, 4)]

    def spans(settle: OffsetUnit | None) -> list[object]:
        found = read(
            rows, kind=NER, unit=AUTO, texts=TEXTS, categories=None, datastore=None, source="x", settle=settle
        )
        return [row.code if isinstance(row, Quarantined) else row.spans[0] for row in found]

    rest = [Span(9, 1, "X"), "span_out_of_range", Span(3, 1, "X")]
    assert spans(None) == ["ambiguous_offset_unit", *rest]
    assert spans(U16) == [Span(3, 1, "X"), *rest]
    assert spans(POINT) == [Span(4, 1, "X"), *rest]


@given(cases(NER), st.sampled_from([U16, POINT]))
def test_a_file_in_one_unit_never_decides_for_the_other(case: Case, unit: OffsetUnit) -> None:
    written = list(write(case.rows, kind=NER, unit=unit, texts=case.texts, datastore="s"))
    vote = tally(written, texts=case.texts, datastore="s")
    assert vote.decision in (None, unit)
    if unit is U16:
        assert vote.codepoint == 0


def test_rows_that_carry_their_text_vote_too() -> None:
    rows = [json.dumps(json.loads(line(f"{n}.txt", *SAYS_POINT)) | {"text": TEXT}).encode() for n in range(3)]
    assert tally(rows, texts=InlineTexts(), datastore=None).decision is POINT
    found = list(
        read(rows, kind=NER, unit=POINT, texts=InlineTexts(), categories=None, datastore=None, source="x")
    )
    assert all(isinstance(row, LabeledDocument) for row in found)
    (bare,) = read(
        [line("0.txt", 0, 1)],
        kind=NER,
        unit=POINT,
        texts=InlineTexts(),
        categories=None,
        datastore=None,
        source="x",
    )
    assert isinstance(bare, Quarantined)
    assert bare.code == "document_missing"
