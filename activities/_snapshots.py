"""Rows to stored snapshot, stored snapshot to rows: shared by every step that carries labels."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import snapshot
from labelbridge.labels.rows import LabeledDocument, Quarantined
from labelbridge.model import ProjectKind, ProjectRef, SnapshotRef
from labelbridge.registry import Registry

Source = Literal["language", "azureml", "merged", "imported"]


def labels_digest(rows: Iterable[LabeledDocument]) -> str:
    """sha256 of the labels alone: a document labelled with nothing counts as not labelled.

    Language lists a document without labels and one that nobody labelled in the same way, so
    telling them apart would make equal labels look different.
    """
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.document):
        if row.spans or row.classes:
            digest.update(msgspec.json.encode((row.document, sorted(row.spans), sorted(row.classes))))
            digest.update(b"\n")
    return digest.hexdigest()


class SnapshotStore:
    """Keeps rows as an immutable snapshot, and what could not be read as a quarantine file."""

    def __init__(self, registry: Registry) -> None:
        """`registry` stores the blobs."""
        self._registry = registry

    async def keep(
        self,
        rows: Sequence[LabeledDocument],
        *,
        project: ProjectRef,
        kind: ProjectKind,
        categories: Sequence[str],
        source: Source,
        epoch: int,
        quarantined: Sequence[Quarantined] = (),
        allow_quarantine: bool = True,
        raw: bytes | None = None,
    ) -> SnapshotRef:
        """Store `rows`; refuses with `labels_quarantined` if some were unreadable and that is not allowed."""
        quarantine = None
        if quarantined:
            lines = b"".join(msgspec.json.encode(item) + b"\n" for item in quarantined)
            quarantine = await self._registry.put_quarantine(lines)
            if not allow_quarantine:
                raise _refused(quarantined, quarantine)
        encoded = snapshot.encode(rows, kind=kind, project_key=project.key, categories=categories)
        taken_at = datetime.now(UTC)
        manifest = {
            "id": encoded.id,
            "project": project.key,
            "source": source,
            "epoch": epoch,
            "unit": "utf16",
            "documents": encoded.documents,
            "labels": encoded.labels,
            "counts": encoded.counts,
            "quarantined": len(quarantined),
            "taken_at": taken_at.isoformat(),
        }
        await self._registry.put_snapshot(project, encoded.id, encoded.content, manifest)
        return SnapshotRef(
            id=encoded.id,
            source=source,
            digest=labels_digest(rows),
            epoch=epoch,
            documents=encoded.documents,
            labels=encoded.labels,
            quarantined=len(quarantined),
            quarantine=quarantine,
            raw=await self._registry.put_raw(raw) if raw is not None else None,
            taken_at=taken_at,
        )

    async def rows(self, project: ProjectRef, snapshot_id: str) -> list[LabeledDocument]:
        """The rows of a stored snapshot; `snapshot_unknown` if this project has none of that id."""
        content = await self._registry.read_snapshot(project, snapshot_id)
        found = snapshot.decode(content, expected_id=snapshot_id) if content is not None else None
        if found is None or found.header.project != project.key:
            raise LabelbridgeError("snapshot_unknown", f"{project.name} has no snapshot {snapshot_id[:12]}.")
        return list(found.rows())

    async def unreadable(self, ref: SnapshotRef) -> frozenset[str | None]:
        """Documents whose rows were put aside when the snapshot was taken; None for a row without one."""
        if ref.quarantine is None:
            return frozenset()
        data = await self._registry.read_quarantine(ref.quarantine)
        return frozenset(
            msgspec.json.decode(line, type=Quarantined).document for line in data.splitlines() if line
        )

    async def find(self, project: ProjectRef, snapshot_id: str) -> SnapshotRef:
        """The reference of a stored snapshot, from its content; `snapshot_unknown` if there is none."""
        rows = await self.rows(project, snapshot_id)
        return SnapshotRef(
            id=snapshot_id,
            source="merged",
            digest=labels_digest(rows),
            epoch=0,
            documents=len(rows),
            labels=sum(len(row.spans) + len(row.classes) for row in rows),
            taken_at=datetime.now(UTC),
        )


def _refused(quarantined: Sequence[Quarantined], blob: str) -> LabelbridgeError:
    first = quarantined[0]
    return LabelbridgeError(
        "labels_quarantined",
        f"{len(quarantined)} rows cannot be used; the first: {first.source}"
        f"{f' line {first.line}' if first.line else ''}: {first.code}: {first.reason}",
        data={"count": str(len(quarantined)), "quarantine": blob},
    )
