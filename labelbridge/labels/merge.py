"""Three-way merge: the labels of the side that is left, laid over those of the side that is opened.

Prevents two losses: labels of the gated side that nobody touched must not be overwritten by what the
other side never knew, and a row that merely could not be read must not look like one that was cleared.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from labelbridge.labels.rows import LabeledDocument, LabelsKey


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge; each tuple of documents is sorted, and a document is in one of the first three."""

    rows: dict[str, LabeledDocument]
    """Labels after the merge, sorted by document."""
    taken: tuple[str, ...]
    """Documents whose labels came from `changed`."""
    kept: tuple[str, ...]
    """Documents whose labels stayed those of `onto`."""
    cleared: tuple[str, ...]
    """Documents that `changed` no longer labels, though `base` did."""
    conflicts: tuple[str, ...]
    """Documents that both sides changed, differently; the value of `changed` was taken."""


def overlay(
    *,
    onto: Mapping[str, LabeledDocument],
    base: Mapping[str, LabeledDocument],
    changed: Mapping[str, LabeledDocument],
    onto_base: Mapping[str, LabeledDocument] | None = None,
    unreadable: Collection[str | None] = (),
) -> Merged:
    """Lay what `changed` changed since `base` over `onto`, per document.

    Where `changed` differs from `base` its value wins, and a row that vanished clears the document;
    elsewhere the value of `onto` stays. Dataset and language stay those of `onto`. No row and a row
    without labels are different values.

    Args:
        onto: labels of the side that is opened.
        base: labels of the side that is left, when labeling was last opened there.
        changed: labels of the side that is left, now.
        onto_base: labels of the side that is opened, when it was last left; `base` if None.
        unreadable: documents of `changed` whose rows are in quarantine: they keep the value of `onto`.
            None among them (a row that does not say its document) means that a vanished row may be
            that one, so nothing is cleared.
    """
    rows: dict[str, LabeledDocument] = {}
    taken: list[str] = []
    kept: list[str] = []
    cleared: list[str] = []
    conflicts: list[str] = []
    since = base if onto_base is None else onto_base
    aside, may_clear = set(unreadable), None not in unreadable
    for document in sorted({*onto, *base, *changed}):
        ours, theirs = onto.get(document), changed.get(document)
        new, old = _key(theirs), _key(base.get(document))
        if new == old or document in aside or (theirs is None and not may_clear):
            if ours is not None:
                rows[document] = ours
                kept.append(document)
            continue
        if _key(ours) != _key(since.get(document)) and _key(ours) != new:
            conflicts.append(document)
        if theirs is None:
            cleared.append(document)
        else:
            rows[document] = _placed(theirs, ours)
            taken.append(document)
    return Merged(rows, tuple(taken), tuple(kept), tuple(cleared), tuple(conflicts))


def _key(row: LabeledDocument | None) -> LabelsKey | None:
    return None if row is None else row.labels_key


def _placed(theirs: LabeledDocument, ours: LabeledDocument | None) -> LabeledDocument:
    """The other side's labels in our row: its Train/Test and language mean nothing over there."""
    if ours is None:
        return theirs
    return msgspec.structs.replace(theirs, dataset=ours.dataset, language=ours.language)
