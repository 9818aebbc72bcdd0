"""Snapshots: all labels of one side as canonical bytes, named by their own hash.

Prevents two failures: labels that changed between two steps without anybody noticing (the id is the
sha256 of the content, so a snapshot can be checked wherever it is read), and two copies of the same
labels that compare as different (one spelling for each row, sorted).

Content: one JSON header line, then one JSON line per document, sorted by document (code points, which
is the order of the UTF-8 bytes too). Offsets are UTF-16 units.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.rows import LabeledDocument, Span
from labelbridge.model import ProjectKind

SCHEMA_VERSION = 1
FORMAT = "labelbridge-snapshot"


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
        return _rows(self.content)

    def by_document(self) -> dict[str, LabeledDocument]:
        """The rows by document."""
        return {row.document: row for row in self.rows()}


def encode(
    rows: Iterable[LabeledDocument], *, kind: ProjectKind, project_key: str, categories: Sequence[str]
) -> Snapshot:
    """Make the snapshot of `rows`; the order of rows and of labels in a row does not matter.

    Raises:
        LabelbridgeError: `labels_quarantined` if a document is there twice.
    """
    header = SnapshotHeader(kind=kind, project=project_key, categories=tuple(categories))
    ordered = sorted(rows, key=_document)
    for before, after in itertools.pairwise(ordered):
        if before.document == after.document:
            raise LabelbridgeError("labels_quarantined", f"two rows for the document {after.document!r}")
    encoder = msgspec.json.Encoder()
    counts: Counter[str] = Counter()
    lines = [encoder.encode(header)]
    for row in ordered:
        _count(row, counts)
        lines.append(encoder.encode(_line(row)))
    content = b"\n".join(lines) + b"\n"
    return _snapshot(content, header, len(ordered), counts)


def decode(content: bytes, *, expected_id: str | None = None) -> Snapshot:
    """Read a snapshot back, checking every line.

    Raises:
        LabelbridgeError: `snapshot_unreadable`: another schema version, altered, or no snapshot at all.
    """
    if expected_id is not None and hashlib.sha256(content).hexdigest() != expected_id:
        raise LabelbridgeError("snapshot_unreadable", f"the content is not that of snapshot {expected_id}")
    header = _header(content)
    counts: Counter[str] = Counter()
    documents, last = 0, None
    for row in _rows(content):
        if last is not None and row.document <= last:
            raise LabelbridgeError("snapshot_unreadable", f"out of order at {row.document!r}")
        last = row.document
        documents += 1
        _count(row, counts)
    return _snapshot(content, header, documents, counts)


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


def _document(row: LabeledDocument) -> str:
    return row.document


def _line(row: LabeledDocument) -> _Line:
    return _Line(
        document=row.document,
        dataset=row.dataset,
        language=row.language,
        spans=tuple(sorted([(span.start, span.length, span.category) for span in row.spans])),
        classes=tuple(sorted(row.classes)),
    )


def _count(row: LabeledDocument, counts: Counter[str]) -> None:
    for span in row.spans:
        counts[span.category] += 1
    for name in row.classes:
        counts[name] += 1


def _snapshot(content: bytes, header: SnapshotHeader, documents: int, counts: Counter[str]) -> Snapshot:
    return Snapshot(
        id=hashlib.sha256(content).hexdigest(),
        content=content,
        header=header,
        documents=documents,
        labels=counts.total(),
        counts=dict(sorted(counts.items())),
    )


def _header(content: bytes) -> SnapshotHeader:
    line, end, _ = content.partition(b"\n")
    try:
        if not end:
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


def _rows(content: bytes) -> Iterator[LabeledDocument]:
    decoder = msgspec.json.Decoder(_Line)
    start = content.find(b"\n") + 1
    number = 1
    while start and start < len(content):
        end = content.find(b"\n", start)
        number += 1
        try:
            if end < 0:
                raise ValueError("the last line does not end")
            line = decoder.decode(memoryview(content)[start:end])
        except (ValueError, RecursionError) as error:
            raise LabelbridgeError("snapshot_unreadable", f"line {number}: {error}") from error
        spans = tuple([Span(*span) for span in line.spans])
        yield LabeledDocument(
            document=line.document,
            spans=spans,
            classes=line.classes,
            dataset=line.dataset,
            language=line.language,
        )
        start = end + 1
