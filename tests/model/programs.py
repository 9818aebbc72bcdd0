"""The steps of each operation as instructions of the model, in the order in which `plans` has them.

Prevents a model of another protocol: which steps an operation takes, and in which order, comes from
`labelbridge.plans`, the table that the workflows themselves take their steps from. Only what one step
does is written here once more (workflows/_moves.py, _carrying.py, connect.py and recover.py have it).
"""

from typing import Any, NamedTuple

from labelbridge.model import Request, Studio
from labelbridge.plans import Step, steps_of
from tests.model.state import AZUREML, LANGUAGE, NOTHING, Record

Instruction = tuple[Any, ...]
DRAIN, LOOK = 2, 2
"""Ticks. A request in flight has landed or died within less than two, a gate takes effect within one."""


class Protections(NamedTuple):
    """What keeps the invariants; each can be left out, to see that it is needed."""

    drain: bool = True
    """Waiting out what may still be in flight."""
    read_back: bool = True
    """A gate counts as shut when it reads so, not when the request was sent."""
    still_shut: bool = True
    """The source is read once more after the drain."""
    look_before: bool = True
    """A studio opens only after the other one was read once more."""
    cas: bool = True
    """The record is written only if it is what was read."""
    look_again: bool = True
    reconcile: bool = True
    order: bool = True
    """The target opens after the commit, not before."""
    know_own_commit: bool = True
    """A commit that stands in a record which somebody edited since still counts as one's own."""
    wait_for_second_import: bool = True
    retire_late: bool = True
    """An undone connect waits out the creation of its job before it looks for it."""
    recover_late: bool = True
    """A recovery waits out what the terminated operation had in flight before it reads the record."""


ALL = Protections()
PROGRAMS: dict[str, tuple[Instruction, ...]] = {}
"""Name -> instructions; made when they are first needed."""


def _index(studio: Studio) -> int:
    return LANGUAGE if studio is Studio.LANGUAGE else AZUREML


def forward(request: Request, active: Studio, connected: bool, protections: Protections) -> str:
    """The program of a request; returns its name."""
    source = _index(active)
    target = {"switch": 1 - source, "sync": LANGUAGE}.get(request.kind, LANGUAGE)
    name = f"{request.kind} {source}>{target}"
    if name not in PROGRAMS:
        steps = list(steps_of(request, active=active, connected=connected))
        if not protections.order and Step.OPEN in steps:
            steps.remove(Step.OPEN)
            steps.insert(steps.index(Step.COMMIT), Step.OPEN)
        PROGRAMS[name] = tuple(
            one for step in steps for one in _of_step(step, request.kind, source, target, protections)
        )
    return name


def _of_step(step: Step, kind: str, source: int, target: int, p: Protections) -> tuple[Instruction, ...]:
    drain = (("wait", DRAIN),) if p.drain else ()
    import_ = (("before", kind), ("phase", "delivering"), ("import",), ("second",))
    instructions: dict[Step, tuple[Instruction, ...]] = {
        Step.INTEND: (("intend",),),
        Step.GATE: (("set", source, False), ("phase", "draining")),
        Step.DRAIN: (*drain, ("export", source), *((("still shut", source),) if p.still_shut else ())),
        Step.EXPORT: (("export", source),),
        Step.CREATE_JOB: (("create",),),
        Step.GATE_JOB: (("set", AZUREML, False), *drain, ("export", AZUREML), ("keep",)),
        Step.LINK: (("set", LANGUAGE, False),),
        Step.DELIVER: import_ if target == LANGUAGE else (("phase", "delivering"),),
        Step.COMMIT: (("commit",),),
        Step.UNLINK: (("retire",),),
        Step.OPEN: opening(target, p),
        Step.LOOK_AGAIN: looking(target, p),
        Step.ANNOUNCE: (("withdraw",), ("end",)),
    }
    return instructions.get(step, ())


def opening(studio: int, p: Protections) -> tuple[Instruction, ...]:
    """One activity: the other gate is read, then this one opens, then it is read back."""
    peek = (("peek", 1 - studio),) if p.look_before else ()
    return (*peek, ("set", studio, True))


def looking(active: int, p: Protections) -> tuple[Instruction, ...]:
    """Step 8."""
    if not p.look_again:
        return ()
    return (("wait", LOOK), ("find shut", 1 - active), ("find open", active))


def _open_again(studio: int, p: Protections) -> tuple[Instruction, ...]:
    return (("certain", 1 - studio), *opening(studio, p), ("wait", LOOK), *opening(studio, p))


def undo(name: str, place: int, protections: Protections) -> str:
    """The undo of a program that was left at `place`, as its effects were registered; returns its name."""
    begun = {one[0] for one in PROGRAMS[name][: place + 1]}
    gated = any(one[0] == "set" and not one[2] for one in PROGRAMS[name][: place + 1])
    source = int(name.partition(" ")[2][0])
    undone = f"undo {name} {sorted(begun & {'intend', 'import', 'create'})} {gated}"
    if undone not in PROGRAMS:
        found: list[Instruction] = []
        if "import" in begun:
            found.append(("restore",))
        if "create" in begun:
            if protections.retire_late:
                found.append(("wait", DRAIN))
            found += [("certain", AZUREML), ("export", AZUREML), ("keep",), ("retire",)]
        if gated:
            found += _open_again(source, protections)
        PROGRAMS[undone] = (*found, ("withdraw",), ("end",))
    return undone


def recovery(record: Record, protections: Protections) -> str:
    """How `recover` begins; returns its name. What it does then, the record says after the wait."""
    late = protections.recover_late or not record.phase
    name = "recover" if late else f"recover: {recovered(record, protections)}"
    if name not in PROGRAMS:
        wait = (("wait", DRAIN),) if protections.drain else ()
        PROGRAMS[name] = (*wait, ("decide", "" if late else recovered(record, protections)))
    return name


def recovered(record: Record, protections: Protections) -> str:
    """What `recover` does, from the record alone; returns its name."""
    r = record
    way = "forward" if r.phase == "committed" else "back"
    name = f"recovered {way} {r.kind} {r.source}>{r.target} {r.restore != NOTHING}"
    if name not in PROGRAMS:
        p = protections
        found: list[Instruction] = []
        if r.phase == "committed":
            if r.kind == "disconnect":
                found.append(("retire",))
            found += [*opening(r.target, p), *looking(r.target, p)]
        else:
            if r.restore != NOTHING:
                found += [("certain", LANGUAGE), ("restore",)]
            if r.kind == "connect":
                found += [("certain", AZUREML), ("export", AZUREML), ("keep",), ("retire",)]
            found += _open_again(r.source, p)
        PROGRAMS[name] = (*found, ("withdraw",), ("end",))
    return name


def detour(name: str, studio: int, protections: Protections) -> str:
    """What is done when a gate is found wrong in the middle of a program; returns its name."""
    full = f"{name} {studio}"
    if full not in PROGRAMS:
        drain = (("wait", DRAIN),) if protections.drain else ()
        PROGRAMS[full] = {
            "intruder": (("set", studio, False), *drain, ("export", studio), ("keep",), ("return",)),
            "again": (("set", studio, False), *drain, ("export", studio), ("return",)),
            "shut": (("set", studio, False), ("return",)),
            "shut and wait": (("set", studio, False), *drain, ("return",)),
            "open": (*opening(studio, protections), ("return",)),
            "reconcile": (*looking(studio, protections), ("end",)),
        }[name]
    return full
