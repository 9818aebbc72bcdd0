"""Azure ML's rows in blocks: what is ordinary is read many rows at once, the rest as `RowReader` reads it.

Prevents two readers that disagree: nothing is rejected here. A row that is not plainly right is given
to `RowReader.one`, which alone decides what is wrong with it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import BinaryIO, cast

from labelbridge.labels._azureml_wire import AmlSpan, ClassRow, SpanRow
from labelbridge.labels.azureml_jsonl import BOM, RowReader
from labelbridge.labels.batches import Batch, Item
from labelbridge.labels.checks import MAX_DOCUMENT, MAX_SPAN, text_of
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.lines import blocks
from labelbridge.labels.offsets import Text
from labelbridge.labels.paths import all_plain, candidates
from labelbridge.labels.rows import LabeledDocument, Quarantined, Span
from labelbridge.model import OffsetUnit

_first_byte, _last_byte = itemgetter(0), itemgetter(-1)
_url, _text = attrgetter("image_url"), attrgetter("text")
_OPENING, _CLOSING = {ord("{")}, {ord("}")}
Rows = Sequence[SpanRow | ClassRow]


class BlockReader(RowReader):
    """A `RowReader` for seekable files, several times faster."""

    def read_file(self, file: BinaryIO, source: str) -> Iterator[LabeledDocument | Quarantined]:
        """What `read` gives for the lines of the file."""
        for batch in self.batches(file, source):
            yield from batch.items

    def batches(self, file: BinaryIO, source: str) -> Iterator[Batch]:
        """The same, a block of the file at once."""
        before = number = self._next(source)
        for block in blocks(file):
            lines = block.split(b"\n")
            lines.pop()
            if self._inline is not None:
                self._inline.begin()
            yield self._batch(block, lines, number, before, source)
            number += len(lines)

    def _batch(self, block: bytes, lines: list[bytes], number: int, before: int, source: str) -> Batch:
        """The rows of a block whose first line is number + 1 of all files, the file's being before + 1."""
        rows = self._decoded(block, lines)
        names = self._names(rows)
        texts = self._measured(names, rows)
        found, categories = self._labelled(names, rows, texts) if names else ([], [])
        if found and None not in found and (self._seen is None or self._seen.all_first(names, number + 1)):
            self._lines = number + len(lines)
            measured = None if self._texts is None else texts
            plain = cast("list[LabeledDocument]", found)
            return Batch.clean(plain, cast("list[Text] | None", measured), categories)
        return self._one_by_one(lines, rows, texts, found, (number, before), source)

    def _one_by_one(
        self,
        lines: list[bytes],
        rows: Rows,
        texts: Sequence[Text | None],
        found: Sequence[LabeledDocument | None],
        place: tuple[int, int],
        source: str,
    ) -> Batch:
        """The block's rows where some of them are not plainly right; `place` as in `_batch`."""
        items: list[Item] = []
        measures: list[Text] = []
        strings: list[str] = []
        number, before = place
        for index, line in enumerate(lines):
            self._lines = number + index + 1
            item: Item | None = found[index] if found else None
            text = texts[index] if texts else None
            if isinstance(item, LabeledDocument) and self._is_first(item.document):
                string = getattr(rows[index], "text", None)
            else:
                item = self.one(line.removeprefix(BOM), self._lines - before, source)
                string, text = self._given(item)
            if item is not None:
                items.append(item)
            if text is not None and isinstance(item, LabeledDocument):
                measures.append(text)
                strings.append(string or "")
        batch = Batch(items, None if self._texts is None else measures)
        if self._inline is not None:
            self._inline.settle([row.document for row in batch.rows], strings, measures)
        return batch

    def _given(self, item: Item | None) -> tuple[str | None, Text | None]:
        """The text that `one` has just held a row against."""
        if not isinstance(item, LabeledDocument) or self._texts is None:
            return None, None
        if self._inline is not None and self._inline.last is not None:
            return self._inline.last
        return None, text_of(item.document, self._texts)

    def _is_first(self, document: str) -> bool:
        return self._seen is None or self._seen.first(document, self._lines) == self._lines

    def _decoded(self, block: bytes, lines: list[bytes]) -> Rows:
        """The rows of a block, if it has exactly one in each line; none otherwise."""
        try:
            # A line feed between } and { cannot stand inside a JSON value.
            if set(map(_first_byte, lines)) != _OPENING or set(map(_last_byte, lines)) != _CLOSING:
                return ()
            rows: list[SpanRow | ClassRow] = self._decoder.decode_lines(block)
        except (ValueError, IndexError, RecursionError):
            return ()
        return rows if len(rows) == len(lines) else ()

    def _names(self, rows: Rows) -> list[str]:
        """The documents of rows that all name one in the same plain way; none otherwise."""
        urls = list(map(_url, rows))
        if not urls:
            return []
        names = _after(self._prefix, urls)
        if not names:
            self._learn_prefix(urls[0])
            names = _after(self._prefix, urls)
        return names if all_plain(names) else []

    def _learn_prefix(self, url: str) -> None:
        try:
            named = candidates(url, self._datastore)
        except RejectedRowError:
            return
        if len(named) == 1 and url.endswith(named[0]):
            self._prefix = url[: len(url) - len(named[0])]

    def _measured(self, names: list[str], rows: Rows) -> list[Text | None]:
        """The text of each row's document, None for one that `one` has to look at."""
        if self._inline is not None and names:
            texts = list(map(_text, rows))
            if None not in texts:
                return list(self._inline.put_all(names, texts))
        return [self._measure(name) for name in names]

    def _measure(self, name: str) -> Text | None:
        if self._texts is None or self._inline is not None:
            return None
        try:
            return text_of(name, self._texts)
        except RejectedRowError:
            return None

    def _labelled(
        self, names: list[str], rows: Rows, texts: Sequence[Text | None]
    ) -> tuple[list[LabeledDocument | None], list[str]]:
        """The labels of each row if there is nothing to say against them, and the categories of all labels.

        None in place of a row leaves it to `one`.
        """
        found: list[LabeledDocument | None] = []
        categories: list[str] = []
        known, in_points = self._rules.known, self._unit is OffsetUnit.CODEPOINT
        for name, row, text in zip(names, rows, texts, strict=True):
            if text is not None and isinstance(row, SpanRow) and (in_points or not text.astral):
                used = [span.label for span in row.label]
                if known.issuperset(used):
                    spans = _converted(row.label, text) if text.astral else _as_they_are(row.label, text)
                    if spans is not None:
                        found.append(LabeledDocument(document=name, spans=spans))
                        categories += used
                        continue
            checked = self._checked(name, row, text)
            found.append(checked)
            if checked is not None:
                categories += [span.category for span in checked.spans]
                categories += checked.classes
        return found, categories

    def _checked(self, name: str, row: SpanRow | ClassRow, text: Text | None) -> LabeledDocument | None:
        if text is None and self._texts is not None:
            return None
        try:
            return self._row(name, text, row)
        except RejectedRowError:
            return None


def _as_they_are(labels: list[AmlSpan], text: Text) -> tuple[Span, ...] | None:
    """Spans of a text in which the units agree: most are. None if one is not plainly right."""
    length, spans = text.codepoint_length, []
    for span in labels:
        start, end = span.start, span.end
        if not 0 <= start < end <= length or end - start > MAX_SPAN:
            return None
        spans.append(Span(start, end - start, span.label))
    return None if length > MAX_DOCUMENT else tuple(spans)


def _converted(labels: list[AmlSpan], text: Text) -> tuple[Span, ...] | None:
    """The same from code points, for a text with characters beyond the BMP."""
    length, astral, spans = text.codepoint_length, text.astral, []
    for span in labels:
        start, end = span.start, span.end
        if not 0 <= start < end <= length:
            return None
        start, end = start + bisect_left(astral, start), end + bisect_left(astral, end)
        if end - start > MAX_SPAN:
            return None
        spans.append(Span(start, end - start, span.label))
    return None if length + len(astral) > MAX_DOCUMENT else tuple(spans)


def _after(prefix: str, urls: list[str]) -> list[str]:
    """What follows `prefix` in each of `urls`; nothing if one does not begin with it."""
    joined = "\n".join(urls)
    if not joined.startswith(prefix) or joined.count("\n") != len(urls) - 1:
        return []
    names = joined[len(prefix) :].split("\n" + prefix)
    return names if len(names) == len(urls) else []
