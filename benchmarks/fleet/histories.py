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
    """Seconds of all timers that fired."""
    ended: datetime


async def told(client: Client, workflow_id: str) -> Told:
    """Read the newest run of a workflow."""
    handle = client.get_workflow_handle(workflow_id)
    described = await handle.describe()
    activities, waited, timers = 0, 0.0, {}
    ended = datetime.min.replace(tzinfo=UTC)
    async for event in handle.fetch_history_events():
        ended = event.event_time.ToDatetime(UTC)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            activities += 1
        elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            timer = event.timer_started_event_attributes
            timers[timer.timer_id] = timer.start_to_fire_timeout.ToTimedelta().total_seconds()
        elif event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
            waited += timers[event.timer_fired_event_attributes.timer_id]
    return Told(
        events=described.history_length,
        size=described.raw_description.workflow_execution_info.history_size_bytes,
        activities=activities,
        waited=waited,
        ended=ended,
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
