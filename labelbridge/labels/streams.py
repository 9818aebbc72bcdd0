"""Sorted streams of rows, side by side: what merge and diff are made of.

Prevents comparing two projects by holding both: snapshots are sorted, so one row of each is enough.
"""

from collections.abc import Iterable, Iterator

from labelbridge.labels.rows import LabeledDocument


def aligned(
    *sides: Iterable[LabeledDocument],
) -> Iterator[tuple[str, tuple[LabeledDocument | None, ...]]]:
    """Each document that any side has, with the row of each side or None, sorted by document.

    Args:
        sides: rows sorted by document, each document once, as a snapshot has them.

    Raises:
        ValueError: a side is not sorted.
    """
    streams = [_ascending(side) for side in sides]
    heads = [next(stream, None) for stream in streams]
    while True:
        names = [head.document for head in heads if head is not None]
        if not names:
            return
        document = min(names)
        found = tuple([head if head is not None and head.document == document else None for head in heads])
        yield document, found
        for number, row in enumerate(found):
            if row is not None:
                heads[number] = next(streams[number], None)


def _ascending(rows: Iterable[LabeledDocument]) -> Iterator[LabeledDocument]:
    last: str | None = None
    for row in rows:
        if last is not None and row.document <= last:
            raise ValueError(f"not sorted at {row.document!r}")
        last = row.document
        yield row
