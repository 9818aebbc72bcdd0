"""Whole conversions: nothing is lost between two formats without being counted."""

import io
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import LabeledDocument, same_labels
from labelbridge.labels.categories import CategoriesMap
from labelbridge.labels.contents import MappingContents, Measured
from labelbridge.labels.convert import Conversion, Report, convert, seekable
from labelbridge.labels.formats import Format, ReadOptions, Source, reader
from labelbridge.model import OffsetUnit, ProjectKind
from tests.labels.strategies import Case, cases

NER, SINGLE, MULTI = ProjectKind.ENTITIES, ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL
BOTH_WAYS = (Format.AZUREML, Format.LANGUAGE, Format.SNAPSHOT, Format.CSV)


def run(data: bytes, target: Format, **options: Any) -> tuple[bytes, Report, list[dict[str, Any]]]:
    out, side = io.BytesIO(), io.BytesIO()
    conversion = Conversion(target=target, **options)
    report = convert(Source("in", file=io.BytesIO(data)), out, conversion, quarantine=side)
    aside = [json.loads(line) for line in side.getvalue().splitlines()]
    assert report.totals.rows == report.totals.written + report.totals.quarantined
    assert report.totals.quarantined == len(aside)
    return out.getvalue(), report, aside


def row(label: object, document: str = "a.txt", **more: object) -> bytes:
    url = f"AmlDatastore://s/{document}"
    return json.dumps({"image_url": url, "label": label, **more}).encode() + b"\n"


def start(case: Case, contents: MappingContents, unit: OffsetUnit) -> bytes:
    from labelbridge.labels.azureml_jsonl import write

    texts = Measured(contents)
    return b"".join(write(case.rows, kind=case.kind, unit=unit, texts=texts, datastore="s"))


@given(
    cases(),
    st.permutations(BOTH_WAYS),
    st.sampled_from([OffsetUnit.UTF16, OffsetUnit.CODEPOINT]),
)
def test_labels_come_back_through_any_chain_of_formats(
    case: Case, chain: list[Format], unit: OffsetUnit
) -> None:
    contents = MappingContents({name: text.encode() for name, text in case.contents.items()})
    data = start(case, contents, unit)
    if not data:
        return
    options: dict[str, Any] = {
        "documents": contents,
        "unit": unit,
        "read": ReadOptions(kind=case.kind, unit=unit),
    }
    if case.kind is NER:
        chain = [step for step in chain if step is not Format.CSV]
    for before, after in itertools.pairwise([Format.AZUREML, *chain, Format.AZUREML]):
        data, report, aside = run(data, after, source=before, **options)
        assert not aside
        assert report.totals.labels == sum(len(r.spans) + len(r.classes) for r in case.rows)
    back = reader(
        Source("x", file=io.BytesIO(data)), Format.AZUREML,
        ReadOptions(kind=case.kind, unit=unit, texts=Measured(contents)),
    ).rows()  # fmt: skip
    assert same_labels((r for r in back if isinstance(r, LabeledDocument)), case.rows) == []


@given(cases(language_fields=True))
def test_a_language_file_converted_to_itself_stays_as_it_was(case: Case) -> None:
    contents = MappingContents({name: text.encode() for name, text in case.contents.items()})
    data = start(case, contents, OffsetUnit.UTF16)
    if not data:
        return
    options: dict[str, Any] = {
        "documents": contents,
        "read": ReadOptions(kind=case.kind, unit=OffsetUnit.UTF16),
    }
    once, _, _ = run(data, Format.LANGUAGE, **options)
    more = json.loads(once)
    more["new"], more["assets"]["more"], more["metadata"]["settings"] = (
        {"a": [1]},
        None,
        {"confidenceThreshold": 0.5},
    )
    for document in more["assets"]["documents"]:
        document["unknown"] = document["location"]
    twice, report, _ = run(json.dumps(more).encode(), Format.LANGUAGE, documents=contents)
    assert json.loads(twice) == more
    assert report.assumed == ()


def test_what_cannot_be_used_is_put_aside_and_the_counts_agree() -> None:
    contents = MappingContents({"a.txt": b"0123456789", "b.txt": b"x", "c.txt": "a😀bcdefgh".encode()})
    span = {"label": "X", "offsetStart": 3, "offsetEnd": 4}
    data = row([span]) + b"{\n" + row([span], "b.txt") + row([span], "c.txt") + row([span]) + b"\n"
    out, report, aside = run(data, Format.LANGUAGE, documents=contents)
    assert [(q["line"], q["code"]) for q in aside] == [
        (2, "broken_json"),
        (3, "span_out_of_range"),
        (4, "ambiguous_offset_unit"),
        (5, "duplicate_document"),
    ]
    assert report.totals.codes == {
        "ambiguous_offset_unit": 1, "broken_json": 1, "duplicate_document": 1, "span_out_of_range": 1,
    }  # fmt: skip
    assert aside[1]["raw"] + "\n" == row([span], "b.txt").decode()
    assert [d["location"] for d in json.loads(out)["assets"]["documents"]] == ["a.txt"]
    assert report.assumed == ("project labels", "container documents", "language en-us")


def test_a_vote_settles_only_when_asked_for() -> None:
    text = "a😀bcdefgh".encode()
    contents = MappingContents({f"{n}.txt": text for n in range(4)})
    clear, either = (
        {"label": "X", "offsetStart": 0, "offsetEnd": 2},
        {"label": "X", "offsetStart": 3, "offsetEnd": 4},
    )
    data = b"".join(row([clear], f"{n}.txt") for n in range(3)) + row([either], "3.txt")
    _, plain, _ = run(data, Format.LANGUAGE, documents=contents)
    _, voted, _ = run(data, Format.LANGUAGE, documents=contents, read=ReadOptions(vote=True))
    assert (plain.totals.codes, plain.vote) == ({"ambiguous_offset_unit": 1}, None)
    assert (voted.totals.codes, voted.vote, voted.settled) == ({}, {"utf16": 0, "codepoint": 3}, "codepoint")


def test_a_lossy_export_is_refused_unless_allowed() -> None:
    contents = MappingContents({"a.txt": b"0123456789"})
    spans = [{"label": c, "offsetStart": 0, "offsetEnd": 2} for c in "XY"]
    with pytest.raises(LabelbridgeError) as caught:
        run(row(spans), Format.CONLL, documents=contents)
    assert caught.value.code == "lossy_export"
    out, report, _ = run(row(spans), Format.CONLL, documents=contents, allow_lossy=True)
    assert report.loss.counts == {"span_overlaps": 1}
    assert b"B-X" in out


def test_forbidden_categories_pass_through_a_map_and_come_back() -> None:
    table = CategoriesMap({"A/B": "A or B"})
    data = row("A/B") + row("C", "c.txt") + row("A or B", "d.txt")
    _, without, _ = run(data, Format.LANGUAGE)
    assert without.totals.codes == {"forbidden_category": 1}
    project, _, aside = run(data, Format.LANGUAGE, categories_map=table)
    assert [q["code"] for q in aside] == ["category_collision"]
    assert [c["category"] for c in json.loads(project)["assets"]["classes"]] == ["A or B", "C"]
    back, _, _ = run(project, Format.AZUREML, categories_map=table)
    assert [json.loads(line)["label"] for line in back.splitlines()] == ["A/B", "C"]
    with pytest.raises(LabelbridgeError, match="one side is Language"):
        run(data, Format.SNAPSHOT, categories_map=table)


def test_rows_may_carry_their_own_text() -> None:
    span = {"label": "X", "offsetStart": 1, "offsetEnd": 2}
    data = row([span], text="😀b") + row([span], "b.txt")
    out, _, aside = run(data, Format.LANGUAGE, inline=True, read=ReadOptions(unit=OffsetUnit.CODEPOINT))
    assert [q["code"] for q in aside] == ["document_missing"]
    (document,) = json.loads(out)["assets"]["documents"]
    assert document["entities"] == [
        {"regionOffset": 0, "regionLength": 3, "labels": [{"category": "X", "offset": 2, "length": 1}]}
    ]
    conll, _, _ = run(
        data, Format.CONLL_PAIRS, inline=True, read=ReadOptions(unit=OffsetUnit.CODEPOINT), allow_lossy=True
    )
    assert conll == "😀 O\nb B-X\n\n".encode()


def test_a_pipe_can_be_read_twice() -> None:
    with seekable(io.BytesIO(b"ab" * 50_000)) as file:
        assert file.read() == b"ab" * 50_000
        file.seek(0)
        assert file.read(2) == b"ab"
