"""What the checker must still find when people meddled: its rules, and the few that a campaign adds.

Prevents two failures: excusing a run because somebody interfered in it, and calling a violation what
only the person did. A person who resumes a gated job opens a second studio; Labelbridge cannot prevent
that, it promises that

- the gate that the person opened is shut again (by the look after a switch, or by the reconciler), unless
  that studio becomes the active one;
- what was labelled through it is in the active studio, in a snapshot that a report names, or still in the
  studio where it was made (nothing is ever written into a labeling job);
- a retired labeling job that a person takes up again is shut likewise; only Labelbridge may never open it;
- everything else holds as if nobody had meddled, a second opening by Labelbridge itself included.

An operation that was terminated by hand tells its caller so, whatever became of it, and may have ended
before it could write its audit entry: what it did is then read from what came after it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from tests.faults.checker import Verdict, Violation, check
from tests.faults.recording import AZUREML, LANGUAGE, Entry, Line, Look, Recording

MOST_TERMINATED = 4
"""Terminated operations without an entry for which both outcomes are tried, the last ones."""
OURS = ("recover", "reconcile")
"""Operations that nobody asked for through a request that is witnessed."""


@dataclass
class Meddling:
    """What people did past Labelbridge, as they know it."""

    opened: set[int] = field(default_factory=set)
    """Numbers of the studios' lines in which a person, and not Labelbridge, opened a gate."""
    terminated: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Operation -> its kind, and when it was terminated by hand."""
    heard: dict[str, str] = field(default_factory=dict)
    """Operation -> the event whose look says that it started it."""
    edits: int = 0
    """Edits of the record by hand. They excuse nothing."""

    def save(self, path: Path) -> None:
        """Write it as JSON, beside the recording that it goes with."""
        path.write_text(json.dumps({**self.__dict__, "opened": sorted(self.opened)}, indent=1))

    @classmethod
    def load(cls, path: Path) -> "Meddling":
        """Read what `save` wrote."""
        found = json.loads(path.read_text())
        terminated = {one: (kind, at) for one, (kind, at) in found["terminated"].items()}
        return cls(set(found["opened"]), terminated, found["heard"], found["edits"])


def judge(recording: Recording, meddling: Meddling) -> Verdict:
    """The checker's verdict, with the weaker promise where people meddled, and the campaign's own rules."""
    told = replace(
        recording,
        asks=tuple(
            replace(ask, operation=None)
            if ask.code == "terminated" and ask.operation in meddling.terminated
            else ask
            for ask in recording.asks
        ),
    )
    spans = list(_opened_by_people(told, meddling.opened))
    found = _judged(told, spans, ())
    missing = _without_entry(told, meddling.terminated)[-MOST_TERMINATED:]
    for some in product((False, True), repeat=len(missing)):
        if not found.violations:
            break
        added = [one for one, taken in zip(missing, some, strict=True) if taken]
        again = _judged(told, spans, added)
        if len(again.violations) < len(found.violations):
            found = again
    found.violations += [Violation("I3", f"{told.project}: {what}") for what in _accounts(told, meddling)]
    if spans:
        found.violations += [Violation("I1", f"{told.project}: {what}") for what in _left_open(told, spans)]
    return found


def _judged(recording: Recording, spans: "list[Span]", added: Iterable[tuple[str, str, float]]) -> Verdict:
    """The checker on what remains when people's own openings are taken out."""
    for operation, kind, at in added:
        recording = _with_entry(recording, operation, kind, at)
    if not spans:
        return check(recording)
    whole, calm = check(recording), check(_retold(recording, spans, writes=False)[0])
    violations = [one for one in calm.violations if one.invariant in ("I1", "I4")]
    violations += [one for one in whole.violations if one.invariant in ("I3", "I5")]
    return Verdict(violations + _of_labels(recording, spans), whole.witnessed)


# Gates that a person opened.


@dataclass(frozen=True)
class Span:
    """A gate that a person opened, until it was shut or its studio became the active one."""

    opened: Line
    closed: Line | None
    active_at: float | None
    """When the record first said that this studio is active, if that ended it."""

    def covers(self, line: Line) -> bool:
        """True for the person's own line, what was labelled through the gate, and its shutting."""
        if line.subject != self.opened.subject or line.sequence < self.opened.sequence:
            return False
        if self.active_at is not None and line.at >= self.active_at:
            return False
        return self.closed is None or line.sequence <= self.closed.sequence


def _opened_by_people(r: Recording, opened: Collection[int]) -> Iterator[Span]:
    for line in r.log:
        if line.sequence not in opened or _is_active(r, line.studio, line.at):
            continue
        closed = next(
            (
                one
                for one in r.log
                if one.event == "closed" and one.subject == line.subject and one.sequence > line.sequence
            ),
            None,
        )
        end = closed.at if closed else float("inf")
        active = next(
            (v.at for v in r.versions if line.at < v.at < end and v.record["active"] == line.studio), None
        )
        yield Span(line, closed, active)


def _is_active(r: Recording, studio: str, at: float) -> bool:
    """True if the record gave this studio the right to label then, and no operation had begun on it."""
    now = [v.record for v in r.versions if v.at <= at][-1:]
    if not now:  # a project that was never connected is labelled in Language
        return studio == LANGUAGE
    return bool(now[0]["active"] == studio and now[0]["transition"] is None)


def _retold(r: Recording, spans: list[Span], *, writes: bool) -> tuple[Recording, list[int]]:
    """The log as it would have been without people's gates; where one became legal, it opens then.

    `writes`: with what was labelled through those gates. Also returns each line's old number.
    """
    log: list[Line] = []
    legal = sorted(
        (replace(span.opened, at=span.active_at) for span in spans if span.active_at is not None),
        key=lambda line: line.at,
    )
    for line in r.log:
        while legal and line.at >= legal[0].at:
            log.append(legal.pop(0))
        if (writes and line.event == "write") or not any(span.covers(line) for span in spans):
            log.append(line)
    log += legal  # nobody labelled since
    old = [line.sequence for line in log]
    places = {number: place for place, number in enumerate(old)}
    kept = tuple(
        replace(
            w, sequence=places.get(w.sequence or -1), acknowledged=w.acknowledged and w.sequence in places
        )
        for w in r.writes
    )
    looks = tuple(look for look in r.looks if not _excused(look, spans))
    numbered = tuple(replace(line, sequence=place) for place, line in enumerate(log))
    return replace(r, log=numbered, writes=kept, looks=looks), old


def _excused(look: Look, spans: list[Span]) -> bool:
    ends = [(s.opened.at, s.active_at or (s.closed.at if s.closed else float("inf"))) for s in spans]
    return any(start - 1 <= look.at <= end + 1 for start, end in ends)


def _left_open(r: Recording, spans: list[Span]) -> Iterator[str]:
    for span in spans:
        if span.closed is None and span.active_at is None:
            yield f"#{span.opened.sequence}: {span.opened.studio} was opened by hand and never shut"


# Nothing lost, where people label through a gate that should be shut.


def _of_labels(r: Recording, spans: list[Span]) -> list[Violation]:
    """I2 and I6 by the checker's rules, where what was labelled through a person's gate counts as labelled.

    For I2 it may also still be where it was made.
    """
    told, old = _retold(r, spans, writes=True)
    by_hand = {line.sequence: line for line in r.log if any(span.covers(line) for span in spans)}
    found = []
    for one in check(told).violations:
        number = re.search(r"#(\d+): .* is nowhere$", one.what)
        line = by_hand.get(old[int(number[1])]) if number else None
        stands = line is not None and _still_holds(r, line)
        if one.invariant in ("I2", "I6") and not stands:
            found.append(one)
    return found


def _still_holds(r: Recording, line: Line) -> bool:
    """True if the label is where it was made: in the labeling job that is connected, or in one that was."""
    held = (r.final.azureml, r.final.jobs.get(line.subject.casefold(), {}))
    return any(one.get(line.document, ()) == line.labels for one in held)


# Every acknowledgement is observable, every refusal did not happen.


def _accounts(r: Recording, meddling: Meddling) -> Iterator[str]:
    accepted = {ask.operation for ask in r.asks if ask.operation}
    accepted |= set(meddling.terminated) | set(meddling.heard)
    recorded = {entry.operation for entry in r.trail}
    for entry in r.trail:
        if entry.kind not in OURS and entry.operation not in accepted:
            yield f"{entry.operation} happened, and nobody was told that it was accepted"
    for operation in sorted(accepted - recorded - meddling.terminated.keys()):
        yield f"{operation} was accepted and left no entry"


def _without_entry(r: Recording, terminated: Mapping[str, tuple[str, float]]) -> list[tuple[str, str, float]]:
    recorded = {entry.operation for entry in r.trail}
    found = [(one, kind, at) for one, (kind, at) in terminated.items() if one not in recorded]
    return sorted(found, key=lambda one: one[2])


def _with_entry(r: Recording, operation: str, kind: str, at: float) -> Recording:
    """As if the terminated operation had committed and said so."""
    before = [entry for entry in r.trail if entry.ended_at <= at and entry.outcome != "refused"]
    active, epoch = (before[-1].active, before[-1].epoch) if before else (LANGUAGE, 0)
    if kind == "switch":
        active, epoch = (AZUREML if active == LANGUAGE else LANGUAGE), epoch + 1
    elif kind == "disconnect":
        active, epoch = LANGUAGE, epoch + (active == AZUREML)
    entry = Entry(operation, kind, "committed", active, epoch, at, at)
    return replace(r, trail=tuple(sorted((*r.trail, entry), key=lambda one: one.ended_at)))
