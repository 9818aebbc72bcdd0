"""The steps of each operation, in order: what `--dry-run` prints and a running operation reports.

Workflows take their step names from here, so a plan can never name other steps than those that run
(a test compares each finished operation's timeline with its plan).
"""

from dataclasses import dataclass
from enum import StrEnum

from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    ProjectStatus,
    ReconcileRequest,
    RecoverRequest,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)


class Step(StrEnum):
    """The name of a step, as people read it."""

    PREFLIGHT = "check roles, links and labels"
    CLAIM = "claim the labeling job's name"
    INTEND = "write the intent into the record"
    GATE = "stop labeling in the active studio"
    DRAIN = "wait until labels are at rest"
    SNAPSHOT = "take a snapshot of the labels"
    CREATE_JOB = "create the labeling job"
    GATE_JOB = "pause the new labeling job"
    LINK = "link the project to the labeling job"
    DELIVER = "deliver the labels and read them back"
    COMMIT = "commit"
    UNLINK = "remove the link and retire the labeling job"
    OPEN = "open labeling in the target studio"
    LOOK_AGAIN = "look at both gates again"
    EXPORT = "export the active studio's labels"
    RESTORE = "import the snapshot into Language"
    TRAIN = "train and evaluate"
    VERIFY = "read back what the model was trained on"
    DEPLOY = "deploy the model"
    READ_FILE = "read the labels file"
    CREATE_PROJECT = "create the project from the labels"
    INSPECT = "compare the record with both gates"
    SHUT = "shut what must not be open"
    MEND = "put right what differs"
    CANCEL_TRAINING = "cancel the terminated training's job"
    UNDO = "put everything back"
    FORWARD = "finish what was committed"
    ANNOUNCE = "write the audit entry"


@dataclass(frozen=True)
class PlanStep:
    """One line of a plan."""

    number: int
    name: Step
    effect: str
    undo: str = ""


_EFFECTS: dict[Step, tuple[str, str]] = {
    Step.PREFLIGHT: ("none", ""),
    Step.CLAIM: ("a claim blob is created, for ever", "none: an abandoned name stays claimed"),
    Step.INTEND: ("record: transition by compare-and-swap", "record back"),
    Step.GATE: ("lock or pause, then read back", "open again, read back"),
    Step.DRAIN: ("none: a durable wait, then two equal exports", ""),
    Step.SNAPSHOT: ("an immutable snapshot is written", "none: snapshots stay"),
    Step.CREATE_JOB: ("a data asset and a labeling job are created", "the job is paused and archived"),
    Step.GATE_JOB: ("pause, then read back", ""),
    Step.LINK: ("project settings name the labeling job", "the setting is cleared"),
    Step.DELIVER: (
        "labels are written to the target and compared with the snapshot",
        "the target's own labels are put back",
    ),
    Step.COMMIT: ("record: one write, the commit point", "none: from here only forward"),
    Step.UNLINK: ("the setting is cleared, the labeling job is paused and archived for ever", ""),
    Step.OPEN: ("the source is read once more, then unlock or resume, then read back", ""),
    Step.LOOK_AGAIN: ("a gate found open that must be shut is shut at once", ""),
    Step.EXPORT: ("an immutable snapshot is written", "none: snapshots stay"),
    Step.RESTORE: (
        "the gated Language project holds the snapshot's labels",
        "its former labels are put back",
    ),
    Step.TRAIN: ("a training job and a model", "a running job is cancelled"),
    Step.VERIFY: ("none", ""),
    Step.DEPLOY: ("the deployment serves the new model", ""),
    Step.READ_FILE: ("an immutable snapshot is written", "none: snapshots stay"),
    Step.CREATE_PROJECT: ("a Language project is created, labels read back", "the project is deleted"),
    Step.INSPECT: ("none", ""),
    Step.SHUT: ("lock or pause, read back; what was labelled through it is kept as a snapshot", ""),
    Step.MEND: ("missing claims are written, the link is set, the active studio is opened", ""),
    Step.CANCEL_TRAINING: ("a training job that nobody waits for is cancelled", ""),
    Step.UNDO: ("the source is opened again, the record goes back", ""),
    Step.FORWARD: ("the target is opened", ""),
    Step.ANNOUNCE: ("an audit entry", ""),
}

_CONNECT = (
    Step.PREFLIGHT, Step.CLAIM, Step.INTEND, Step.GATE, Step.DRAIN, Step.SNAPSHOT, Step.CREATE_JOB,
    Step.GATE_JOB, Step.LINK, Step.COMMIT, Step.OPEN, Step.LOOK_AGAIN, Step.ANNOUNCE,
)  # fmt: skip
_SWITCH = (
    Step.PREFLIGHT, Step.INTEND, Step.GATE, Step.DRAIN, Step.SNAPSHOT, Step.DELIVER, Step.COMMIT,
    Step.OPEN, Step.LOOK_AGAIN, Step.ANNOUNCE,
)  # fmt: skip
_SYNC = (Step.PREFLIGHT, Step.EXPORT, Step.DELIVER, Step.COMMIT, Step.ANNOUNCE)
_IMPORT = (
    Step.PREFLIGHT, Step.READ_FILE, Step.INTEND, Step.CREATE_PROJECT, Step.COMMIT, Step.ANNOUNCE,
)  # fmt: skip
_DISCONNECT_IDLE = (
    Step.PREFLIGHT, Step.INTEND, Step.COMMIT, Step.UNLINK, Step.OPEN, Step.LOOK_AGAIN, Step.ANNOUNCE,
)  # fmt: skip
_DISCONNECT_AZUREML = (
    Step.PREFLIGHT, Step.INTEND, Step.GATE, Step.DRAIN, Step.SNAPSHOT, Step.DELIVER, Step.COMMIT,
    Step.UNLINK, Step.OPEN, Step.LOOK_AGAIN, Step.ANNOUNCE,
)  # fmt: skip


def steps_of(request: Request, *, active: Studio, connected: bool) -> tuple[Step, ...]:
    """The steps that `request` takes from a project whose active studio is `active`."""
    match request:
        case ConnectRequest():
            return _CONNECT
        case SwitchRequest():
            return _SWITCH
        case SyncRequest():
            return (
                _SYNC
                if active is Studio.AZUREML
                else (Step.PREFLIGHT, Step.EXPORT, Step.COMMIT, Step.ANNOUNCE)
            )
        case TrainRequest():
            return _train_steps(request, azureml=connected and active is Studio.AZUREML)
        case ImportRequest():
            return _IMPORT
        case DisconnectRequest():
            return _DISCONNECT_IDLE if active is Studio.LANGUAGE else _DISCONNECT_AZUREML
        case RecoverRequest():
            return (Step.INSPECT, Step.UNDO, Step.FORWARD, Step.ANNOUNCE)
        case ReconcileRequest(policy="report"):
            return (Step.INSPECT, Step.ANNOUNCE)
        case ReconcileRequest():
            return (Step.INSPECT, Step.SHUT, Step.MEND, Step.LOOK_AGAIN, Step.ANNOUNCE)


def _train_steps(request: TrainRequest, *, azureml: bool) -> tuple[Step, ...]:
    steps: tuple[Step, ...] = (Step.PREFLIGHT,)
    if request.labels == "latest" and azureml:
        steps += (Step.EXPORT, Step.DELIVER)
    elif request.labels in ("latest", "as-is"):
        steps += (Step.EXPORT,)
    else:
        steps += (Step.RESTORE,)
    steps += (Step.TRAIN, Step.VERIFY, Step.COMMIT)
    if request.deployment:
        steps += (Step.DEPLOY,)
    return (*steps, Step.ANNOUNCE)


def plan(request: Request, status: ProjectStatus) -> tuple[PlanStep, ...]:
    """What `request` would do to a project in this state, step by step, with each step's undo."""
    steps = steps_of(request, active=status.active, connected=status.connected)
    return tuple(PlanStep(i, step, *_EFFECTS[step]) for i, step in enumerate(steps, 1))
