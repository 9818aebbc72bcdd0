"""Snapshots: all labels of one side as canonical bytes, named by their own hash.

Prevents two failures: labels that changed between two steps without anybody noticing (the id is the
sha256 of the content, so a snapshot can be checked wherever it is read), and two copies of the same
labels that compare as different (one spelling for each row, sorted).

Content: one JSON header line, then one JSON line per document, sorted by document (code points, which
is the order of the UTF-8 bytes too). Offsets are UTF-16 units.
"""

import hashlib
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.rows import LabeledDocument, Span
from labelbridge.labels.spill import in_order
from labelbridge.model import ProjectKind

SCHEMA_VERSION = 1
FORMAT = "labelbridge-snapshot"
MAX_HEADER = 16 << 20
"""Bytes of the first line, at most: it holds the project's categories."""
_READ = 1 << 16


class SnapshotHeader(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a snapshot."""

    format: str = FORMAT
    schema_version: int = SCHEMA_VERSION
    kind: ProjectKind
    project: str
    """Key of the project (`ProjectRef.key`)."""
    categories: tuple[str, ...]
    """The project's categories, in its order."""
    unit: str = "utf16"


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    document: str
    dataset: str | None = None
    language: str | None = None
    spans: tuple[tuple[int, int, str], ...] = ()
    classes: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot in memory: the bytes to store, their name, and what they hold."""

    id: str
    """sha256 of `content`, hex."""
    content: bytes
    header: SnapshotHeader
    documents: int
    """Labelled documents, those labelled with nothing included."""
    labels: int
    """Spans or classes."""
    counts: dict[str, int]
    """Labels by category, sorted by category."""

    def rows(self) -> Iterator[LabeledDocument]:
        """The rows, sorted by document."""
        return stored_rows(io.BytesIO(self.content))

    def by_document(self) -> dict[str, LabeledDocument]:
        """The rows by document."""
        return {row.document: row for row in self.rows()}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot holds, without its content."""

    id: str
    """sha256 of the content, hex."""
    size: int
    """Bytes of the content."""
    header: SnapshotHeader
    documents: int
    labels: int
    counts: dict[str, int]
    """Labels by category, sorted by category."""


def encode(
    rows: Iterable[LabeledDocument], *, kind: ProjectKind, project_key: str, categories: Sequence[str]
) -> Snapshot:
    """Make the snapshot of `rows` in memory; see `write`."""
    out = io.BytesIO()
    made = write(rows, out, kind=kind, project_key=project_key, categories=categories)
    return _snapshot(made, out.getvalue())


def write(
    rows: Iterable[LabeledDocument],
    out: BinaryIO,
    *,
    kind: ProjectKind,
    project_key: str,
    categories: Sequence[str] | None,
) -> Summary:
    """Write the snapshot of `rows`, in bounded memory; the order of rows and of labels does not matter.

    `categories` None stands for those that the rows use, sorted.

    Raises:
        LabelbridgeError: `labels_quarantined` if a document is there twice.
    """
    tally = _Tally(SnapshotHeader(kind=kind, project=project_key, categories=tuple(categories or ())))
    encode_line = msgspec.json.Encoder().encode
    ordered = in_order((row.document, encode_line(_line(tally.counted(row)))) for row in rows)
    first = next(ordered, None)  # sorting has taken all rows, so the categories are known now
    if categories is None:
        tally.header = msgspec.structs.replace(tally.header, categories=tally.used)
    tally.add_bytes(out, msgspec.json.encode(tally.header) + b"\n")
    last = None
    for document, line in itertools.chain(() if first is None else (first,), ordered):
        if document == last:
            raise LabelbridgeError("labels_quarantined", f"two rows for the document {document!r}")
        last = document
        tally.add_bytes(out, line + b"\n")
    return tally.summary()


def decode(content: bytes, *, expected_id: str | None = None) -> Snapshot:
    """Read a snapshot back, checking every line.

    Raises:
        LabelbridgeError: `snapshot_unreadable`: another schema version, altered, or no snapshot at all.
    """
    if expected_id is not None and hashlib.sha256(content).hexdigest() != expected_id:
        raise LabelbridgeError("snapshot_unreadable", f"the content is not that of snapshot {expected_id}")
    return _snapshot(verify(io.BytesIO(content)), content)


def verify(file: BinaryIO) -> Summary:
    """Read a whole snapshot, in bounded memory, and say what it holds.

    Raises:
        LabelbridgeError: `snapshot_unreadable`, as `decode`.
    """
    tally = _Tally(header(file))
    for row in stored_rows(file):
        tally.counted(row)
    file.seek(0)
    while block := file.read(_READ):
        tally.add_bytes(None, block)
    return tally.summary()


def header(file: BinaryIO) -> SnapshotHeader:
    """The header of a snapshot, from its first line."""
    file.seek(0)
    return _header(file.readline(MAX_HEADER))


def stored_rows(file: BinaryIO) -> Iterator[LabeledDocument]:
    """The rows of a snapshot, sorted by document, one at a time; the header must be that of a snapshot.

    Raises:
        LabelbridgeError: `snapshot_unreadable` at the first line that is none, or out of order.
    """
    file.seek(0)
    if not file.readline(MAX_HEADER).endswith(b"\n"):
        raise LabelbridgeError("snapshot_unreadable", "the header does not end")
    decoder = msgspec.json.Decoder(_Line)
    last: str | None = None
    for number, line in enumerate(_lines(file), 2):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line does not end")
            found = decoder.decode(line)
        except (ValueError, RecursionError) as error:
            raise LabelbridgeError("snapshot_unreadable", f"line {number}: {error}") from error
        if last is not None and found.document <= last:
            raise LabelbridgeError("snapshot_unreadable", f"out of order at {found.document!r}")
        last = found.document
        yield LabeledDocument(
            document=found.document,
            spans=tuple([Span(*span) for span in found.spans]),
            classes=found.classes,
            dataset=found.dataset,
            language=found.language,
        )


def labels_digest(file: BinaryIO) -> str:
    """sha256 (hex) of the labels alone that a snapshot holds.

    A document labelled with nothing counts as not labelled: Language lists a document without labels
    and one that nobody labelled in the same way, so telling them apart would make equal labels look
    different.
    """
    digest = hashlib.sha256()
    decode, encode = msgspec.json.Decoder(_Line).decode_lines, msgspec.json.Encoder().encode_lines
    file.seek(0)
    file.readline(MAX_HEADER)
    rest = b""
    while True:
        block = file.read(_READ)
        cut = (rest + block).rfind(b"\n") + 1 if block else len(rest)
        whole, rest = (rest + block)[:cut], (rest + block)[cut:]
        lines = decode(whole) if whole else []
        digest.update(
            encode([(one.document, one.spans, one.classes) for one in lines if one.spans or one.classes])
        )
        if not block:
            return digest.hexdigest()


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line


class _Tally:
    """Counts and hashes a snapshot while it passes."""

    def __init__(self, header: SnapshotHeader) -> None:
        self.header = header
        self._counts: Counter[str] = Counter()
        self._documents = 0
        self._size = 0
        self._digest = hashlib.sha256()

    def counted(self, row: LabeledDocument) -> LabeledDocument:
        counts = self._counts
        self._documents += 1
        for span in row.spans:
            counts[span.category] += 1
        for name in row.classes:
            counts[name] += 1
        return row

    @property
    def used(self) -> tuple[str, ...]:
        """The categories counted so far, sorted."""
        return tuple(sorted(self._counts))

    def add_bytes(self, out: BinaryIO | None, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        if out is not None:
            out.write(data)

    def summary(self) -> Summary:
        return Summary(
            id=self._digest.hexdigest(),
            size=self._size,
            header=self.header,
            documents=self._documents,
            labels=self._counts.total(),
            counts=dict(sorted(self._counts.items())),
        )


def same_labels(
    a: Iterable[LabeledDocument], b: Iterable[LabeledDocument], *, empty_is_absent: bool = False
) -> list[str]:
    """Documents whose labels differ, sorted; an empty list means that the labels are the same.

    No row and a row without labels differ, unless `empty_is_absent`: for a studio that cannot tell
    "labelled with nothing" from "not labelled".
    """
    left = {row.document: row.labels_key for row in a}
    right = {row.document: row.labels_key for row in b}
    absent = ((), ()) if empty_is_absent else None
    return sorted(d for d in left.keys() | right.keys() if left.get(d, absent) != right.get(d, absent))


def _line(row: LabeledDocument) -> _Line:
    return _Line(
        document=row.document,
        dataset=row.dataset,
        language=row.language,
        spans=tuple(sorted([(span.start, span.length, span.category) for span in row.spans])),
        classes=tuple(sorted(row.classes)),
    )


def _snapshot(made: Summary, content: bytes) -> Snapshot:
    return Snapshot(
        id=made.id,
        content=content,
        header=made.header,
        documents=made.documents,
        labels=made.labels,
        counts=made.counts,
    )


def _header(line: bytes) -> SnapshotHeader:
    try:
        if not line.endswith(b"\n"):
            raise ValueError("the first line does not end")
        version = msgspec.json.decode(line, type=dict[str, object]).get("schema_version")
        if version != SCHEMA_VERSION:
            raise LabelbridgeError(
                "snapshot_unreadable", f"schema version {version!r}; this version reads {SCHEMA_VERSION}"
            )
        header = msgspec.json.decode(line, type=SnapshotHeader)
    except (ValueError, RecursionError) as error:
        raise LabelbridgeError("snapshot_unreadable", f"the header: {error}") from error
    if header.format != FORMAT:
        raise LabelbridgeError("snapshot_unreadable", f"a file of format {header.format!r}")
    return header
