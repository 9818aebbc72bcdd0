"""Three-way merge: the labels of the side that is left, laid over those of the side that is opened.

Prevents two losses: labels of the gated side that nobody touched must not be overwritten by what the
other side never knew, and a row that merely could not be read must not look like one that was cleared.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.rows import LabeledDocument, LabelsKey
from labelbridge.labels.streams import aligned
from labelbridge.model import ProjectKind


class Policy(StrEnum):
    """What decides a document that both sides changed, differently."""

    ACTIVE = "active"
    """The value of the side that is left, where labeling was allowed."""
    REFUSE = "refuse"
    """Nobody: the merge is refused and both values are reported."""
    UNION = "union"
    """Multi-label only: the classes of both values. A class that one side took away and the other kept is kept."""


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A document that both sides changed, with all values; None is "no row"."""

    document: str
    before: LabeledDocument | None
    """What both sides started from, as the side that is left had it."""
    onto: LabeledDocument | None
    """Value of the side that is opened."""
    changed: LabeledDocument | None
    """Value of the side that is left."""
    taken: LabeledDocument | None
    """Value after the merge."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one document."""

    document: str
    how: Literal["taken", "kept", "cleared"]
    row: LabeledDocument | None
    """Labels after the merge; None if cleared."""
    conflict: Conflict | None = None


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
    """Documents that both sides changed, differently."""
    details: tuple[Conflict, ...] = ()
    """The conflicts with both values."""


def overlay(
    *,
    onto: Mapping[str, LabeledDocument],
    base: Mapping[str, LabeledDocument],
    changed: Mapping[str, LabeledDocument],
    onto_base: Mapping[str, LabeledDocument] | None = None,
    unreadable: Collection[str | None] = (),
    policy: Policy = Policy.ACTIVE,
    kind: ProjectKind | None = None,
) -> Merged:
    """Lay what `changed` changed since `base` over `onto`, in memory; see `merge` for the rule.

    Raises:
        LabelbridgeError: `merge_conflict` if the policy refuses and there are conflicts;
            `input_invalid` for a union of anything but multi-label rows.
    """
    decisions = list(
        merge(
            onto=_sorted(onto),
            base=_sorted(base),
            changed=_sorted(changed),
            onto_base=None if onto_base is None else _sorted(onto_base),
            unreadable=unreadable,
            policy=policy,
            kind=kind,
        )
    )
    details = tuple([d.conflict for d in decisions if d.conflict is not None])
    if policy is Policy.REFUSE:
        refuse(details)
    return Merged(
        rows={d.document: d.row for d in decisions if d.row is not None},
        taken=tuple([d.document for d in decisions if d.how == "taken"]),
        kept=tuple([d.document for d in decisions if d.how == "kept"]),
        cleared=tuple([d.document for d in decisions if d.how == "cleared"]),
        conflicts=tuple([c.document for c in details]),
        details=details,
    )


def merge(
    *,
    onto: Iterable[LabeledDocument],
    base: Iterable[LabeledDocument],
    changed: Iterable[LabeledDocument],
    onto_base: Iterable[LabeledDocument] | None = None,
    unreadable: Collection[str | None] = (),
    policy: Policy = Policy.ACTIVE,
    kind: ProjectKind | None = None,
) -> Iterator[Decision]:
    """Lay what `changed` changed since `base` over `onto`, per document, in bounded memory.

    Where `changed` differs from `base` its value wins, and a row that vanished clears the document;
    elsewhere the value of `onto` stays. Where `onto` has changed as well, to another value, that is a
    conflict, and the policy decides. Dataset and language stay those of `onto`. No row and a row
    without labels are different values. Decisions come sorted by document; documents that no side has
    after the merge and none had cleared are left out.

    Args:
        onto: labels of the side that is opened, sorted by document, as all of these.
        base: labels of the side that is left, when labeling was last opened there.
        changed: labels of the side that is left, now.
        onto_base: labels of the side that is opened, when it was last left; `base` if None.
        unreadable: documents of `changed` whose rows are in quarantine: they keep the value of `onto`.
            None among them (a row that does not say its document) means that a vanished row may be
            that one, so nothing is cleared.
        policy: who wins a conflict; with `refuse` conflicts are marked and left at the value of `onto`.
        kind: the project's kind, for a union.

    Raises:
        LabelbridgeError: `input_invalid` for a union of anything but multi-label rows.
    """
    if policy is Policy.UNION and kind is not ProjectKind.MULTI_LABEL:
        raise LabelbridgeError("input_invalid", "Only multi-label classes can be united.")
    aside, may_clear = set(unreadable), None not in unreadable
    sides = (onto, base, changed) if onto_base is None else (onto, base, changed, onto_base)
    for document, found in aligned(*sides):
        ours, before, theirs = found[:3]
        since = before if onto_base is None else found[3]
        new = _key(theirs)
        if new == _key(before) or document in aside or (theirs is None and not may_clear):
            if ours is not None:
                yield Decision(document=document, how="kept", row=ours)
            continue
        row = None if theirs is None else _placed(theirs, ours)
        conflict = None
        if _key(ours) != _key(since) and _key(ours) != new:
            row = _settled(ours, row, policy)
            conflict = Conflict(document=document, before=before, onto=ours, changed=theirs, taken=row)
        yield Decision(document=document, how=_how(row, ours, conflict, policy), row=row, conflict=conflict)


def _how(
    row: LabeledDocument | None, ours: LabeledDocument | None, conflict: Conflict | None, policy: Policy
) -> Literal["taken", "kept", "cleared"]:
    if row is None:
        return "cleared"
    if conflict is not None and policy is not Policy.ACTIVE and row == ours:
        return "kept"
    return "taken"


def _settled(
    ours: LabeledDocument | None, theirs: LabeledDocument | None, policy: Policy
) -> LabeledDocument | None:
    if policy is Policy.REFUSE:
        return ours
    if policy is Policy.ACTIVE or ours is None:
        return theirs
    if theirs is None:
        return ours
    both = tuple(dict.fromkeys((*ours.classes, *theirs.classes)))
    return msgspec.structs.replace(ours, classes=both)


def refuse(conflicts: Collection[Conflict]) -> None:
    """Raise LabelbridgeError `merge_conflict`, which names the first documents, if there are conflicts."""
    if not conflicts:
        return
    names = [conflict.document for conflict in conflicts]
    raise LabelbridgeError(
        "merge_conflict",
        f"{len(names)} documents were changed on both sides, the first: {', '.join(names[:10])}.",
        data={"count": str(len(names))},
    )


def _sorted(rows: Mapping[str, LabeledDocument]) -> Iterator[LabeledDocument]:
    return (rows[document] for document in sorted(rows))


def _key(row: LabeledDocument | None) -> LabelsKey | None:
    return None if row is None else row.labels_key


def _placed(theirs: LabeledDocument, ours: LabeledDocument | None) -> LabeledDocument:
    """The other side's labels in our row: its Train/Test and language mean nothing over there."""
    if ours is None:
        return theirs
    return msgspec.structs.replace(theirs, dataset=ours.dataset, language=ours.language)
