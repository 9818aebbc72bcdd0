"""What a filter can know of one project, said once: by the entity's search attributes and by its status.

Prevents a list and an act that mean different projects by the same words: what an entity publishes and what
is judged again before anything is done are made by this module alone. Pure: workflow code imports it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from labelbridge import names
from labelbridge.lifecycle import State, state_of
from labelbridge.model import OperationKind, ProjectStatus, ProjectSummary, arm_name

NONE = "none"
"""Value of `workspace` without a connection, and of `attention` where nobody is needed."""
UNKNOWN = "unknown"
"""Value of `kind` before anybody has looked."""

DOING: Mapping[OperationKind, str] = {
    OperationKind.CONNECT: "connecting",
    OperationKind.SWITCH: "switching",
    OperationKind.SYNC: "syncing",
    OperationKind.TRAIN: "training",
    OperationKind.IMPORT: "importing",
    OperationKind.DISCONNECT: "disconnecting",
    OperationKind.RECOVER: "recovering",
    OperationKind.RECONCILE: "reconciling",
}
"""The state of a project while an operation runs."""
STATES = (*(state.value for state in State), *DOING.values())


@dataclass(frozen=True)
class Facts:
    """One project as filters see it."""

    name: str
    kind: str
    """`projectKind` as Azure names it, or `unknown`."""
    active: str
    state: str
    """What it is doing, or else what it is: one of `STATES`."""
    resource: str
    """ARM id of the Language resource."""
    workspace: str
    """ARM id of the workspace, or `none`."""
    attention: str
    """Code of the error for which it needs a person, or `none`."""
    epoch: int


def facts_of(project: ProjectStatus | ProjectSummary) -> Facts:
    """The facts of a status, or of the line of it that an entity published."""
    running = project.running
    return Facts(
        name=project.project.name,
        kind=project.kind.value if project.kind else UNKNOWN,
        active=project.active.value,
        state=DOING[running.kind] if running else _at_rest(project).value,
        resource=project.project.language_resource,
        workspace=project.job.workspace if project.job else NONE,
        attention=project.attention.code if project.attention else NONE,
        epoch=project.epoch,
    )


def short(resource_id: str) -> str:
    """The form in which a search attribute holds a resource: its own name, in lower case."""
    return arm_name(resource_id).casefold()


def published(status: ProjectStatus) -> tuple[tuple[str, str], ...]:
    """Each search attribute of a project's entity, with its value."""
    facts = facts_of(status)
    return (
        (names.STATE_ATTRIBUTE, facts.state),
        (names.ACTIVE_ATTRIBUTE, facts.active),
        (names.KIND_ATTRIBUTE, facts.kind),
        (names.ATTENTION_ATTRIBUTE, facts.attention),
        (names.RESOURCE_ATTRIBUTE, short(facts.resource)),
        (names.WORKSPACE_ATTRIBUTE, short(facts.workspace)),
    )


def _at_rest(project: ProjectStatus | ProjectSummary) -> State:
    if isinstance(project, ProjectStatus):
        return state_of(project)
    status = ProjectStatus(
        project=project.project, known=project.known, connected=project.connected, active=project.active
    )
    return state_of(status)
