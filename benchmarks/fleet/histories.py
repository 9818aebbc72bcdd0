"""What histories tell: how many activities ran, how long was waited on purpose, how large they are."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client


@dataclass(frozen=True)
class Told:
    """One workflow run."""

    events: int
    size: int
    """Bytes, as the server counts them."""
    activities: int
    waited: float
    """Seconds of all timers that fired, as they were ordered."""
    late: float
    """Seconds by which those fired later than ordered: the server's grain."""
    worked: float
    """Seconds in which its activities ran, or were waited for to be tried again (a gate that takes effect late)."""
    ended: datetime


async def told(client: Client, workflow_id: str) -> Told:
    """Read the newest run of a workflow."""
    handle = client.get_workflow_handle(workflow_id)
    described = await handle.describe()
    activities, waited, late, worked = 0, 0.0, 0.0, 0.0
    timers: dict[str, tuple[float, datetime]] = {}
    begun: dict[int, datetime] = {}
    at = datetime.min.replace(tzinfo=UTC)
    async for event in handle.fetch_history_events():
        at = event.event_time.ToDatetime(UTC)
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                activities += 1
                begun[event.event_id] = at
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                attempt = event.activity_task_started_event_attributes
                scheduled = begun.pop(attempt.scheduled_event_id)
                begun[event.event_id] = at if attempt.attempt == 1 else scheduled
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                began = begun.pop(event.activity_task_completed_event_attributes.started_event_id)
                worked += (at - began).total_seconds()
            case EventType.EVENT_TYPE_TIMER_STARTED:
                timer = event.timer_started_event_attributes
                timers[timer.timer_id] = (timer.start_to_fire_timeout.ToTimedelta().total_seconds(), at)
            case EventType.EVENT_TYPE_TIMER_FIRED:
                ordered, began = timers[event.timer_fired_event_attributes.timer_id]
                waited += ordered
                late += (at - began).total_seconds() - ordered
    return Told(
        events=described.history_length,
        size=described.raw_description.workflow_execution_info.history_size_bytes,
        activities=activities,
        waited=waited,
        late=late,
        worked=worked,
        ended=at,
    )


async def events_in_all(client: Client) -> tuple[int, int]:
    """Workflows of the namespace, and the events of all their histories: equal twice, nothing ran between.

    Lists are up to a second behind, and say how long a history is only of what is closed; each that is
    open is asked itself.
    """
    workflows = events = 0
    async for found in client.list_workflows(page_size=1000):
        workflows += 1
        events += (await client.get_workflow_handle(found.id, run_id=found.run_id).describe()).history_length
    return workflows, events
