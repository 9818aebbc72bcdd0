"""Everything that may happen in a state: the operation, time, what is in flight, people and operators.

Prevents a protocol that is only shown to work when it is left alone. The entity is the product's own:
what is legal is decided by `labelbridge.lifecycle.judge`, which every face of the product asks too.
"""

from collections.abc import Iterator
from functools import lru_cache

from labelbridge.errors import LabelbridgeError
from labelbridge.lifecycle import judge
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    JobRef,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
)
from tests.model.programs import PROGRAMS, Protections, detour, forward, recovery, undo
from tests.model.protocol import GIVE_UP, Move, land, steps
from tests.model.state import AZUREML, LANGUAGE, NOTHING, Operation, State

GROUP = "/subscriptions/s/resourceGroups/g/providers"
PROJECT = ProjectRef(language_resource=f"{GROUP}/Microsoft.CognitiveServices/accounts/a", name="p")
JOB = JobRef(workspace=f"{GROUP}/Microsoft.MachineLearningServices/workspaces/w", name="j")
REQUESTS: tuple[Request, ...] = (
    ConnectRequest(job=JOB),
    SwitchRequest(to=Studio.AZUREML),
    SwitchRequest(to=Studio.LANGUAGE),
    SyncRequest(),
    DisconnectRequest(labels="sync"),
)
STUDIOS = (Studio.LANGUAGE, Studio.AZUREML)


@lru_cache
def legal(connected: bool, active: int, retired: bool) -> tuple[Request, ...]:
    """What the table of legal transitions lets start now."""
    status = ProjectStatus(
        project=PROJECT,
        known=True,
        kind=ProjectKind.ENTITIES,
        connected=connected,
        active=STUDIOS[active],
        retired=(JOB,) if retired else (),
    )
    found = []
    for request in REQUESTS:
        try:
            judge(status, request)
        except LabelbridgeError:
            continue
        found.append(request)
    return tuple(found)


def moves(s: State, p: Protections) -> Iterator[Move]:
    """All transitions out of a state."""
    if s.operation is not None and s.operation.program == GIVE_UP:
        yield Move("undoes what it did", _undone(s, s.operation, p))
        return
    yield from steps(s, p)
    yield from _time(s)
    yield from _flights(s, p)
    yield from _entity(s, p)
    yield from _people(s)
    yield from _hands(s, p)


def _time(s: State) -> Iterator[Move]:
    """A tick. What is in flight must have landed or died by the second one."""
    counts = any(g.left for g in s.gates) or s.flights or (s.operation is not None and s.operation.timer)
    if not counts or any(f.left == 0 for f in s.flights):
        return
    gates = tuple(g if g.left == 0 else g._replace(left=0, open=g.asked) for g in s.gates)
    flights = tuple(f._replace(left=f.left - 1) for f in s.flights)
    o = s.operation
    if o is not None and o.timer:
        o = o._replace(timer=o.timer - 1)
    foreign = s.foreign and (gates[AZUREML].open or gates[AZUREML].asked)
    after = s._replace(gates=(gates[0], gates[1]), flights=flights, operation=o, foreign=foreign)
    yield Move("time passes", after)


def _flights(s: State, p: Protections) -> Iterator[Move]:
    for place, one in enumerate(s.flights):
        rest = s._replace(flights=(*s.flights[:place], *s.flights[place + 1 :]))
        yield Move(f"a late request dies: {one.what}", rest)
        yield Move(f"a late request lands: {one.what} {one.studio} {one.open}", land(rest, one, cas=p.cas))


def _entity(s: State, p: Protections) -> Iterator[Move]:
    """The project's entity: one operation at a time; recovery and reconciliation come by themselves."""
    if s.operation is not None:
        return
    r = s.record
    number = s.numbers + 1
    begun = s._replace(numbers=number)
    if r.phase:
        o = Operation(r.writer, "recover", recovery(r, p), version=r.version, before=r.restore)
        yield Move("recovery begins", s._replace(operation=o))
        return
    right = s.gates[r.active].asked and not s.gates[1 - r.active].asked
    if not right and not s.flights and p.reconcile:
        # Without a number of its own: one that changes nothing comes back to where it began, a cycle.
        o = Operation(0, "reconcile", detour("reconcile", r.active, p), version=r.version)
        yield Move("reconciliation begins", s._replace(operation=o))
    if not s.budget.requests:
        return
    for request in legal(r.connected, r.active, s.job == "retired"):
        name = forward(request, STUDIOS[r.active], r.connected, p)
        budget = s.budget._replace(requests=s.budget.requests - 1)
        o = Operation(number, request.kind, name, version=r.version, before=NOTHING)
        yield Move(f"{name} is asked for", begun._replace(operation=o, budget=budget), False)


def _people(s: State) -> Iterator[Move]:
    """Somebody labels wherever it is accepted: the write is acknowledged."""
    if not s.budget.writes:
        return
    bit = 1 << s.budget.writes
    budget = s.budget._replace(writes=s.budget.writes - 1)
    for studio in (LANGUAGE, AZUREML):
        if not s.gates[studio].open:
            continue
        labels = list(s.labels)
        labels[studio] |= bit
        by_hand = s.by_hand | bit if s.foreign and studio == AZUREML else s.by_hand
        after = s._replace(labels=(labels[0], labels[1]), written=s.written | bit, by_hand=by_hand)
        yield Move(f"somebody labels in {STUDIOS[studio].value}", after._replace(budget=budget), False)


def _hands(s: State, p: Protections) -> Iterator[Move]:
    """Operators who cancel or terminate, and people who go past Labelbridge."""
    o, b = s.operation, s.budget
    if o is not None and b.cancel and _may_be_cancelled(o):
        fewer = s._replace(budget=b._replace(cancel=b.cancel - 1))
        yield Move("is cancelled", _undone(fewer, o, p), False)
    if o is not None and b.terminate and o.kind not in ("recover", "reconcile"):
        after = s._replace(operation=None, budget=b._replace(terminate=b.terminate - 1))
        yield Move("is terminated", after, False)
    if b.resume and s.job == "ready" and not s.gates[AZUREML].asked:
        gate = s.gates[AZUREML].ask(True, 1)
        budget = b._replace(resume=b.resume - 1)
        after = s._replace(gates=(s.gates[LANGUAGE], gate), foreign=True, budget=budget)
        yield Move("a person resumes the labeling job", after, False)
    if b.touch and s.record.phase:
        record = s.record._replace(version=s.record.version + 1)
        after = s._replace(record=record, budget=b._replace(touch=b.touch - 1))
        yield Move("a person edits the record", after, False)


def _may_be_cancelled(o: Operation) -> bool:
    if o.kind in ("recover", "reconcile") or o.committing or o.program.startswith("undo"):
        return False
    if o.back:
        return False
    names = [one[0] for one in PROGRAMS[o.program]]
    return "commit" in names and o.place <= names.index("commit")


def _undone(s: State, o: Operation, p: Protections) -> State:
    """The operation turns back: what it registered is undone in reverse."""
    program, place = o.back[-1] if o.program == GIVE_UP else (o.program, o.place)
    name = undo(program, place, p)
    return s._replace(operation=o._replace(program=name, place=0, timer=0, back=()))
