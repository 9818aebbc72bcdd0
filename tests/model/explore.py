"""Visits every reachable state of the model, and says what is wrong with the first that is.

Prevents a proof by examples. Safety (I1, I2, I4) is judged in every state. I3 is judged on the moves that
need no fault and nobody's decision: among them there is no cycle, and where there are none left the
project is at rest as its record says. So from every reachable state, once faults stop, every path ends.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.programs import PROGRAMS, Protections
from tests.model.state import AZUREML, LANGUAGE, OPEN, SHUT, Budget, Gate, Record, State
from tests.model.world import moves


@dataclass(frozen=True)
class Finding:
    """What an exploration found."""

    states: int
    transitions: int
    ends: int
    """States in which nothing more happens by itself."""
    violated: str | None = None
    trace: tuple[str, ...] = ()
    """How to get there: one move a line, and how things stand after it."""


def starts(budget: Budget) -> tuple[State, ...]:
    """A project that was never connected, and connected ones with either studio active."""
    never = _start("none", False, LANGUAGE, budget)
    return never, _start("ready", True, LANGUAGE, budget), _start("ready", True, AZUREML, budget)


def _start(job: str, connected: bool, active: int, budget: Budget) -> State:
    gates: tuple[Gate, Gate] = (OPEN, SHUT) if active == LANGUAGE else (SHUT, OPEN)
    return State(gates, (0, 0), job, Record(0, connected, active, 0), (0, 0), 0, None, (), budget)


class Explorer:
    """One exploration."""

    def __init__(self, protections: Protections, most: int) -> None:
        self._protections = protections
        self._most = most
        self._known: dict[State, int] = {}
        self._order: list[State] = []
        self._parents: list[tuple[int, str]] = []
        self._fair: list[tuple[int, ...]] = []
        self._queue: deque[int] = deque()
        self._transitions = 0

    def run(self, begin: tuple[State, ...]) -> Finding:
        """Visit everything that can be reached, or as much as there is up to the first violation."""
        for state in begin:
            self._visit(state, -1, "to begin with")
        while self._queue:
            number = self._queue.popleft()
            state = self._order[number]
            following = self._follow(number)
            if wrong := unsafe(state) or (None if following else unfinished(state)):
                return self._finding(wrong, number)
            self._fair.append(following)
            if len(self._order) > self._most:
                raise MemoryError(f"more than {self._most} states")
        cycle = _cycle(self._fair)
        return self._finding("I3: it goes round for ever", cycle) if cycle is not None else self._finding()

    def _follow(self, number: int) -> tuple[int, ...]:
        """Visit what comes next; returns what comes by itself."""
        state, following = self._order[number], []
        for move in moves(state, self._protections):
            self._transitions += 1
            if move.state == state:
                continue
            place = self._visit(move.state, number, move.what)
            if move.fair:
                following.append(place)
        return tuple(following)

    def _visit(self, state: State, parent: int, what: str) -> int:
        number = self._known.get(state)
        if number is None:
            number = self._known[state] = len(self._order)
            self._order.append(state)
            self._parents.append((parent, what))
            self._queue.append(number)
        return number

    def _finding(self, violated: str | None = None, at: int = 0) -> Finding:
        ends = sum(not some for some in self._fair)
        trace = tuple(_trace(self._order, self._parents, at)) if violated else ()
        return Finding(len(self._order), self._transitions, ends, violated, trace)


def explore(begin: tuple[State, ...], protections: Protections, *, most: int = 5_000_000) -> Finding:
    """Breadth first, so that a trace is as short as can be; stops at the first violation."""
    PROGRAMS.clear()
    return Explorer(protections, most).run(begin)


def unsafe(s: State) -> str | None:
    """What must not be in any state."""
    if s.gates[LANGUAGE].open and s.gates[AZUREML].open and not s.foreign:
        return "I1: both studios take labels"
    if s.job == "retired" and s.gates[AZUREML].open:
        return "I4: a retired labeling job takes labels"
    o = s.operation
    committed = o is not None and (s.record.phase, s.record.writer) == ("committed", o.number)
    if committed and o is not None and o.program.startswith(("undo", "recovered back")):
        return "I3: what was committed is undone"
    return None


def unfinished(s: State) -> str | None:
    """What must not be where nothing more happens by itself."""
    active = s.record.active
    if s.operation is not None or s.record.phase:
        return "I3: it stands half-way, and nothing happens"
    if not s.gates[active].open or s.gates[1 - active].open:
        return "I3: the gates are not as the record says, and nothing happens"
    held = s.kept | s.labels[active] | (s.by_hand & s.labels[AZUREML])
    if s.written & ~held:
        return "I2: labels that were acknowledged are nowhere"
    return None


def _cycle(fair: list[tuple[int, ...]]) -> int | None:
    """A state on a cycle of moves that happen by themselves, if there is one (Kahn's algorithm)."""
    into = [0] * len(fair)
    for following in fair:
        for place in following:
            into[place] += 1
    free = [place for place, count in enumerate(into) if count == 0]
    done = 0
    while free:
        done += 1
        for place in fair[free.pop()]:
            into[place] -= 1
            if into[place] == 0:
                free.append(place)
    return None if done == len(fair) else next(place for place, count in enumerate(into) if count)


def _trace(order: list[State], parents: list[tuple[int, str]], at: int) -> Iterator[str]:
    path = []
    while at >= 0:
        path.append(at)
        at = parents[at][0]
    for number in reversed(path):
        yield f"{parents[number][1]:48} {_told(order[number])}"


def _told(s: State) -> str:
    gates = ", ".join(
        f"{name} {'open' if gate.open else 'shut'}{'' if gate.left == 0 else ' (changing)'}"
        for name, gate in zip(("language", "azureml"), s.gates, strict=True)
    )
    r = s.record
    record = f"record: {('language', 'azureml')[r.active]} {r.epoch} {r.phase or 'at rest'}"
    flying = f"; in flight: {', '.join(f.what for f in s.flights)}" if s.flights else ""
    return f"{gates}; {record}{flying}"
