"""A merge of both studios' labels as streams: what becomes of each document, counted as it passes.

Prevents a merge that holds both projects in memory, and a report that outgrows a workflow's history:
the counts and the first names are small, everything else goes to a blob of its own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO

import msgspec

from activities._files import view
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.merge import Conflict, Decision, Policy, merge
from labelbridge.labels.rows import LabeledDocument
from labelbridge.labels.snapshot import stored_rows
from labelbridge.labels.split import Split, assign
from labelbridge.labels.streams import aligned
from labelbridge.model import MergeReport, SnapshotRef
from labelbridge.model.steps import MergeOrder

LISTED = 100
"""Documents that a merge report names; the counts are whole. Reports enter histories, so they stay small."""


class Merging:
    """One merge; `rows` may be gone through again, and the counts are those of the last time."""

    def __init__(
        self,
        order: MergeOrder,
        sides: Mapping[str, BinaryIO],
        *,
        conflicts: BinaryIO,
        unreadable: Collection[str | None],
    ) -> None:
        """`sides`: content of each snapshot by id; `conflicts` is filled with all values of each conflict."""
        self._order = order
        self._sides = sides
        self._conflicts = conflicts
        self._unreadable = unreadable
        self._encode = msgspec.json.Encoder().encode
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def rows(self) -> Iterator[LabeledDocument]:
        """The labels after the merge, sorted by document."""
        self._conflicts.seek(0)
        self._conflicts.truncate()
        self._counts, self._names = {}, {"cleared": [], "conflict": []}
        order = self._order
        decisions = merge(
            onto=self._language_side(),
            base=self._rows(order.azureml_left),
            changed=self._rows(order.azureml_now),
            onto_base=self._rows(order.language_left),
            unreadable=self._unreadable,
            policy=Policy(order.policy),
            kind=order.kind,
        )
        for decision in decisions:
            self._note(decision)
            if decision.row is not None:
                yield decision.row

    def rehearse(self) -> None:
        """Only find the conflicts."""
        for _ in self.rows():
            pass

    @property
    def conflict_count(self) -> int:
        """Documents that both sides changed, differently."""
        return self._counts.get("conflict", 0)

    def refusal(self, report: str) -> LabelbridgeError:
        """The error of a merge that its policy refuses; `report` is the blob with the conflicts."""
        first = ", ".join(self._names["conflict"][:10])
        return LabelbridgeError(
            "merge_conflict",
            f"{self.conflict_count} documents were changed on both sides, the first: {first}. "
            f"All values are in {report}.",
            data={"count": str(self.conflict_count), "report": report},
        )

    def report(
        self, snapshot: str, originals: Sequence[SnapshotRef | None], conflicts: str | None
    ) -> MergeReport:
        """What the merge did, for people and for the history."""
        return MergeReport(
            snapshot=snapshot,
            taken=self._counts.get("taken", 0),
            kept=self._counts.get("kept", 0),
            cleared=tuple(self._names["cleared"]),
            cleared_count=self._counts.get("cleared", 0),
            conflicts=tuple(self._names["conflict"]),
            conflict_count=self.conflict_count,
            originals=tuple(dict.fromkeys(ref.id for ref in originals if ref)),
            policy=self._order.policy,
            report=conflicts,
        )

    def _note(self, decision: Decision) -> None:
        self._count(decision.how, decision.document)
        if decision.conflict is not None:
            self._count("conflict", decision.document)
            self._conflicts.write(self._line(decision.conflict))

    def _count(self, what: str, document: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1
        names = self._names.get(what)
        if names is not None and len(names) < LISTED:
            names.append(document)

    def _line(self, conflict: Conflict) -> bytes:
        """One line of the report, in the words of those who read it."""
        values = {
            "document": conflict.document,
            "before": conflict.before,
            "language": conflict.onto,
            "azureml": conflict.changed,
            "merged": conflict.taken,
        }
        return self._encode(values) + b"\n"

    def _language_side(self) -> Iterator[LabeledDocument]:
        """What Language contributes: its labels when it was left, and what was changed since by hand.

        While it is gated, Language may hold labels that a sync gave it; those are no change of its
        own. Anything else it holds was changed past the gate and must not be lost.
        """
        left, now = self._order.language_left, self._order.language_now
        if left is None:
            return self._rows(now)
        if now.digest in (left.digest, *self._order.language_given):
            return self._rows(left)
        decisions = merge(onto=self._rows(left), base=self._rows(left), changed=self._rows(now))
        return (decision.row for decision in decisions if decision.row is not None)

    def _rows(self, ref: SnapshotRef | None) -> Iterator[LabeledDocument]:
        return iter(()) if ref is None else stored_rows(view(self._sides[ref.id]))


def assigned(
    rows: BinaryIO, before: BinaryIO | None, split: Split, test_percent: int
) -> Iterator[LabeledDocument]:
    """The rows of a snapshot in Train and Test; `before` is a snapshot that says where documents were."""
    known: str | None = None

    def each() -> Iterator[LabeledDocument]:
        nonlocal known
        others = iter(()) if before is None else stored_rows(before)
        for _, (row, old) in aligned(stored_rows(rows), others):
            if row is not None:
                known = None if old is None else old.dataset
                yield row

    return assign(each(), split, known=lambda _: known, test_percentage=test_percent)
