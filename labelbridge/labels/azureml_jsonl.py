"""Azure ML's labels of a text project: one JSON object per line, in and out.

Prevents lost and shifted labels: spans that start together or overlap all survive (AutoML's own
reader keeps one per start), offsets are read in a stated unit, and a row that cannot be read goes
into quarantine alone. The form is rebuilt from AutoML's reader and writer of these rows; Azure
publishes no specification of it, nor the unit of its offsets.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import assert_never

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.checks import (
    MAX_DOCUMENT,
    MAX_SPAN,
    CategoryRules,
    bounds_in_utf16,
    check_class_count,
    check_row,
    text_of,
)
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.offsets import InvalidTextError, Text, Texts
from labelbridge.labels.paths import UrlStyle, candidates, url_prefix
from labelbridge.labels.rows import LabeledDocument, Quarantined, Span, quarantined
from labelbridge.model import OffsetUnit, ProjectKind

_BOM = b"\xef\xbb\xbf"
"""Taken off any line, not only the first: `lines` may be several files one after the other."""


class _AmlSpan(msgspec.Struct, gc=False):
    label: str
    start: int = msgspec.field(name="offsetStart")
    end: int = msgspec.field(name="offsetEnd")


# The confidence of a label is not carried: Language has no place for it. Hence no field for it here.
class _SpanRow(msgspec.Struct, gc=False):
    image_url: str
    label: list[_AmlSpan]


class _ClassRow(msgspec.Struct, gc=False):
    image_url: str
    label: str | list[str]


class _UrlRow(msgspec.Struct, gc=False):
    image_url: str


class _SpanRowOut(msgspec.Struct, gc=False):
    image_url: str
    label: list[_AmlSpan]
    label_confidence: list[float]


class _ClassRowOut(msgspec.Struct, gc=False):
    image_url: str
    label: str | list[str]
    label_confidence: float | list[float]


_span_row = msgspec.json.Decoder(_SpanRow)
_class_row = msgspec.json.Decoder(_ClassRow)
_url_row = msgspec.json.Decoder(_UrlRow)
_any_json = msgspec.json.Decoder()


def read(
    lines: Iterable[bytes],
    *,
    kind: ProjectKind,
    unit: OffsetUnit,
    texts: Texts | None,
    categories: Collection[str] | None,
    datastore: str | None,
    source: str,
    for_language: bool = True,
) -> Iterator[LabeledDocument | Quarantined]:
    """Read rows, one result for each line that is not blank, in order, with bounded memory per row.

    Args:
        lines: lines as bytes, with or without their line end (see `lines.split` for streams).
        kind: the project's kind; a row of another kind is quarantined.
        unit: what `offsetStart` and `offsetEnd` count.
        texts: the documents; None only for classification, and then no document is looked for.
        categories: the project's categories; None allows any.
        datastore: the only datastore that rows may point to; None allows any.
        source: name of the file, for the quarantine.
        for_language: also quarantine what Language would refuse (names, lengths of spans and documents).
    """
    if texts is None and kind is ProjectKind.ENTITIES:
        raise ValueError("entities cannot be read without their texts")
    reader = _Reader(kind, unit, texts, CategoryRules(categories, for_language=for_language))
    reader.datastore, reader.for_language, reader.source = datastore, for_language, source
    for number, line in enumerate(lines, 1):
        row = line.removeprefix(_BOM)
        if row and not row.isspace():
            yield reader.one(number, row)


class _Reader:
    """State of one `read`: what never changes, and the documents seen so far."""

    datastore: str | None
    for_language: bool
    source: str

    def __init__(
        self, kind: ProjectKind, unit: OffsetUnit, texts: Texts | None, rules: CategoryRules
    ) -> None:
        self._kind = kind
        self._unit = unit
        self._texts = texts
        self._rules = rules
        self._decoder: msgspec.json.Decoder[_SpanRow] | msgspec.json.Decoder[_ClassRow] = (
            _span_row if kind is ProjectKind.ENTITIES else _class_row
        )
        self._first_line: dict[str, int] = {}

    def one(self, number: int, line: bytes) -> LabeledDocument | Quarantined:
        document: str | None = None
        try:
            row = self._decode(line)
            document, text = self._find(row.image_url)
            result = self._row(document, text, row)
            first = self._first_line.setdefault(document, number)
            if first != number:
                raise RejectedRowError(Code.DUPLICATE_DOCUMENT, f"line {first} was for this document")
        except RejectedRowError as no:
            document = document or self._named(line)
            return quarantined(no.code, no.reason, line, source=self.source, line=number, document=document)
        return result

    def _decode(self, line: bytes) -> _SpanRow | _ClassRow:
        if len(line) > MAX_LINE_BYTES:
            raise RejectedRowError(Code.LINE_TOO_LONG, f"a line of more than {MAX_LINE_BYTES} bytes")
        try:
            return self._decoder.decode(line)
        except (ValueError, RecursionError) as error:
            raise _why_not(line, error) from error

    def _find(self, url: str) -> tuple[str, Text | None]:
        names = candidates(url, self.datastore)
        if self._texts is None:
            return names[0], None
        if len(names) > 1:
            there = tuple(name for name in names if _exists(name, self._texts))
            if len(there) > 1:
                raise RejectedRowError(Code.AMBIGUOUS_PATH, f"{' and '.join(map(repr, there))} both exist")
            names = there or names
        return names[0], text_of(names[0], self._texts)

    def _named(self, line: bytes) -> str | None:
        """The document that a rejected line is about, if that much can be read."""
        try:
            names = candidates(_url_row.decode(line[: MAX_LINE_BYTES + 1]).image_url, self.datastore)
        except (ValueError, RecursionError, RejectedRowError):
            return None
        if self._texts is not None:
            for name in names:
                if _exists(name, self._texts):
                    return name
        return names[0]

    def _row(self, document: str, text: Text | None, row: _SpanRow | _ClassRow) -> LabeledDocument:
        if self.for_language and text is not None and text.utf16_length > MAX_DOCUMENT:
            raise RejectedRowError(Code.DOCUMENT_TOO_LONG, f"a text of {text.utf16_length} UTF-16 units")
        if isinstance(row, _SpanRow):
            assert text is not None  # `read` refuses entities without texts
            return LabeledDocument(document=document, spans=self._spans(row.label, text))
        if isinstance(row.label, list):
            classes = tuple(row.label)
        elif self._kind is ProjectKind.SINGLE_LABEL:
            classes = (row.label,) if row.label else ()
        else:
            classes = self._rules.split(row.label)
        for name in classes:
            self._rules.check(name)
        check_class_count(self._kind, classes)
        return LabeledDocument(document=document, classes=classes)

    def _spans(self, found: list[_AmlSpan], text: Text) -> tuple[Span, ...]:
        known, check = self._rules.known, self._rules.check
        for span in found:
            if span.label not in known:
                check(span.label)
        bounds = bounds_in_utf16([(span.start, span.end) for span in found], self._unit, text)
        if self.for_language:
            for start, end in bounds:
                if end - start > MAX_SPAN:
                    raise RejectedRowError(Code.SPAN_TOO_LONG, f"a span of {end - start} UTF-16 units")
        return tuple(
            [Span(start, end - start, span.label) for (start, end), span in zip(bounds, found, strict=True)]
        )


def _exists(document: str, texts: Texts) -> bool:
    try:
        return texts.get(document) is not None
    except InvalidTextError:
        return True


def _why_not(line: bytes, error: Exception) -> RejectedRowError:
    """Tell bytes that are no JSON from JSON that is no row."""
    try:
        _any_json.decode(line)
    except UnicodeDecodeError as bad:
        return RejectedRowError(Code.INVALID_UTF8, f"the row: {bad.reason}")
    except RecursionError:
        return RejectedRowError(Code.NESTED_TOO_DEEP, "the row is nested too deep")
    except ValueError as bad:
        return RejectedRowError(Code.BROKEN_JSON, str(bad))
    return RejectedRowError(Code.ROW_SHAPE, str(error))


def documents_named(lines: Iterable[bytes], *, datastore: str | None = None) -> Iterator[str]:
    """Names of the documents that `read` will ask for, one or two for each readable line.

    Two, because a percent-encoded name may be meant as it stands or decoded; ask for both, give
    `read` those that exist. Names repeat if lines do. Only names that a blob can have are given.
    """
    for line in lines:
        row = line.removeprefix(_BOM)
        if len(row) > MAX_LINE_BYTES:
            continue
        try:
            yield from candidates(_url_row.decode(row).image_url, datastore)
        except (ValueError, RecursionError, RejectedRowError):
            continue


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
) -> Iterator[bytes]:
    r"""Write rows as lines, each with its `\n`; every label with confidence 1.0.

    Args:
        rows: labels in UTF-16 units.
        kind: the project's kind.
        unit: what the offsets written shall count (see `unit_written`).
        texts: the documents; None for classification, or if no document has to be looked at.
        datastore: name of the datastore that holds the documents.
        style: how a document is spelled; its name is written as it is, not percent-encoded.

    Raises:
        LabelbridgeError: `labels_quarantined` for a row that does not fit its document or kind. Nothing
            is left out silently; use `checks.checked` before to set such rows aside.
    """
    unit, prefix = unit_written(unit), url_prefix(datastore, style)
    if texts is None and kind is ProjectKind.ENTITIES and unit is OffsetUnit.CODEPOINT:
        raise ValueError("code points cannot be written without the texts")
    rules = CategoryRules(None, for_language=False)
    encoder = msgspec.json.Encoder()
    for row in rows:
        try:
            check_row(row, kind=kind, texts=texts, rules=rules)
        except RejectedRowError as no:
            raise LabelbridgeError(
                "labels_quarantined", f"{row.document}: {no.reason} ({no.code.value})"
            ) from no
        yield encoder.encode(_out(row, kind, unit, texts, prefix + row.document)) + b"\n"


def _out(
    row: LabeledDocument, kind: ProjectKind, unit: OffsetUnit, texts: Texts | None, url: str
) -> _SpanRowOut | _ClassRowOut:
    match kind:
        case ProjectKind.ENTITIES:
            text = texts.get(row.document) if texts is not None and unit is OffsetUnit.CODEPOINT else None
            spans = [_span_out(span, text) for span in row.spans]
            return _SpanRowOut(image_url=url, label=spans, label_confidence=[1.0] * len(spans))
        case ProjectKind.MULTI_LABEL:
            classes = list(row.classes)
            return _ClassRowOut(image_url=url, label=classes, label_confidence=[1.0] * len(classes))
        case ProjectKind.SINGLE_LABEL:
            return _ClassRowOut(image_url=url, label=row.classes[0], label_confidence=1.0)
        case _:
            assert_never(kind)


def _span_out(span: Span, text: Text | None) -> _AmlSpan:
    if text is None:
        return _AmlSpan(label=span.category, start=span.start, end=span.end)
    return _AmlSpan(label=span.category, start=text.to_codepoint(span.start), end=text.to_codepoint(span.end))
