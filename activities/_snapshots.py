"""Rows to stored snapshot, stored snapshot to rows: shared by every step that carries labels.

Prevents a step whose memory grows with the project: rows pass one by one from a file to a file, and
only counts are held.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from activities._files import scratch
from labelbridge._threads import in_thread
from labelbridge.errors import LabelbridgeError
from labelbridge.labels import manifest, snapshot
from labelbridge.labels.quarantine import Sieve, Totals
from labelbridge.labels.rows import LabeledDocument, Quarantined
from labelbridge.model import ProjectRef, SnapshotRef
from labelbridge.model.steps import SnapshotOrder
from labelbridge.registry import Registry

Rows = Iterable[LabeledDocument | Quarantined]


class SnapshotStore:
    """Keeps rows as an immutable snapshot, and what could not be read as a quarantine file."""

    def __init__(self, registry: Registry) -> None:
        """`registry` stores the blobs."""
        self._registry = registry

    async def keep(self, rows: Rows, order: SnapshotOrder, *, raw: BinaryIO | None = None) -> SnapshotRef:
        """Store `rows`, which are taken in a thread; `raw` is the project file that they come from.

        Raises:
            LabelbridgeError: `labels_quarantined` if some rows are unreadable and that is not allowed.
        """
        with scratch() as file, scratch() as aside:
            made, digest, totals = await in_thread(lambda: _write(rows, order, file, aside))
            quarantine = None
            if totals.quarantined:
                quarantine = await self._registry.put_quarantine(aside)
                if not order.allow_quarantine:
                    raise _refused(totals, _first(aside), quarantine)
            taken_at = order.asked_at or datetime.now(UTC)
            described = manifest.manifest_of(
                made,
                side=order.side,
                epoch=order.epoch,
                taken_at=taken_at,
                quarantined_codes=totals.codes,
                source_etags=order.sources,
            )
            await self._registry.put_snapshot(order.project, made.id, file, msgspec.to_builtins(described))
            return SnapshotRef(
                id=made.id,
                source=order.side,
                digest=digest,
                epoch=order.epoch,
                documents=made.documents,
                labels=made.labels,
                quarantined=totals.quarantined,
                quarantine=quarantine,
                raw=await self._registry.put_raw(raw) if raw is not None else None,
                taken_at=taken_at,
            )

    async def open(self, project: ProjectRef, snapshot_id: str) -> BinaryIO:
        """A stored snapshot as a temporary file, for `snapshot.stored_rows`; the caller closes it.

        Raises:
            LabelbridgeError: `snapshot_unknown` if this project has none of that id.
        """
        file = await self._registry.open_snapshot(project, snapshot_id)
        if file is not None:
            if snapshot.header(file).project == project.key:
                return file
            file.close()
        raise LabelbridgeError("snapshot_unknown", f"{project.name} has no snapshot {snapshot_id[:12]}.")

    async def unreadable(self, ref: SnapshotRef) -> frozenset[str | None]:
        """Documents whose rows were put aside when the snapshot was taken; None for a row without one."""
        if ref.quarantine is None:
            return frozenset()
        with await self._registry.open_quarantine(ref.quarantine) as file:
            return frozenset(msgspec.json.decode(line, type=Quarantined).document for line in file)

    async def find(self, project: ProjectRef, snapshot_id: str) -> SnapshotRef:
        """The reference of a stored snapshot, from its content; `snapshot_unknown` if there is none."""
        with await self.open(project, snapshot_id) as file:
            found = await in_thread(lambda: snapshot.verify(file))
            digest = await in_thread(lambda: snapshot.labels_digest(file))
        return SnapshotRef(
            id=snapshot_id,
            source="merged",
            digest=digest,
            epoch=0,
            documents=found.documents,
            labels=found.labels,
            taken_at=datetime.now(UTC),
        )


def _write(
    rows: Rows, order: SnapshotOrder, file: BinaryIO, aside: BinaryIO
) -> tuple[snapshot.Summary, str, Totals]:
    sieve = Sieve(aside)
    made = snapshot.write(
        sieve.passing(rows),
        file,
        kind=order.kind,
        project_key=order.project.key,
        categories=order.categories,
    )
    totals = sieve.totals()
    if totals.written != made.documents:
        raise AssertionError(f"{totals.written} rows passed and {made.documents} were written")
    return made, snapshot.labels_digest(file), totals


def readable(rows: Rows) -> Iterator[LabeledDocument]:
    """The rows that can be used."""
    return (row for row in rows if isinstance(row, LabeledDocument))


def _first(aside: BinaryIO) -> Quarantined:
    aside.seek(0)
    return msgspec.json.decode(aside.readline(), type=Quarantined)


def _refused(totals: Totals, first: Quarantined, blob: str) -> LabelbridgeError:
    return LabelbridgeError(
        "labels_quarantined",
        f"{totals.quarantined} rows cannot be used; the first: {first.source}"
        f"{f' line {first.line}' if first.line else ''}: {first.code}: {first.reason}",
        data={"count": str(totals.quarantined), "quarantine": blob},
    )
