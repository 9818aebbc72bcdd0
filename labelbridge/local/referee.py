"""Judges a rehearsal by evidence that the product had no hand in: the studios' log and the labelers' own.

Prevents a demo that believes itself. Two verdicts: never did both studios accept labels (I1), and each
write that a studio acknowledged is, at the end, in the active studio or in a snapshot that a merge
report names (I2). Only the last write to a document within a studio's *stint* (from where it was opened
until the other was) must be found; an earlier one was overwritten by a person, not lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labelbridge.local.api import Caller
from labelbridge.local.labelers import Write
from labelbridge.local.studios import Canonical
from labelbridge.model import OperationResult, Studio

Labels = Mapping[str, Canonical]
"""Document -> its labels, of labelled documents."""


@dataclass(frozen=True)
class Entry:
    """One line of the studios' log."""

    sequence: int
    studio: Studio
    event: str
    """`opened`, `closed` or `write`."""
    document: str | None
    at: datetime
    labels: Any = None
    """As the studio accepted them, for a write."""


@dataclass(frozen=True)
class Delivery:
    """A committed operation that carried labels, and what is in the snapshots that its report names."""

    started_at: datetime
    ended_at: datetime
    snapshots: Sequence[Labels]

    @classmethod
    def of(cls, result: OperationResult, contents: Mapping[str, Labels]) -> "Delivery":
        """`contents`: snapshot id -> labels, of (at least) the snapshots that the result names."""
        ids = named(result)
        return cls(result.started_at, result.ended_at, [contents[one] for one in ids])


@dataclass(frozen=True)
class Lost:
    """An acknowledged write that is nowhere."""

    write: Write
    why: str


@dataclass
class Verdict:
    """What became of the labelers' writes."""

    acknowledged: int = 0
    found: int = 0
    """Last writes of their stint that were found."""
    superseded: int = 0
    """Overwritten in the same studio during the same stint."""
    lost: list[Lost] = field(default_factory=list)
    both_open: list[str] = field(default_factory=list)
    """Moments at which both studios accepted labels, or a gated one took a write."""


@dataclass(frozen=True)
class _Stint:
    """From a studio's opening until the other's (or now)."""

    studio: Studio
    first: int
    last: float
    """Sequence numbers, the last one infinite for the stint that still runs."""
    closed_at: datetime | None


def named(result: OperationResult) -> tuple[str, ...]:
    """Ids of the snapshots that a result and its merge report name."""
    ids = [result.snapshot.id] if result.snapshot else []
    if result.merge:
        ids += [result.merge.snapshot, *result.merge.originals]
    return tuple(dict.fromkeys(ids))


def read_log(caller: Caller, subjects: Mapping[str, Studio]) -> list[Entry]:
    """The studios' log of one project and its labeling jobs.

    Args:
        caller: anybody.
        subjects: `{account}/{project}` and the jobs' ARM ids, compared without case.
    """
    wanted = {subject.casefold(): studio for subject, studio in subjects.items()}
    found: list[Entry] = []
    since = 0
    while True:
        rows: list[dict[str, Any]] = caller.request("GET", f"/studio/log?since={since}").body["value"]
        if not rows:
            return found
        since = rows[-1]["sequence"]
        found += [
            Entry(
                row["sequence"],
                wanted[row["subject"].casefold()],
                row["event"],
                row["document"],
                datetime.fromisoformat(row["time"]),
                row["labels"],
            )
            for row in rows
            if row["subject"].casefold() in wanted
        ]


def judge(
    log: Sequence[Entry],
    writes: Sequence[Write],
    *,
    active: Studio,
    final: Labels,
    deliveries: Sequence[Delivery],
) -> Verdict:
    """Reach the verdict.

    Args:
        log: the studios' log of the project.
        writes: the labelers' log.
        active: the studio that is active at the end.
        final: the labels that it holds.
        deliveries: every committed operation with a merge report.
    """
    verdict = Verdict(both_open=contradictions(log))
    stints = _stints(log)
    logged = {entry.sequence: entry for entry in log if entry.event == "write"}
    last: dict[tuple[int, str], int] = {}
    for entry in logged.values():
        last[(_stint_of(stints, entry.sequence), str(entry.document))] = entry.sequence
    for write in writes:
        if write.outcome != "acknowledged" or write.sequence is None:
            continue
        verdict.acknowledged += 1
        seen = logged.get(write.sequence)
        if seen is None or (seen.studio, seen.document) != (write.studio, write.document):
            verdict.lost.append(Lost(write, "the studio itself has no record of it"))
            continue
        number = _stint_of(stints, write.sequence)
        if last[(number, write.document)] != write.sequence:
            verdict.superseded += 1
        elif reason := _missing(write, stints[number], active, final, deliveries):
            verdict.lost.append(Lost(write, reason))
        else:
            verdict.found += 1
    return verdict


def contradictions(log: Sequence[Entry]) -> list[str]:
    """Every moment of the log at which both studios were open or a closed one took a write."""
    found: list[str] = []
    opened: set[Studio] = set()
    for entry in log:
        when = f"#{entry.sequence} at {entry.at:%H:%M:%S.%f}"
        if entry.event == "opened":
            opened.add(entry.studio)
            if len(opened) > 1:
                found.append(f"{when}: {entry.studio.display_name} opened while the other was open")
        elif entry.event == "closed":
            opened.discard(entry.studio)
        elif entry.studio not in opened:
            found.append(f"{when}: {entry.studio.display_name} took a write while it was closed")
    return found


def _stints(log: Sequence[Entry]) -> list[_Stint]:
    """Openings of one studio in a row belong to one stint: a switch that was undone ends none."""
    marks: list[Entry] = []
    for entry in log:
        if entry.event == "opened" and (not marks or marks[-1].studio is not entry.studio):
            marks.append(entry)
    stints = []
    for index, mark in enumerate(marks):
        end = marks[index + 1].sequence if index + 1 < len(marks) else float("inf")
        closings = [
            e
            for e in log
            if e.studio is mark.studio and e.event == "closed" and mark.sequence < e.sequence < end
        ]
        closed_at = closings[-1].at if closings and end != float("inf") else None
        stints.append(_Stint(mark.studio, mark.sequence, end, closed_at))
    return stints


def _stint_of(stints: Sequence[_Stint], sequence: int) -> int:
    """Number of the stint that a write belongs to; writes before any opening count to the first."""
    return max((n for n, stint in enumerate(stints) if stint.first <= sequence), default=0)


def _missing(
    write: Write, stint: _Stint, active: Studio, final: Labels, deliveries: Sequence[Delivery]
) -> str | None:
    """Why a write that should be somewhere is nowhere, or None."""
    if stint.closed_at is None:
        if stint.studio is not active:
            return f"{stint.studio.display_name} was never gated, yet it is not the active studio"
        if final.get(write.document) == write.labels:
            return None
        return f"the active studio holds {final.get(write.document)!r}"
    during = [one for one in deliveries if one.started_at <= stint.closed_at <= one.ended_at]
    if any(labels.get(write.document) == write.labels for one in during for labels in one.snapshots):
        return None
    if not during:
        return "no committed operation reports the labels of that stint"
    return "no snapshot that the merge report names holds it"
