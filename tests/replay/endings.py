"""Each way an operation can end, and which of them each operation must have a saved history of.

Prevents a way to end that nobody replays: what is possible is read from the table of legal transitions
and from the plans, so a new operation, or a new undo, asks for its history by itself.
"""

from collections.abc import Iterator
from enum import StrEnum

from labelbridge.lifecycle import TABLE, Ask, Refusal, State
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    JobRef,
    ProjectRef,
    ProjectStatus,
    ReconcileRequest,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.plans import PlanStep, Step, plan

_RESOURCE = "/subscriptions/s/resourceGroups/g/providers/p/t/n"


class Ending(StrEnum):
    """How an operation ended."""

    COMMITTED = "committed"
    REFUSED = "refused"
    """Before it did anything that had to be undone."""
    ROLLED_BACK = "rolled-back"
    CANCELLED = "cancelled"
    """Before its commit, and undone."""
    COMPLETED = "completed"
    """Cancelled after its commit, and completed all the same."""
    TERMINATED = "terminated"
    TERMINATED_LATE = "terminated-late"
    """After its commit."""


def wanted() -> set[tuple[str, Ending]]:
    """Every operation, named as the table of legal transitions names it, with every way it can end."""
    return {(ask.value, ending) for state, ask in legal() for ending in _endings(_plan(state, ask))}


def legal() -> Iterator[tuple[State, Ask]]:
    """Every operation in every state in which it may begin."""
    for (state, ask), outcome in TABLE.items():
        if not isinstance(outcome, Refusal):
            yield state, ask


def recoveries() -> set[tuple[str, str]]:
    """Every operation that writes its intent, with what a recovery makes of it: `undone` or `finished`."""
    found: set[tuple[str, str]] = set()
    for state, ask in legal():
        steps = [one.name for one in _plan(state, ask)]
        kind = _request(ask).kind
        if Step.INTEND in steps:
            found.add((kind, "undone"))
        if Step.OPEN in steps:
            found.add((kind, "finished"))
    return found


def _endings(steps: tuple[PlanStep, ...]) -> Iterator[Ending]:
    yield from (Ending.COMMITTED, Ending.REFUSED, Ending.COMPLETED, Ending.TERMINATED)
    names = [step.name for step in steps]
    if Step.COMMIT not in names:
        return
    commit = names.index(Step.COMMIT)
    yield Ending.CANCELLED
    if any(step.undo and not step.undo.startswith("none") for step in steps[:commit]):
        yield Ending.ROLLED_BACK
    if Step.OPEN in names[commit:]:
        yield Ending.TERMINATED_LATE


def _plan(state: State, ask: Ask) -> tuple[PlanStep, ...]:
    connected = state in (State.LANGUAGE, State.AZUREML)
    active = Studio.AZUREML if state is State.AZUREML else Studio.LANGUAGE
    project = ProjectRef(language_resource=_RESOURCE, name="p")
    status = ProjectStatus(project=project, known=True, connected=connected, active=active)
    return plan(_request(ask), status)


def _request(ask: Ask) -> Request:
    """Any request of this sort."""
    fields = {
        "source": {"account": "storage1", "container": "labelbridge", "name": "uploads/f.jsonl"},
        "account": "storage1",
        "container": "letters",
        "project_kind": "CustomEntityRecognition",
        "language": "en-us",
    }
    made: dict[Ask, Request] = {
        Ask.CONNECT: ConnectRequest(job=JobRef(workspace=_RESOURCE, name="j")),
        Ask.TO_LANGUAGE: SwitchRequest(to=Studio.LANGUAGE),
        Ask.TO_AZUREML: SwitchRequest(to=Studio.AZUREML),
        Ask.SYNC: SyncRequest(),
        Ask.TRAIN: TrainRequest(model="m"),
        Ask.IMPORT: ImportRequest.model_validate(fields),
        Ask.DISCONNECT: DisconnectRequest(labels="sync"),
        Ask.RECONCILE: ReconcileRequest(),
    }
    return made[ask]
