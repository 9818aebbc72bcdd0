"""Decides I1 to I6 from a recording, and from nothing else.

Prevents a product that is judged by its own code: this module imports nothing but the recording's
form, neither the product nor the referee of the demo. What was not witnessed is void, not passed.
The invariants are those of docs/design.md, "What always holds".
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.recording import AZUREML, LANGUAGE, Ask, Entry, Labels, Line, Look, Recording, Write

INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6")
LOOKS = "looks"
"""Counted as an invariant is: a run at which the sampler did not look is void, whatever else was seen."""
MOST_EXPORTS = 2
"""Of I6: callers who ask at once cost at most this many."""
UNKNOWN = "terminated"
"""The answer of an operation that somebody terminated: it says nothing about how far it had come."""


@dataclass(frozen=True)
class Violation:
    """One thing that must not have been."""

    invariant: str
    what: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.invariant}: {self.what}"


@dataclass
class Verdict:
    """What was found, and how much of each invariant was witnessed at all."""

    violations: list[Violation] = field(default_factory=list)
    witnessed: Counter[str] = field(default_factory=Counter)

    @property
    def violated(self) -> set[str]:
        """Which invariants were."""
        return {one.invariant for one in self.violations}

    def void(self, *wanted: str) -> set[str]:
        """Those of the wanted invariants of which nothing was witnessed, and always the sampler's looks."""
        return {one for one in (*wanted, LOOKS) if not self.witnessed[one]}


def check(*recordings: Recording) -> Verdict:
    """Judge recordings of one or more projects of the same time and place."""
    verdict = Verdict()
    for recording in recordings:
        for invariant, rule, count in _RULES:
            found = [Violation(invariant, f"{recording.project}: {what}") for what in rule(recording)]
            verdict.violations += found
            verdict.witnessed[invariant] += count(recording)
        verdict.witnessed[LOOKS] += len(_looks_since(recording))
    verdict.violations += [Violation("I4", what) for what in _shared_jobs(recordings)]
    return verdict


# I1: at no moment can both studios accept a label.


def _one_studio(r: Recording) -> Iterator[str]:
    opened: set[str] = set()
    last = -1
    for line in r.log:
        if line.sequence <= last:
            raise ValueError(f"the log is out of order at {line.sequence}")
        last = line.sequence
        if line.event == "opened":
            if opened - {line.subject}:
                yield f"#{line.sequence}: {line.studio} opened while {', '.join(sorted(opened))} was open"
            opened.add(line.subject)
        elif line.event == "closed":
            opened.discard(line.subject)
        elif line.subject not in opened:
            yield f"#{line.sequence}: {line.studio} took a write while it was gated"
    for look in r.looks:
        if look.language and look.azureml:
            yield f"the sampler saw both studios open at {look.at:.3f}"


def _looks_since(r: Recording) -> list[Look]:
    """What the sampler saw since the verdict before this one."""
    return [look for look in r.looks if look.sampled and look.at > r.since]


def _watched(r: Recording) -> int:
    """Labels that were accepted since the last verdict, if the sampler looked at both studios meanwhile.

    A project that was connected all the time has a labeling job to look at.
    """
    looks = [look for look in _looks_since(r) if look.language is not None]
    before = [version for version in r.versions if version.at <= r.since][-1:]
    now = [version for version in r.versions if version.at > r.since]
    jobs = {_job(version.record) for version in (*before, *now)}
    if before and len(jobs) == 1 and None not in jobs:
        looks = [look for look in looks if look.azureml is not None]
    return sum(line.event == "write" and line.at > r.since for line in r.log) if looks else 0


# I2: what was acknowledged is in the active studio, or in a snapshot that a report names.


def _nothing_lost(r: Recording) -> Iterator[str]:
    accepted = {line.sequence: line for line in r.log if line.event == "write"}
    for write in r.writes:
        if write.acknowledged and not _known(write, accepted):
            yield f"the studio knows nothing of {write.document} #{write.sequence} that it acknowledged"
    for line in _last_words(r):
        if not _kept(r, line):
            yield f"#{line.sequence}: {line.document} = {line.labels!r} of {line.studio} is nowhere"


def _known(write: Write, accepted: Mapping[int, Line]) -> bool:
    line = accepted.get(write.sequence if write.sequence is not None else -1)
    if line is None:
        return False
    return (line.studio, line.document, line.labels) == (write.studio, write.document, write.labels)


def _last_words(r: Recording) -> Iterator[Line]:
    """Writes that nobody overwrote before another studio took over: those must be kept.

    A studio that opens for a moment and is not the active one afterwards (the new labeling job of a
    connect) has taken nothing over: what the active studio held, it still holds.
    """
    standing: dict[tuple[str, str], Line] = {}
    opened: set[str] = set()
    for line in r.log:
        if line.event == "write":
            standing[line.subject, line.document] = line
        elif line.event == "closed":
            opened.discard(line.subject)
        else:
            if not opened and line.studio == _active_after(r, line.at):
                left = [place for place in standing if place[0] != line.subject]
                yield from (standing.pop(place) for place in left)
            opened.add(line.subject)
    yield from standing.values()


def _active_after(r: Recording, at: float) -> str:
    """The studio that the operation under way at that time, or the next one, left active."""
    later = [entry for entry in r.trail if entry.ended_at >= at and entry.outcome != "refused"]
    return min(later, key=lambda entry: entry.ended_at).active if later else _active(r)


def _kept(r: Recording, line: Line) -> bool:
    active = _active(r)
    final = r.final.language if active == LANGUAGE else r.final.azureml
    if line.studio == active and final.get(line.document, ()) == line.labels:
        return True
    later = [entry for entry in r.trail if entry.ended_at >= line.at]
    named = {one for entry in later for one in entry.snapshots}
    return any(r.snapshots.get(one, {}).get(line.document, ()) == line.labels for one in named)


def _active(r: Recording) -> str:
    return str(r.versions[-1].record["active"]) if r.versions else LANGUAGE


# I3: every operation ends committed or undone; what was answered is what happened.


def _never_half_way(r: Recording) -> Iterator[str]:
    yield from _steps_of_the_record(r)
    yield from _trail_of_operations(r)
    yield from _answers(r)
    if r.versions:
        record = r.versions[-1].record
        if record["transition"] is not None:
            yield f"{record['transition']['operation_id']} stands in the record half-way"
        yield from _gates_at_the_end(r, record["active"])


def _steps_of_the_record(r: Recording) -> Iterator[str]:
    for before, after in zip(r.versions, r.versions[1:], strict=False):
        step = after.record["epoch"] - before.record["epoch"]
        if step < 0:
            yield f"the record went back from epoch {before.record['epoch']} to {after.record['epoch']}"
        elif (step % 2 == 0) != (before.record["active"] == after.record["active"]):
            yield f"the active studio and the epoch do not agree at {after.etag}"


def _trail_of_operations(r: Recording) -> Iterator[str]:
    """Each committed operation moves active studio and epoch as its kind does; any other moves nothing."""
    active, epoch = LANGUAGE, 0
    for entry in sorted(r.trail, key=lambda one: one.ended_at):
        moved = (entry.active, entry.epoch) != (active, epoch)
        if entry.kind == "recover":
            wrong = (entry.active, entry.epoch) not in ((active, epoch), (_other(active), epoch + 1))
        elif entry.outcome != "committed":
            wrong = moved and entry.outcome != "refused"
        elif entry.kind == "switch":
            wrong = (entry.active, entry.epoch) != (_other(active), epoch + 1)
        elif entry.kind == "disconnect":
            wrong = (entry.active, entry.epoch) != (LANGUAGE, epoch + (active == AZUREML))
        else:
            wrong = moved
        if wrong:
            yield f"{entry.operation} ({entry.outcome}) left {entry.active} {entry.epoch}, before {active} {epoch}"
        if entry.outcome != "refused":
            active, epoch = entry.active, entry.epoch
    if r.versions and r.trail:
        record = r.versions[-1].record
        if (record["active"], record["epoch"]) != (active, epoch):
            yield f"the record says {record['active']} {record['epoch']}, the trail {active} {epoch}"


def _answers(r: Recording) -> Iterator[str]:
    outcomes: dict[str, list[str]] = {}
    for entry in r.trail:
        outcomes.setdefault(entry.operation, []).append(entry.outcome)
    for operation, found in outcomes.items():
        if len(found) > 1:
            yield f"{operation} ended {len(found)} times"
    for ask in r.asks:
        if ask.answered_at is None:
            yield f"{ask.kind} {ask.operation or ''} was never answered"
        elif ask.operation is not None:
            committed = outcomes.get(ask.operation) == ["committed"]
            if committed is not (ask.code is None) and ask.code != UNKNOWN:
                told = ask.code or "committed"
                yield f"{ask.operation} was answered {told}, the trail says {outcomes.get(ask.operation)}"


def _gates_at_the_end(r: Recording, active: str) -> Iterator[str]:
    opened = set(_open_at_the_end(r.log))
    gone = bool(r.looks) and r.looks[-1].language is None  # an import that was undone: nothing to be open
    if opened != (set() if gone else {active}):
        yield f"{active} is active, and open are: {', '.join(sorted(opened)) or 'none'}"


def _open_at_the_end(log: Iterable[Line]) -> Iterable[str]:
    gates: dict[str, tuple[str, bool]] = {}
    for line in log:
        if line.event != "write":
            gates[line.subject] = (line.studio, line.event == "opened")
    return [studio for studio, is_open in gates.values() if is_open]


def _other(studio: str) -> str:
    return AZUREML if studio == LANGUAGE else LANGUAGE


# I4: one to one, for ever.


def _one_to_one(r: Recording) -> Iterator[str]:
    holders: dict[str, tuple[str, str]] = {}
    for claim in r.claims:
        if claim.deleted:  # past Labelbridge: it may be made anew, for the same project
            holders[claim.job] = (holders[claim.job][0], "")
            continue
        holder = holders.setdefault(claim.job, (claim.project, claim.operation))
        if holder == (claim.project, ""):
            holders[claim.job] = holder = (claim.project, claim.operation)
        if holder != (claim.project, claim.operation):
            yield f"{claim.job} was claimed by {holder} and then by {(claim.project, claim.operation)}"
    retired: set[str] = set()
    for version in r.versions:
        job = _job(version.record)
        now = {str(one["name"]) for one in version.record["retired"]}
        if job in retired | now:
            yield f"{job} was retired and is connected again"
        if job is not None and r.claims and holders.get(job, ("", ""))[0] != r.project:
            yield f"{job} is connected, and its claim says {holders.get(job)}"
        if retired - now:
            yield f"{', '.join(retired - now)} is retired no more"
        retired |= now
    yield from _retired_job_that_labels(r)


def _retired_job_that_labels(r: Recording) -> Iterator[str]:
    for end in [e.ended_at for e in r.trail if e.kind == "disconnect" and e.outcome == "committed"]:
        gone = {line.subject for line in r.log if line.studio == AZUREML and line.at <= end}
        for line in r.log:
            if line.at > end and line.subject in gone and line.event != "closed":
                yield f"#{line.sequence}: {line.subject} labels after its disconnect"


def _job(record: Mapping[str, object]) -> str | None:
    connection = record.get("connection")
    return str(connection["job"]["name"]) if isinstance(connection, dict) else None


def _shared_jobs(recordings: Sequence[Recording]) -> Iterator[str]:
    holders: dict[str, str] = {}
    for r in recordings:
        for job in {_job(version.record) for version in r.versions} - {None}:
            holder = holders.setdefault(str(job), r.project)
            if holder != r.project:
                yield f"{job} is connected to {holder} and to {r.project}"


# I5: a model's snapshot is what it was trained on; labels of the gated studio are not used.


def _training_knows_its_labels(r: Recording) -> Iterator[str]:
    for model in r.versions[-1].record["models"] if r.versions else ():
        held = r.snapshots.get(model["snapshot"])
        if held is None:
            yield f"model {model['label']}: its snapshot {model['snapshot'][:12]} is not there"
        elif _labelled(held) != _labelled(r.final.trained.get(model["label"], {})):
            yield f"model {model['label']} was not trained on the snapshot that the record names"
    for entry in r.trail:
        if entry.model and entry.labels == "latest" and entry.active == AZUREML:
            yield from _foreign_labels(r, entry)


def _foreign_labels(r: Recording, entry: Entry) -> Iterator[str]:
    ours = {(line.document, line.labels) for line in r.log if line.studio == AZUREML}
    for document, labels in _labelled(r.snapshots.get(entry.snapshots[0], {})).items():
        if (document, labels) not in ours:
            yield f"model {entry.model}: {document} = {labels!r} is not Azure ML's, which was active"


def _labelled(labels: Labels) -> Labels:
    return {document: one for document, one in labels.items() if one}


# I6: a sync's labels were exported after it was asked for; many callers cost few exports.


def _freshness(r: Recording) -> Iterator[str]:
    bursts: dict[str, list[Ask]] = {}
    for ask in r.asks:
        if ask.burst and ask.operation:
            bursts.setdefault(ask.burst, []).append(ask)
        if ask.kind == "sync" and ask.code is None and ask.snapshot is not None and not ask.again:
            yield from _older_than_asked(r, ask, ask.snapshot)
            if not _exports(r, ask.asked_at, ask.answered_at):
                yield f"{ask.operation} was answered, and nobody exported anything since it was asked for"
    for burst, asks in bursts.items():
        began, ended = min(ask.asked_at for ask in asks), _ended(asks)
        cost = _exports(r, began, ended)
        most = MOST_EXPORTS + sum(
            one.times for one in r.disturbances if began <= one.end and one.start <= ended
        )
        if cost > most:
            yield f"burst {burst} cost {cost} exports, more than {most}"


def _ended(asks: Iterable[Ask]) -> float:
    """When the last of them was answered; for ever, if one still waits."""
    return max(ask.answered_at if ask.answered_at is not None else float("inf") for ask in asks)


def _exports(r: Recording, began: float, ended: float | None) -> int:
    """How many exports of the studio that was active when they were asked for were made in this time.

    By the studios' own list. A request that waits behind a switch is served by exports of the other studio:
    where the record changed hands meanwhile, those of both count.
    """
    until = float("inf") if ended is None else ended
    versions = [v for v in r.versions if v.at <= began][-1:] + [
        v for v in r.versions if began < v.at <= until
    ]
    active = {str(version.record["active"]) for version in versions} or {LANGUAGE}
    return sum(began <= one.at <= until and one.studio in active for one in r.exports)


def _older_than_asked(r: Recording, ask: Ask, snapshot: str) -> Iterator[str]:
    held = r.snapshots.get(snapshot, {})
    began = [entry.started_at for entry in r.trail if entry.operation == ask.operation]
    for (_, document), first in _written_before(r, ask.asked_at, max([ask.asked_at, *began])).items():
        # Labels of any studio: what waited behind a switch is served where people label by then.
        good = {line.labels for line in r.log if line.document == document and line.sequence >= first}
        if held.get(document, ()) not in good:
            yield f"snapshot {snapshot[:12]} of {document} is older than the request for it"


def _written_before(r: Recording, asked_at: float, began: float) -> dict[tuple[str, str], int]:
    """Place -> number of the last write that was acknowledged when the sync was asked for.

    Of the studio that was open when the sync began: one that waited behind a switch is of the other.
    """
    current = [line.subject for line in r.log if line.event == "opened" and line.at <= began][-1:]
    acknowledged = {w.sequence for w in r.writes if w.acknowledged and w.at < asked_at}
    return {
        (line.subject, line.document): line.sequence
        for line in r.log
        if line.event == "write" and line.subject in current and line.sequence in acknowledged
    }


_RULES = (
    ("I1", _one_studio, _watched),
    ("I2", _nothing_lost, lambda r: sum(write.acknowledged for write in r.writes)),
    ("I3", _never_half_way, lambda r: len(r.trail)),
    ("I4", _one_to_one, lambda r: len(r.claims)),
    ("I5", _training_knows_its_labels, lambda r: len(r.versions[-1].record["models"]) if r.versions else 0),
    ("I6", _freshness, lambda r: sum(a.kind == "sync" and a.code is None for a in r.asks)),
)
