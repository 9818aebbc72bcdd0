"""The points at which a worker can die, read from the histories of what a project lived through.

Prevents a step that nobody ever killed because nobody wrote it into a list.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.service import RPCError, RPCStatusCode

from tests.faults.lives import Life
from tests.faults.stages import CANCEL, STAGES, TERMINATE
from tests.faults.worker import Strike

CRASHES = ("before", "middle", "after")
ZOMBIES = ("frozen early", "frozen late")


@dataclass(frozen=True, order=True)
class Point:
    """One crash: the n-th activity of a name in a stage's workflow, and when in it."""

    stage: str
    workflow: str
    activity: str
    occurrence: int
    mode: str

    @property
    def strike(self) -> Strike:
        """What a worker is told."""
        return Strike(self.workflow, self.activity, self.occurrence, self.mode)

    @property
    def is_zombie(self) -> bool:
        """True if the worker is frozen and woken, not killed."""
        return self.mode in ZOMBIES

    def __str__(self) -> str:
        """What `--only` takes."""
        return f"{self.stage}/{self.workflow}/{self.activity}/{self.occurrence}/{self.mode}"

    @classmethod
    def parse(cls, text: str) -> "Point":
        """Read what `str` wrote."""
        stage, workflow, activity, occurrence, mode = text.split("/")
        return cls(stage, workflow, activity, int(occurrence), mode)

    @classmethod
    def of(cls, stage: str, strike: Strike) -> "Point":
        """The point of a stage that a strike was for."""
        return cls(stage, **asdict(strike))


async def points_of(life: Life, stage: str) -> list[Point]:
    """All points of the stage that this life lived through last.

    They are those of the entity, of the operation, and of whatever else the entity ran because of it (a
    recovery). Of an operation that was stopped only what came after: what came before is another stage's.
    """
    entity = await _events(life, life.ref.workflow_id)
    since = datetime.fromtimestamp(life.began, UTC)
    found = _points_in(stage, entity, since)
    stopped = STAGES[stage].stop
    for number, child in enumerate(_children(entity, since)):
        events = await _events(life, child)
        if number == 0 and stopped == TERMINATE:
            continue
        begin = _cancelled_at(events) if number == 0 and stopped == CANCEL else None
        found += _points_in(stage, events, begin or since)
    only = STAGES[stage].only
    return [point for point in found if not only or point.activity in only]


async def _events(life: Life, workflow_id: str) -> list[HistoryEvent]:
    try:
        return list((await life.setting.client.get_workflow_handle(workflow_id).fetch_history()).events)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return []  # an entity that was never needed


def _children(events: list[HistoryEvent], since: datetime) -> Iterator[str]:
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED and _at(event) >= since:
            yield event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id


def _cancelled_at(events: list[HistoryEvent]) -> datetime | None:
    wanted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    return next((_at(event) for event in events if event.event_type == wanted), None)


def _at(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(UTC)


def _points_in(stage: str, events: list[HistoryEvent], since: datetime) -> list[Point]:
    if not events:
        return []
    kind = events[0].workflow_execution_started_event_attributes.workflow_type.name
    scheduled = [
        (event.activity_task_scheduled_event_attributes, _at(event) >= since)
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    if kind == "labelbridge.project":  # a worker of the stage sees only this stage's
        scheduled = [(one, True) for one, wanted in scheduled if wanted]
    names = [one.activity_type.name for one, _ in scheduled]
    seen: Counter[str] = Counter()
    found: list[Point] = []
    for place, (one, wanted) in enumerate(scheduled):
        seen[names[place]] += 1
        polling = names[max(0, place - 2) : place + 1] == [names[place]] * 3  # its number is an accident
        if wanted and not polling:
            modes = _modes(one)
            found += [Point(stage, kind, names[place], seen[names[place]], mode) for mode in modes]
    return found


READS = (
    "await_",
    "begin",
    "export_",
    "find_",
    "inspect",
    "job_state",
    "join_",
    "merge_",
    "preflight",
    "prepare_",
    "read_",
    "take_turn",
    "training_outcome",
    "verify_",
    "watch_",
)
"""How the names of activities begin that change nothing, or only add blobs that are named after their content
(an export is asked for, too): one that wakes late does no harm. Whatever is called otherwise is frozen."""


def _modes(one: ActivityTaskScheduledEventAttributes) -> tuple[str, ...]:
    """What can be done to an activity: only what beats can be killed in its middle, only effects frozen."""
    killed = CRASHES if one.heartbeat_timeout.ToTimedelta() else ("before", "after")
    return killed if one.activity_type.name.startswith(READS) else (*killed, *ZOMBIES)
