"""Counts what passes and keeps what does not: in = out + quarantined, always.

Prevents the conversion that says "done" while rows are missing: every row that a reader gives is
counted on one side or the other, and the totals are held against each other at the end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from labelbridge.labels.batches import Batch
from labelbridge.labels.rows import LabeledDocument, Quarantined

_BATCH = 512


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What came in and what became of it; a row is one document's labels."""

    rows: int
    """Rows that were read, the quarantined ones included."""
    written: int
    quarantined: int
    codes: dict[str, int]
    """Quarantined rows by code."""
    labels: int
    """Spans or classes in the rows written."""
    counts: dict[str, int]
    """The same by category."""


class Sieve:
    """Lets rows through and puts quarantined ones into a side file, one JSON line each."""

    def __init__(self, side: BinaryIO | None) -> None:
        """`side`: where quarantined rows go; None only counts them."""
        self._side = side
        self._encoder = msgspec.json.Encoder()
        self._codes: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._rows = 0
        self._written = 0

    def passing(self, items: Iterable[LabeledDocument | Quarantined]) -> Iterator[LabeledDocument]:
        """The rows that can be used, in order."""
        held: list[LabeledDocument] = []
        rows, written = 0, 0
        try:
            for item in items:
                rows += 1
                if isinstance(item, Quarantined):
                    self._put_aside(item)
                    continue
                held.append(item)
                if len(held) >= _BATCH:
                    self._count(held)
                yield item
                written += 1
        finally:
            self._rows += rows
            self._written += written
            self._count(held)

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same for whole batches; who takes them leaves what was put aside alone."""
        for batch in batches:
            self._rows += len(batch.items)
            for item in batch.aside:
                self._put_aside(item)
            self._counts.update(batch.counts)
            yield batch
            self._written += len(batch.rows)

    def _put_aside(self, item: Quarantined) -> None:
        self._codes[item.code] += 1
        if self._side is not None:
            self._side.write(self._encoder.encode(item) + b"\n")

    def _count(self, held: list[LabeledDocument]) -> None:
        """Count categories in batches, which is many times faster than one by one."""
        self._counts.update([span.category for row in held for span in row.spans])
        self._counts.update([name for row in held if row.classes for name in row.classes])
        held.clear()

    @property
    def quarantined(self) -> int:
        """Rows put aside so far."""
        return self._codes.total()

    def totals(self) -> Totals:
        """The totals; call it when the last row has been taken."""
        if self._rows != self._written + self.quarantined:
            raise AssertionError(
                f"{self._rows} rows in, {self._written} out and {self.quarantined} quarantined"
            )
        return Totals(
            rows=self._rows,
            written=self._written,
            quarantined=self.quarantined,
            codes=dict(sorted(self._codes.items())),
            labels=self._counts.total(),
            counts=dict(sorted(self._counts.items())),
        )
