"""Azure ML's labels of a text project: one JSON object per line, in and out.

Prevents lost and shifted labels: spans that start together or overlap all survive (AutoML's own
reader keeps one per start), offsets are read in a stated unit, and a row that cannot be read goes
into quarantine alone. The form is rebuilt from AutoML's reader and writer of these rows; Azure
publishes no specification of it, nor the unit of its offsets.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from labelbridge.labels._azureml_wire import (
    AmlSpan,
    ClassRow,
    ClassRowWithText,
    SpanRow,
    SpanRowWithText,
    any_json,
    class_row,
    span_row,
    url_row,
)
from labelbridge.labels._azureml_write import unit_written, write
from labelbridge.labels.checks import (
    MAX_DOCUMENT,
    MAX_SPAN,
    CategoryRules,
    bounds_in_utf16,
    check_class_count,
    text_of,
)
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.offsets import InlineTexts, InvalidTextError, Text, Texts
from labelbridge.labels.paths import candidates
from labelbridge.labels.rows import LabeledDocument, Quarantined, Span, quarantined
from labelbridge.labels.spill import Seen
from labelbridge.model import OffsetUnit, ProjectKind

__all__ = ["RowReader", "documents_named", "find_text", "read", "unit_written", "write"]

BOM = b"\xef\xbb\xbf"
"""Taken off any line, not only the first: `lines` may be several files one after the other."""


_DECODERS: dict[ProjectKind, Any] = {
    ProjectKind.ENTITIES: span_row,
    ProjectKind.SINGLE_LABEL: class_row,
    ProjectKind.MULTI_LABEL: class_row,
}

_WITH_TEXT: dict[ProjectKind, Any] = {
    ProjectKind.ENTITIES: msgspec.json.Decoder(SpanRowWithText),
    ProjectKind.SINGLE_LABEL: msgspec.json.Decoder(ClassRowWithText),
    ProjectKind.MULTI_LABEL: msgspec.json.Decoder(ClassRowWithText),
}


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
    settle: OffsetUnit | None = None,
) -> Iterator[LabeledDocument | Quarantined]:
    """Read rows, one result for each line that is not blank, in order, with bounded memory.

    Args:
        lines: lines as bytes, with or without their line end (see `lines.split` for streams).
        kind: the project's kind; a row of another kind is quarantined.
        unit: what `offsetStart` and `offsetEnd` count.
        texts: the documents; None only for classification, and then no document is looked for.
        categories: the project's categories; None allows any.
        datastore: the only datastore that rows may point to; None allows any.
        source: name of the file, for the quarantine.
        for_language: also quarantine what Language would refuse (names, lengths of spans and documents).
        settle: with `auto`, how a document is read that could be read either way (see `vote`).
    """
    reader = RowReader(
        kind=kind,
        unit=unit,
        texts=texts,
        categories=categories,
        datastore=datastore,
        for_language=for_language,
        settle=settle,
    )
    return reader.read(lines, source)


class RowReader:
    """Reads the rows of one labeling project, which may stand in several files; see `BlockReader` too."""

    def __init__(
        self,
        *,
        kind: ProjectKind,
        unit: OffsetUnit,
        texts: Texts | None,
        categories: Collection[str] | None,
        datastore: str | None,
        for_language: bool = True,
        settle: OffsetUnit | None = None,
        repeats: bool = False,
    ) -> None:
        """See `read` for the arguments; `repeats` lets a document come twice (see `shards`)."""
        if texts is None and kind is ProjectKind.ENTITIES:
            raise ValueError("entities cannot be read without their texts")
        self._kind = kind
        self._unit = unit
        self._settle = settle
        self._texts = texts
        self._inline = texts if isinstance(texts, InlineTexts) else None
        self._rules = CategoryRules(categories, for_language=for_language)
        self._datastore = datastore
        self._for_language = for_language
        self._decoder = (_DECODERS if self._inline is None else _WITH_TEXT)[kind]
        self._seen = None if repeats else Seen()
        self._lines = 0
        self._sources: list[tuple[int, str]] = []
        self._prefix = "\0"

    def read(self, lines: Iterable[bytes], source: str) -> Iterator[LabeledDocument | Quarantined]:
        """Rows of one file; a document that an earlier file had is there twice."""
        before = self._next(source)
        for number, line in enumerate(lines, 1):
            self._lines = before + number
            if self._inline is not None:
                self._inline.begin()
            found = self.one(line.removeprefix(BOM), number, source)
            if found is not None:
                yield found

    def _next(self, source: str) -> int:
        self._sources.append((self._lines, source))
        return self._lines

    def one(self, line: bytes, number: int, source: str) -> LabeledDocument | Quarantined | None:
        """One row, without a BOM; None for a blank line. `number` is for the quarantine."""
        if not line or line.isspace():
            return None
        document: str | None = None
        try:
            row = self._decode(line)
            document, text = self._find(row)
            result = self._row(document, text, row)
            if self._seen is not None:
                first = self._seen.first(document, self._lines)
                if first != self._lines:
                    raise RejectedRowError(
                        Code.DUPLICATE_DOCUMENT, f"{self._place(first)} was for this document"
                    )
        except RejectedRowError as no:
            document = document or self._named(line)
            return quarantined(no.code, no.reason, line, source=source, line=number, document=document)
        return result

    def _place(self, line: int) -> str:
        before, source = next(s for s in reversed(self._sources) if s[0] < line)
        return f"line {line - before}" + ("" if source == self._sources[-1][1] else f" of {source}")

    def _decode(self, line: bytes) -> SpanRow | ClassRow:
        if len(line) > MAX_LINE_BYTES:
            raise RejectedRowError(Code.LINE_TOO_LONG, f"a line of more than {MAX_LINE_BYTES} bytes")
        try:
            row: SpanRow | ClassRow = self._decoder.decode(line)
        except (ValueError, RecursionError) as error:
            raise _why_not(line, error) from error
        return row

    def _find(self, row: SpanRow | ClassRow) -> tuple[str, Text | None]:
        url = row.image_url
        names = candidates(url, self._datastore)
        if url.endswith(names[0]):
            self._prefix = url[: len(url) - len(names[0])]  # mostly the next row's too
        if self._inline is not None:
            return names[0], self._inline.put(names[0], _text_in(row))
        if self._texts is None:
            return names[0], None
        return _existing(names, self._texts)

    def _named(self, line: bytes) -> str | None:
        """The document that a rejected line is about, if that much can be read."""
        if len(line) > MAX_LINE_BYTES:
            return None
        try:
            names = candidates(url_row.decode(line).image_url, self._datastore)
        except (ValueError, RecursionError, RejectedRowError):
            return None
        if self._texts is not None:
            for name in names:
                if _exists(name, self._texts):
                    return name
        return names[0]

    def _row(self, document: str, text: Text | None, row: SpanRow | ClassRow) -> LabeledDocument:
        if self._for_language and text is not None and text.utf16_length > MAX_DOCUMENT:
            raise RejectedRowError(Code.DOCUMENT_TOO_LONG, f"a text of {text.utf16_length} UTF-16 units")
        if isinstance(row, SpanRow):
            assert text is not None  # the constructor refuses entities without texts
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

    def _spans(self, found: list[AmlSpan], text: Text) -> tuple[Span, ...]:
        for span in found:
            self._rules.check(span.label)
        bounds = bounds_in_utf16(
            [(span.start, span.end) for span in found], self._unit, text, settle=self._settle
        )
        if self._for_language:
            for start, end in bounds:
                if end - start > MAX_SPAN:
                    raise RejectedRowError(Code.SPAN_TOO_LONG, f"a span of {end - start} UTF-16 units")
        return tuple(
            [Span(start, end - start, span.label) for (start, end), span in zip(bounds, found, strict=True)]
        )


def find_text(row: SpanRow | ClassRow, line: bytes, texts: Texts, datastore: str | None) -> Text:
    """The text of a decoded row's document, as `read` finds it; `line` is the row's source.

    Raises:
        RejectedRowError: the row names no document, or more than one.
    """
    names = candidates(row.image_url, datastore)
    if isinstance(texts, InlineTexts):
        return texts.put(names[0], _text_in(_WITH_TEXT[ProjectKind.ENTITIES].decode(line)))
    return _existing(names, texts)[1]


def _existing(names: tuple[str, ...], texts: Texts) -> tuple[str, Text]:
    if len(names) > 1:
        there = tuple(name for name in names if _exists(name, texts))
        if len(there) > 1:
            raise RejectedRowError(Code.AMBIGUOUS_PATH, f"{' and '.join(map(repr, there))} both exist")
        names = there or names
    return names[0], text_of(names[0], texts)


def _text_in(row: SpanRow | ClassRow) -> str:
    text: str | None = getattr(row, "text", None)
    if text is None:
        raise RejectedRowError(Code.DOCUMENT_MISSING, "the row carries no text")
    return text


def _exists(document: str, texts: Texts) -> bool:
    try:
        return texts.get(document) is not None
    except InvalidTextError:
        return True


def _why_not(line: bytes, error: Exception) -> RejectedRowError:
    """Tell bytes that are no JSON from JSON that is no row."""
    try:
        any_json.decode(line)
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
        row = line.removeprefix(BOM)
        if len(row) > MAX_LINE_BYTES:
            continue
        try:
            yield from candidates(url_row.decode(row).image_url, datastore)
        except (ValueError, RecursionError, RejectedRowError):
            continue
