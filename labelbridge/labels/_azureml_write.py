"""Writes labels as Azure ML's rows; `azureml_jsonl` is the public face.

Prevents a row that its own reader would set aside: each is held against its document before it is
written, unless the caller vouches that this was done.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels._azureml_wire import AmlSpan, ClassRowOut, SpanRowOut
from labelbridge.labels.batches import Batch
from labelbridge.labels.checks import CategoryRules, check_row
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.offsets import Text, Texts
from labelbridge.labels.paths import UrlStyle, url_prefix
from labelbridge.labels.rows import LabeledDocument
from labelbridge.model import OffsetUnit, ProjectKind


def unit_written(unit: OffsetUnit) -> OffsetUnit:
    """The unit that `write` uses: `auto` writes UTF-16, which is our choice (a browser's own unit).

    What was written is to be read back in this unit, because `auto` may not be able to tell.
    """
    return OffsetUnit.UTF16 if unit is OffsetUnit.AUTO else unit


def write(
    rows: Iterable[LabeledDocument],
    *,
    kind: ProjectKind,
    unit: OffsetUnit,
    texts: Texts | None,
    datastore: str,
    style: UrlStyle = "AmlDatastore",
    workspace: str | None = None,
    vouched: bool = False,
) -> Iterator[bytes]:
    r"""Write rows as lines, each with its `\n`; every label with confidence 1.0.

    Args:
        rows: labels in UTF-16 units.
        kind: the project's kind.
        unit: what the offsets written shall count (see `unit_written`).
        texts: the documents; None for classification, or if no document has to be looked at.
        datastore: name of the datastore that holds the documents.
        style: how a document is spelled; its name is written as it is, not percent-encoded.
        workspace: ARM id of the workspace, for the long style.
        vouched: the rows were held against these very texts and this kind already.

    Raises:
        LabelbridgeError: `labels_quarantined` for a row that does not fit its document or kind. Nothing
            is left out silently; use `checks.checked` before to set such rows aside.
    """
    unit, prefix = unit_written(unit), url_prefix(datastore, style, workspace)
    if texts is None and kind is ProjectKind.ENTITIES and unit is OffsetUnit.CODEPOINT:
        raise ValueError("code points cannot be written without the texts")
    rules = CategoryRules(None, for_language=False)
    encoder = msgspec.json.Encoder()
    for row in rows:
        try:
            if not vouched:
                check_row(row, kind=kind, texts=texts, rules=rules)
        except RejectedRowError as no:
            raise LabelbridgeError(
                "labels_quarantined", f"{row.document}: {no.reason} ({no.code.value})"
            ) from no
        yield encoder.encode(_out(row, kind, unit, texts, prefix + row.document)) + b"\n"


def write_batches(
    batches: Iterable[Batch], *, unit: OffsetUnit, datastore: str, style: UrlStyle, workspace: str | None
) -> Iterator[bytes]:
    """`write` for spans that were held against the texts they come with."""
    unit, prefix = unit_written(unit), url_prefix(datastore, style, workspace)
    encode = msgspec.json.Encoder().encode_lines
    in_points = unit is OffsetUnit.CODEPOINT
    for batch in batches:
        rows = []
        assert batch.texts is not None
        for row, text in zip(batch.rows, batch.texts, strict=True):
            if in_points and text.astral:
                spans = _known_in_codepoints(row, text.pairs())
            else:
                spans = [AmlSpan(s.category, start := s.start, start + s.length) for s in row.spans]
            rows.append(SpanRowOut(prefix + row.document, spans, [1.0] * len(spans)))
        yield encode(rows)


def _in_codepoints(row: LabeledDocument, text: Text) -> list[AmlSpan]:
    to = text.to_codepoint
    return [AmlSpan(s.category, to(s.start), to(s.start + s.length)) for s in row.spans]


def _known_in_codepoints(row: LabeledDocument, pairs: Sequence[int]) -> list[AmlSpan]:
    """The same for spans that are known to fit."""
    found = []
    for span in row.spans:
        start = span.start
        end = start + span.length
        found.append(AmlSpan(span.category, start - bisect_left(pairs, start), end - bisect_left(pairs, end)))
    return found


def _out(
    row: LabeledDocument, kind: ProjectKind, unit: OffsetUnit, texts: Texts | None, url: str
) -> SpanRowOut | ClassRowOut:
    match kind:
        case ProjectKind.ENTITIES:
            text = texts.get(row.document) if texts is not None and unit is OffsetUnit.CODEPOINT else None
            if text is not None and text.astral:
                spans = _in_codepoints(row, text)
            else:
                spans = [AmlSpan(s.category, s.start, s.start + s.length) for s in row.spans]
            return SpanRowOut(image_url=url, label=spans, label_confidence=[1.0] * len(spans))
        case ProjectKind.MULTI_LABEL:
            classes = list(row.classes)
            return ClassRowOut(image_url=url, label=classes, label_confidence=[1.0] * len(classes))
        case ProjectKind.SINGLE_LABEL:
            return ClassRowOut(image_url=url, label=row.classes[0], label_confidence=1.0)
        case _:
            assert_never(kind)
