"""What changed between two snapshots, by document and span; as a table and as JSON.

Prevents the question "what did the labelers do since?" from being answered by reading two files of a
hundred megabytes: only documents that differ are given, with exactly what differs in them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TypeVar

import msgspec

from labelbridge.labels.rows import LabeledDocument, Span
from labelbridge.labels.streams import aligned

_Label = TypeVar("_Label", Span, str)


class Status(StrEnum):
    """What happened to a document's labels."""

    ADDED = "added"
    """Not labelled before. A document labelled with nothing is labelled."""
    REMOVED = "removed"
    """Not labelled any more."""
    CHANGED = "changed"
    """Other labels, another Train/Test assignment or another language."""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document that differs; each tuple is sorted, and holds a label as often as the counts differ."""

    document: str
    status: Status
    spans_added: tuple[Span, ...] = ()
    spans_removed: tuple[Span, ...] = ()
    classes_added: tuple[str, ...] = ()
    classes_removed: tuple[str, ...] = ()
    dataset: tuple[str | None, str | None] | None = None
    """Before and after, if it changed in a document that both have."""
    language: tuple[str | None, str | None] | None = None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """How many changes of each kind, and the changes that were kept; `same` counts documents without any."""

    added: int
    removed: int
    changed: int
    same: int
    labels_added: int
    labels_removed: int
    changes: tuple[Change, ...]


TABLE_HEADER = ("document", "status", "what", "label", "start", "length")
"""Columns of `table`."""


def changes(before: Iterable[LabeledDocument], after: Iterable[LabeledDocument]) -> Iterator[Change | None]:
    """One item for each document of either snapshot, sorted: its change, or None if it has none.

    Args:
        before: rows sorted by document, as a snapshot has them.
        after: the same, later.
    """
    for document, (old, new) in aligned(before, after):
        if old is None:
            assert new is not None
            yield Change(
                document=document,
                status=Status.ADDED,
                spans_added=tuple(sorted(new.spans)),
                classes_added=tuple(sorted(new.classes)),
            )
        elif new is None:
            yield Change(
                document=document,
                status=Status.REMOVED,
                spans_removed=tuple(sorted(old.spans)),
                classes_removed=tuple(sorted(old.classes)),
            )
        else:
            yield _change(document, old, new)


def _change(document: str, old: LabeledDocument, new: LabeledDocument) -> Change | None:
    change = Change(
        document=document,
        status=Status.CHANGED,
        spans_added=_more(new.spans, old.spans),
        spans_removed=_more(old.spans, new.spans),
        classes_added=_more(new.classes, old.classes),
        classes_removed=_more(old.classes, new.classes),
        dataset=None if old.dataset == new.dataset else (old.dataset, new.dataset),
        language=None if old.language == new.language else (old.language, new.language),
    )
    return None if change == Change(document=document, status=Status.CHANGED) else change


def _more(one: tuple[_Label, ...], other: tuple[_Label, ...]) -> tuple[_Label, ...]:
    return tuple(sorted((Counter(one) - Counter(other)).elements()))


def diff(
    before: Iterable[LabeledDocument],
    after: Iterable[LabeledDocument],
    *,
    past: str | None = None,
    most: int | None = None,
) -> Diff:
    """Count every change and keep those asked for; memory grows with what is kept, not with the snapshots.

    Args:
        before: rows sorted by document, as a snapshot has them.
        after: the same, later.
        past: only changes of documents that sort after this one are kept.
        most: at most so many changes are kept, the first ones; all if None.
    """
    counts = dict.fromkeys(Status, 0)
    same = added = removed = 0
    kept: list[Change] = []
    for change in changes(before, after):
        if change is None:
            same += 1
            continue
        counts[change.status] += 1
        added += len(change.spans_added) + len(change.classes_added)
        removed += len(change.spans_removed) + len(change.classes_removed)
        if (past is None or change.document > past) and (most is None or len(kept) < most):
            kept.append(change)
    return Diff(
        added=counts[Status.ADDED],
        removed=counts[Status.REMOVED],
        changed=counts[Status.CHANGED],
        same=same,
        labels_added=added,
        labels_removed=removed,
        changes=tuple(kept),
    )


def table(found: Diff) -> Iterator[tuple[str, ...]]:
    """One line for each label that came or went; columns as in `TABLE_HEADER`, offsets in UTF-16 units."""
    for change in found.changes:
        lines = list(_lines(change))
        for what, label, start, length in lines or [("labelled with nothing", "", "", "")]:
            yield change.document, change.status.value, what, label, start, length


def _lines(change: Change) -> Iterator[tuple[str, str, str, str]]:
    for sign, spans in (("-", change.spans_removed), ("+", change.spans_added)):
        yield from ((sign, span.category, str(span.start), str(span.length)) for span in spans)
    for sign, classes in (("-", change.classes_removed), ("+", change.classes_added)):
        yield from ((sign, name, "", "") for name in classes)
    for field, pair in (("dataset", change.dataset), ("language", change.language)):
        if pair is not None:
            yield field, f"{pair[0] or 'none'} to {pair[1] or 'none'}", "", ""
