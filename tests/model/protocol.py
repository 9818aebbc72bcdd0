"""What one operation does next: each instruction with every way in which it can go.

Prevents a model in which requests either happen or do not: an effect is done and answered, done and not
answered, late, or delivered twice; a read may show what was; and an operation goes on from what it knows.
A worker's crash is an attempt that nobody answers: the same attempt is made again.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.model.programs import DRAIN, PROGRAMS, Protections, detour, recovered
from tests.model.state import AZUREML, LANGUAGE, NOTHING, SHUT, Flight, Gate, Operation, Record, State

GIVE_UP = "give up"
"""Program of an operation that found the record changed; `Operation.back` says where it stood."""


class Move(NamedTuple):
    """One transition. `fair`: it needs no fault and nobody's decision, so it happens some time."""

    what: str
    state: State
    fair: bool = True


def steps(s: State, p: Protections) -> Iterator[Move]:
    """What the operation may do next."""
    o = s.operation
    if o is None or o.timer:
        return
    name, *rest = PROGRAMS[o.program][o.place]
    match name:
        case "intend" | "phase" | "commit":
            yield from _write(s, o, p, _wanted(s, o, name, rest[0] if rest else ""))
        case "set" | "import" | "restore" | "create" | "retire":
            yield from _effect(s, o, p, name, rest)
        case "peek":
            yield from _peek(s, o, p, rest[0])
        case "find shut" | "find open" | "still shut":
            yield from _find(s, o, p, rest[0], name)
        case "certain":
            yield from _certain(s, o, p, rest[0])
        case "decide" | "return":
            yield Move("goes on", _at(s, _elsewhere(s, o, p, name, rest)))
        case "end":
            yield Move("ends", s._replace(operation=None))
        case _:
            yield _quietly(s, o, p, name, rest)


def _elsewhere(s: State, o: Operation, p: Protections, name: str, rest: list[str]) -> Operation:
    """Another program goes on: that of a recovery, which the record names, or the one that was left."""
    if name == "return":
        program, place = o.back[-1]
        return o._replace(program=program, place=place, back=o.back[:-1])
    r = s.record
    o = o._replace(place=0, program=rest[0] or recovered(r, p), before=r.restore, version=r.version)
    return o._replace(unsettled=(False, r.kind == "connect"))


def _quietly(s: State, o: Operation, p: Protections, name: str, rest: list[Any]) -> Move:
    """Instructions that can go only one way."""
    done = _next(o)
    match name:
        case "wait":
            return Move("begins to wait", _at(s, done._replace(timer=rest[0], unsettled=(False, False))))
        case "export":
            return Move("exports", _at(s, done._replace(seen=s.labels[rest[0]])))
        case "keep":
            return Move("keeps a snapshot", _at(s._replace(kept=s.kept | o.seen), done))
        case "before":
            before = s.labels[LANGUAGE]
            merged = o.seen if rest[0] == "sync" else o.seen | before | s.left[LANGUAGE]
            return Move("merges", _at(s, done._replace(before=before, seen=merged)))
        case "second" if o.imported and p.wait_for_second_import and p.drain:
            return Move("waits out a second import", _at(s, done._replace(imported=False, timer=DRAIN)))
        case "withdraw" if s.record.writer == o.number:
            r = s.record._replace(version=s.record.version + 1, writer=0, kind="", phase="", restore=NOTHING)
            return Move("withdraws", _at(s._replace(record=r), done))
    return Move("goes on", _at(s, done))


def _at(s: State, o: Operation) -> State:
    return s._replace(operation=o)


def _next(o: Operation) -> Operation:
    return o._replace(place=o.place + 1)


# The record.


def _wanted(s: State, o: Operation, name: str, phase: str) -> Record:
    """The record as this operation wants to write it."""
    r = s.record._replace(version=o.version + 1, writer=o.number)
    if name == "intend":
        kind, _, ends = o.program.partition(" ")
        return r._replace(kind=kind, phase="gating", source=int(ends[0]), target=int(ends[2]))
    if name == "phase":
        if not s.record.phase and o.kind == "sync":  # a sync stands in the record only with its result
            return r._replace(writer=s.record.writer)
        delivering = phase == "delivering" and s.record.target == LANGUAGE
        return r._replace(phase=phase, restore=o.before if delivering else s.record.restore)
    if o.kind == "sync":
        return r._replace(writer=s.record.writer)
    r = r._replace(phase="committed")
    if o.kind == "connect":
        return r._replace(connected=True)
    moved = r.source != r.target
    r = r._replace(active=r.target, epoch=r.epoch + moved)
    return r._replace(connected=False) if o.kind == "disconnect" else r


def _write(s: State, o: Operation, p: Protections, wanted: Record) -> Iterator[Move]:
    name = PROGRAMS[o.program][o.place][0]
    if name == "commit":
        o = o._replace(committing=True)
    done = _next(o._replace(version=s.record.version, wrote=None))
    if o.wrote is not None and s.record == o.wrote:
        yield Move(f"finds that it wrote the record ({name})", _at(s, done))
        return
    if p.cas and s.record.version != o.version:
        own = (s.record.writer, s.record.phase) == (o.number, "committed")
        if own and name == "commit" and p.know_own_commit:
            yield Move("finds its own commit in a record that was edited since", _at(s, done))
        else:
            yield Move(
                "finds the record changed",
                _at(s, o._replace(program=GIVE_UP, place=0, back=((o.program, o.place),))),
            )
        return
    done = done._replace(version=wanted.version)
    yield Move(f"writes the record ({name})", _at(_written(s, wanted, o), done))
    if s.budget.unanswered:
        s = s._replace(budget=s.budget._replace(unanswered=s.budget.unanswered - 1))
        again = o._replace(wrote=wanted)
        yield Move(f"writes the record ({name}), unanswered", _at(_written(s, wanted, o), again), False)
        late = Flight("record", record=wanted, expects=o.version, labels=o.seen)
        yield Move(f"writes the record ({name}) late", _fly(s, again, late), False)


def _written(s: State, wanted: Record, o: Operation) -> State:
    """A commit names the labels of the source: they are kept, and the base of the next merge."""
    s = s._replace(record=wanted)
    if wanted.phase != "committed" or wanted.source == wanted.target:
        return s
    left = list(s.left)
    left[wanted.source] = o.seen
    return s._replace(kept=s.kept | o.seen, left=(left[0], left[1]))


# Effects.


def _effect(s: State, o: Operation, p: Protections, name: str, rest: list[Any]) -> Iterator[Move]:
    if name == "create" or (name == "set" and not rest[1]):
        studio = AZUREML if name == "create" else rest[0]
        language, azureml = o.unsettled
        o = o._replace(unsettled=(language or studio == LANGUAGE, azureml or studio == AZUREML))
    if name in ("import", "restore"):
        labels = o.before if name == "restore" and o.before >= 0 else o.seen
        yield from _send(s, o, Flight("import", LANGUAGE, False, labels))
    elif name in ("create", "retire"):
        yield from _send(s, o, Flight(name, AZUREML))
    elif rest[0] == AZUREML and s.job != "ready":
        yield Move("finds no labeling job", _at(s, _next(o)))
    else:
        studio, open_ = rest
        yield from _send(s, o, Flight("gate", studio, open_), believes=not p.read_back and not open_)


def _send(s: State, o: Operation, flight: Flight, *, believes: bool = False) -> Iterator[Move]:
    """One attempt. What is not answered is tried again, from the look before it if there was one."""
    told = f"{flight.what} {('language', 'azureml')[flight.studio]} {'open' if flight.open else 'shut'}"
    yield Move(f"does {told}", _at(land(s, flight), _next(o)))
    if not s.budget.unanswered:
        return
    s = s._replace(budget=s.budget._replace(unanswered=s.budget.unanswered - 1))
    again = o._replace(imported=o.imported or flight.what == "import")
    if believes:
        again = _next(o)
    elif flight.what == "gate" and o.place and PROGRAMS[o.program][o.place - 1][0] == "peek":
        again = again._replace(place=o.place - 1)
    yield Move(f"does {told}, unanswered", _at(land(s, flight), again), False)
    yield Move(f"sends {told} late", _fly(s, again, flight), False)
    if flight.what != "import":
        yield Move(f"does {told}, delivered twice", _fly(land(s, flight), _next(o), flight), False)


def _fly(s: State, o: Operation, flight: Flight) -> State:
    return _at(s, o)._replace(flights=tuple(sorted((*s.flights, flight), key=repr)))


def land(s: State, f: Flight, *, cas: bool = True) -> State:
    """What a request does when it arrives."""
    if f.what == "record":
        if f.record is None or (cas and s.record.version != f.expects):
            return s
        return _written(s, f.record, Operation(0, "", "", seen=f.labels))
    if f.what == "create":
        return s if s.job != "none" else _gate(s._replace(job="ready"), AZUREML, Gate(True, True))
    if f.what == "retire":
        return s if s.job != "ready" else _gate(s._replace(job="retired", foreign=False), AZUREML, SHUT)
    if f.studio == AZUREML and s.job != "ready":
        return s
    if f.what == "import":
        labels = (f.labels, s.labels[AZUREML])
        return _gate(s._replace(labels=labels), LANGUAGE, s.gates[LANGUAGE].ask(False, 1))
    return _gate(s, f.studio, s.gates[f.studio].ask(f.open, 1))


def _gate(s: State, studio: int, gate: Gate) -> State:
    gates = (gate, s.gates[1]) if studio == LANGUAGE else (s.gates[0], gate)
    return s._replace(gates=gates)


# Looks at a gate.


def _reads(s: State, studio: int) -> Iterator[tuple[bool, bool]]:
    """What a read may say, and whether it is the fresh answer."""
    if studio == AZUREML and s.job == "none":
        yield False, True
        return
    for place, seen in enumerate(s.gates[studio].readings):
        yield seen, place == 0


def _aside(s: State, o: Operation, program: str, *, again: bool) -> State:
    back = (*o.back, (o.program, o.place if again else o.place + 1))
    return _at(s, o._replace(program=program, place=0, back=back))


def _peek(s: State, o: Operation, p: Protections, studio: int) -> Iterator[Move]:
    for seen, fresh in _reads(s, studio):
        if not seen:
            yield Move("sees the other studio shut", _at(s, _next(o)), fresh)
        else:
            aside = _aside(s, o, detour("intruder", studio, p), again=True)
            yield Move("sees the other studio open", aside, fresh)


def _find(s: State, o: Operation, p: Protections, studio: int, name: str) -> Iterator[Move]:
    """A look at a gate, and what is done if it is not as it must be."""
    aside = {"find open": "open", "find shut": "intruder", "still shut": "again"}[name]
    for seen, fresh in _reads(s, studio):
        if seen is (name == "find open"):
            yield Move("looks again: as it must be", _at(s, _next(o)), fresh)
            continue
        to = _aside(s, o, detour(aside, studio, p), again=name == "still shut")
        yield Move("looks again: wrong", to, fresh)


def _certain(s: State, o: Operation, p: Protections, studio: int) -> Iterator[Move]:
    if studio == AZUREML and s.job != "ready":
        yield Move("there is no labeling job", _at(s, _next(o)))
        return
    for seen, fresh in _reads(s, studio):
        name = "shut and wait" if seen or o.unsettled[studio] else "shut"
        yield Move("shuts the other for certain", _aside(s, o, detour(name, studio, p), again=False), fresh)
