"""The one table of legal transitions: state x request -> next state, or why not.

Workflow validators and handlers, the command line's refusals and the tests all read this table;
the rule is written nowhere else. Pure: no I/O, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    JobRef,
    OperationKind,
    ProjectKind,
    ProjectStatus,
    Request,
    Studio,
    SwitchRequest,
    same_resource,
    unknown_fields,
)


class State(StrEnum):
    """What a project can be between two operations."""

    UNKNOWN = "unknown"
    """Language has no such project."""
    UNCONNECTED = "unconnected"
    LANGUAGE = "language"
    """Connected, and people label in Language Studio."""
    AZUREML = "azureml"
    """Connected, and people label in Azure ML."""


class Ask(StrEnum):
    """A request as the table sees it."""

    CONNECT = "connect"
    TO_LANGUAGE = "switch to language"
    TO_AZUREML = "switch to azureml"
    SYNC = "sync"
    TRAIN = "train"
    IMPORT = "import"
    DISCONNECT = "disconnect"
    RECONCILE = "reconcile"


@dataclass(frozen=True)
class Refusal:
    """Why a request is not legal: a code of the error catalogue."""

    code: str


TABLE: Mapping[tuple[State, Ask], State | Refusal] = {
    (State.UNKNOWN, Ask.CONNECT): Refusal("project_unknown"),
    (State.UNKNOWN, Ask.TO_LANGUAGE): Refusal("project_unknown"),
    (State.UNKNOWN, Ask.TO_AZUREML): Refusal("project_unknown"),
    (State.UNKNOWN, Ask.SYNC): Refusal("project_unknown"),
    (State.UNKNOWN, Ask.TRAIN): Refusal("project_unknown"),
    (State.UNKNOWN, Ask.IMPORT): State.UNCONNECTED,
    (State.UNKNOWN, Ask.DISCONNECT): Refusal("project_unknown"),
    (State.UNKNOWN, Ask.RECONCILE): State.UNKNOWN,
    (State.UNCONNECTED, Ask.CONNECT): State.LANGUAGE,
    (State.UNCONNECTED, Ask.TO_LANGUAGE): Refusal("not_connected"),
    (State.UNCONNECTED, Ask.TO_AZUREML): Refusal("not_connected"),
    (State.UNCONNECTED, Ask.SYNC): Refusal("not_connected"),
    (State.UNCONNECTED, Ask.TRAIN): State.UNCONNECTED,
    (State.UNCONNECTED, Ask.IMPORT): Refusal("project_exists"),
    (State.UNCONNECTED, Ask.DISCONNECT): Refusal("not_connected"),
    (State.UNCONNECTED, Ask.RECONCILE): State.UNCONNECTED,
    (State.LANGUAGE, Ask.CONNECT): Refusal("already_connected"),
    (State.LANGUAGE, Ask.TO_LANGUAGE): Refusal("already_active"),
    (State.LANGUAGE, Ask.TO_AZUREML): State.AZUREML,
    (State.LANGUAGE, Ask.SYNC): State.LANGUAGE,
    (State.LANGUAGE, Ask.TRAIN): State.LANGUAGE,
    (State.LANGUAGE, Ask.IMPORT): Refusal("project_exists"),
    (State.LANGUAGE, Ask.DISCONNECT): State.UNCONNECTED,
    (State.LANGUAGE, Ask.RECONCILE): State.LANGUAGE,
    (State.AZUREML, Ask.CONNECT): Refusal("already_connected"),
    (State.AZUREML, Ask.TO_LANGUAGE): State.LANGUAGE,
    (State.AZUREML, Ask.TO_AZUREML): Refusal("already_active"),
    (State.AZUREML, Ask.SYNC): State.AZUREML,
    (State.AZUREML, Ask.TRAIN): State.AZUREML,
    (State.AZUREML, Ask.IMPORT): Refusal("project_exists"),
    (State.AZUREML, Ask.DISCONNECT): State.UNCONNECTED,
    (State.AZUREML, Ask.RECONCILE): State.AZUREML,
}


_PATIENT: Mapping[Ask, OperationKind] = {
    Ask.SYNC: OperationKind.SYNC,
    Ask.RECONCILE: OperationKind.RECONCILE,
}
"""What waits for whatever runs."""


class Verdict(StrEnum):
    """What the entity does with a legal request."""

    START = "start"
    """Nothing runs: it is next."""
    QUEUE = "queue"
    """A sync or a reconciliation while something runs, or anything behind a reconciliation: it waits its turn."""
    JOIN = "join"
    """Another of its kind waits: that one begins after this request came, so it serves both."""


def state_of(status: ProjectStatus) -> State:
    """The state that the table knows, from a project's status."""
    if not status.known:
        return State.UNKNOWN
    if not status.connected:
        return State.UNCONNECTED
    return State.LANGUAGE if status.active is Studio.LANGUAGE else State.AZUREML


def ask_of(request: Request) -> Ask:
    """The table's name for a request; a recovery is no request and raises ValueError."""
    if isinstance(request, SwitchRequest):
        return Ask.TO_LANGUAGE if request.to is Studio.LANGUAGE else Ask.TO_AZUREML
    return Ask(request.kind)


def judge(status: ProjectStatus, request: Request) -> Verdict:
    """Say what to do with `request` now, or raise the `LabelbridgeError` that refuses it.

    A sync is never refused because another operation runs: it queues, and is judged when its turn
    comes, since the operation before it may have made or ended the connection. So does a
    reconciliation; and since that changes no state, whatever is asked for meanwhile queues behind it
    instead of being refused for something that nobody asked for. What this version does not know it does
    not do: a newer client's request is refused, never carried out in part.
    """
    if unknown := unknown_fields(request):
        raise LabelbridgeError("worker_too_old", f"These workers do not know: {', '.join(unknown)}.")
    state, ask = state_of(status), ask_of(request)
    busy = bool(status.running or status.queued)
    if busy and ask in _PATIENT:
        waits = any(waiting.kind is _PATIENT[ask] for waiting in status.queued)
        return Verdict.JOIN if waits else Verdict.QUEUE
    if _in_the_way(status):
        raise _busy(status)
    outcome = TABLE[state, ask]
    if isinstance(outcome, Refusal):
        raise LabelbridgeError(outcome.code, data={"project": status.project.name, "state": state.value})
    if isinstance(request, ConnectRequest):
        _refuse_retired(request.job, status.retired)
    if isinstance(request, DisconnectRequest) and state is State.AZUREML and request.labels is None:
        raise LabelbridgeError("labels_undecided", data={"project": status.project.name})
    refuse_by_kind(status, request)
    return Verdict.QUEUE if busy else Verdict.START


def refuse_by_kind(status: ProjectStatus, request: Request) -> None:
    """Raise `input_invalid` for what a project of this kind can never do, whatever runs or waits."""
    if getattr(request, "policy", None) == "union" and status.kind not in (None, ProjectKind.MULTI_LABEL):
        raise LabelbridgeError("input_invalid", "policy: only multi-label classes can be united.")


def _in_the_way(status: ProjectStatus) -> bool:
    """True if what runs or waits may change the state, or was asked for by somebody."""
    running = status.running.kind if status.running else None
    kinds = (running, *(waiting.kind for waiting in status.queued))
    return any(kind not in (None, OperationKind.RECONCILE) for kind in kinds)


def _busy(status: ProjectStatus) -> LabelbridgeError:
    running = status.running
    if running is None or running.kind is OperationKind.RECONCILE:
        waiting = next(one for one in status.queued if one.kind is not OperationKind.RECONCILE)
        return LabelbridgeError(
            "operation_running", f"{waiting.operation_id} is about to start on this project."
        )
    who = running.actor.name or running.actor.object_id
    since = running.started_at.isoformat(timespec="seconds")
    return LabelbridgeError(
        "operation_running",
        f"{running.kind.value} {running.operation_id} runs since {since}, asked for by {who}.",
        data={
            "operation_id": running.operation_id,
            "workflow_id": running.workflow_id,
            "kind": running.kind.value,
            "actor": who,
            "actor_object_id": running.actor.object_id,
            "since": since,
        },
    )


def _refuse_retired(job: JobRef, retired: tuple[JobRef, ...]) -> None:
    for old in retired:
        if same_resource(old.resource_id, job.resource_id):
            raise LabelbridgeError("job_retired", data={"job": job.name})
