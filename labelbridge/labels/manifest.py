"""The manifest beside a snapshot: what it is, where it came from, and what did not get into it.

Prevents a snapshot that nobody can judge later: its counts, its categories and the state of its sources
stand beside it, so that two snapshots can be compared before either is read.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import msgspec

from labelbridge.labels.quarantine import Totals
from labelbridge.labels.snapshot import SCHEMA_VERSION, Snapshot, Summary
from labelbridge.model import ProjectKind


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Describes one snapshot; written once, beside it."""

    schema_version: int
    """Of the snapshot's content."""
    id: str
    sha256: str
    """Of the snapshot's content: the id."""
    project: str
    kind: ProjectKind
    side: str
    """`language`, `azureml`, `merged` or `imported`."""
    epoch: int
    unit: str
    """Unit of the snapshot's offsets."""
    documents: int
    labels: int
    counts: dict[str, int]
    """Labels by category."""
    categories: tuple[str, ...]
    ontology: str
    """`ontology_hash` of the categories."""
    rows: int
    """Rows in the source: documents and quarantined ones."""
    quarantined: int
    quarantined_codes: dict[str, int]
    source_etags: dict[str, str]
    """Blobs or jobs that the labels were read from, with the ETag or id they were read under."""
    tool_version: str
    taken_at: datetime


def ontology_hash(kind: ProjectKind, categories: Sequence[str]) -> str:
    """sha256 (hex) of kind and categories, in any order: the same labels can be given in the same hash."""
    return hashlib.sha256(msgspec.json.encode([kind.value, sorted(set(categories))])).hexdigest()


def manifest_of(
    snapshot: Snapshot | Summary,
    *,
    side: str,
    epoch: int,
    taken_at: datetime,
    quarantined_codes: Mapping[str, int] | None = None,
    source_etags: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of a snapshot.

    Args:
        snapshot: what it describes.
        side: where the labels came from.
        epoch: the connection's epoch then.
        taken_at: when, with a time zone.
        quarantined_codes: rows put aside, by code (`Totals.codes`).
        source_etags: see `Manifest`.
    """
    header, codes = snapshot.header, dict(quarantined_codes or {})
    return Manifest(
        schema_version=SCHEMA_VERSION,
        id=snapshot.id,
        sha256=snapshot.id,
        project=header.project,
        kind=header.kind,
        side=side,
        epoch=epoch,
        unit=header.unit,
        documents=snapshot.documents,
        labels=snapshot.labels,
        counts=snapshot.counts,
        categories=header.categories,
        ontology=ontology_hash(header.kind, header.categories),
        rows=snapshot.documents + sum(codes.values()),
        quarantined=sum(codes.values()),
        quarantined_codes=codes,
        source_etags=dict(source_etags or {}),
        tool_version=tool_version(),
        taken_at=taken_at,
    )


def balanced(manifest: Manifest, totals: Totals) -> bool:
    """True if a conversion's totals are those of the snapshot it made: nothing in between was lost."""
    return (manifest.rows, manifest.documents, manifest.labels) == (
        totals.rows,
        totals.written,
        totals.labels,
    )


def tool_version() -> str:
    """Version of this Labelbridge."""
    try:
        return version("labelbridge")
    except PackageNotFoundError:
        return "unknown"
