"""Classification labels as CSV: `document,label`, and `dataset` and `language` where known.

Prevents the ambiguity of joined cells: a document with several classes has several rows, one below the
other, so a class may hold commas, semicolons and quotes. A row without a label says that the document
was labelled with nothing. The columns are our choice: Azure does not document those of its own CSV.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.checks import CategoryRules, check_class_count
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.loss import Loss, Losses
from labelbridge.labels.paths import check_name
from labelbridge.labels.rows import LabeledDocument, Quarantined, quarantined
from labelbridge.labels.spill import Seen
from labelbridge.model import ProjectKind

COLUMNS = ("document", "label", "dataset", "language")
MAX_CLASSES = 10_000
"""Rows that are taken together as one document; Language has 200 classes at most."""
_BOM = b"\xef\xbb\xbf"


class _Record(msgspec.Struct):
    """One CSV record; `cells` is None if it cannot be read, and then `why` says why not."""

    line: int
    cells: dict[str, str] | None
    raw: bytes
    why: RejectedRowError | None = None


def write(rows: Iterable[LabeledDocument], *, kind: ProjectKind, losses: Losses) -> Iterator[bytes]:
    """Write rows as CSV in UTF-8 with CRLF line ends, the header first.

    Raises:
        LabelbridgeError: `input_invalid` for a project of entities.
    """
    if kind is ProjectKind.ENTITIES:
        raise LabelbridgeError("input_invalid", "CSV holds classes, not entities: choose another format.")
    yield (",".join(COLUMNS) + "\r\n").encode()
    for row in rows:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        lost: Counter[Loss] = Counter()
        names = [name for name in row.classes if name]
        if len(names) < len(row.classes):
            lost[Loss.NAMELESS] += len(row.classes) - len(names)
        for name in names or [""]:
            writer.writerow((row.document, name, row.dataset or "", row.language or ""))
        losses.note(row.document, lost)
        yield out.getvalue().encode()


def read(
    lines: Iterable[bytes],
    *,
    kind: ProjectKind,
    categories: Collection[str] | None,
    source: str,
    for_language: bool = True,
) -> Iterator[LabeledDocument | Quarantined]:
    r"""Read a CSV; rows of one document must stand together, or the later ones are quarantined.

    Args:
        lines: the file's lines without their `\n` (`lines.split`).
        kind: single-label or multi-label.
        categories: the project's categories; None allows any.
        source: name of the file, for the quarantine.
        for_language: also quarantine category names that Language does not allow.

    Raises:
        LabelbridgeError: `input_invalid` if the header lacks `document` or `label`.
    """
    rules, seen = CategoryRules(categories, for_language=for_language), Seen()
    for group in _groups(_records(lines, source)):
        first = group[0]
        document = first.cells["document"] if first.cells else None
        try:
            if first.why:
                raise first.why
            row = _row(group, kind, rules)
            if seen.first(row.document, first.line) != first.line:
                raise RejectedRowError(Code.DUPLICATE_DOCUMENT, "earlier rows were for this document")
        except RejectedRowError as no:
            raw = b"\n".join(record.raw for record in group)
            yield quarantined(no.code, no.reason, raw, source=source, line=first.line, document=document)
        else:
            yield row


def _row(group: Sequence[_Record], kind: ProjectKind, rules: CategoryRules) -> LabeledDocument:
    cells = [record.cells or {} for record in group]
    check_name(cells[0]["document"])
    classes = tuple([c["label"] for c in cells if c["label"]])
    if len(cells) > 1 and len(classes) < len(cells):
        raise RejectedRowError(Code.ROW_SHAPE, "the document has a row without a label besides others")
    for name in classes:
        rules.check(name)
    check_class_count(kind, classes)
    rest = []
    for column in ("dataset", "language"):
        values = {c.get(column) or None for c in cells}
        if len(values) > 1:
            raise RejectedRowError(Code.ROW_SHAPE, f"rows of the document differ in {column}")
        rest.append(values.pop())
    return LabeledDocument(document=cells[0]["document"], classes=classes, dataset=rest[0], language=rest[1])


def _groups(records: Iterable[_Record]) -> Iterator[list[_Record]]:
    group: list[_Record] = []
    for record in records:
        same = bool(group and record.cells) and _name(record) == _name(group[0])
        if same and len(group) < MAX_CLASSES:
            group.append(record)
            continue
        if group:
            yield group
        group = [record]
    if group:
        yield group


def _name(record: _Record) -> str | None:
    return record.cells["document"] if record.cells else None


def _records(lines: Iterable[bytes], source: str) -> Iterator[_Record]:
    feed = _Feed(lines)
    reader = csv.reader(feed, strict=True)
    header: list[str] | None = None
    while True:
        feed.held.clear()
        feed.too_long = False
        before = feed.number + 1
        why: RejectedRowError | None = None
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            why = RejectedRowError(Code.ROW_SHAPE, f"not CSV: {error}")
        raw = b"\n".join(feed.held)
        if header is None:
            header = _header(cells, source)
            continue
        if not raw.strip() and not feed.too_long:
            continue
        yield _record(header, cells, raw, before, why or _wrong(cells, header, feed.too_long))
    if header is None:
        _header([], source)


def _record(
    header: Sequence[str], cells: Sequence[str], raw: bytes, line: int, why: RejectedRowError | None
) -> _Record:
    named = None if why else dict(zip(header, cells, strict=False))
    return _Record(line, named, raw, why)


def _wrong(cells: Sequence[str], header: Sequence[str], too_long: bool) -> RejectedRowError | None:
    if too_long:
        return RejectedRowError(Code.LINE_TOO_LONG, f"a line of more than {MAX_LINE_BYTES} bytes")
    if len(cells) != len(header):
        return RejectedRowError(Code.ROW_SHAPE, f"{len(cells)} cells under {len(header)} columns")
    if any("\udc80" <= c <= "\udcff" for cell in cells for c in cell):
        return RejectedRowError(Code.INVALID_UTF8, "the row is not UTF-8")
    return None


def _header(cells: list[str], source: str) -> list[str]:
    if not {"document", "label"} <= set(cells) or len(set(cells)) < len(cells):
        raise LabelbridgeError(
            "input_invalid",
            f"{source}: the first line must name the columns document and label, each once.",
        )
    return cells


class _Feed:
    """Gives `csv.reader` its lines and remembers those of the record that it is at."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self.number = 0
        self.held: list[bytes] = []
        self.too_long = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if self.number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > MAX_LINE_BYTES:
            self.too_long = True
            self.held.append(line)
            return "\n"
        self.held.append(line)
        return line.decode("utf-8", "surrogateescape") + "\n"
