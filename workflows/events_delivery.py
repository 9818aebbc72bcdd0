"""The deliveries of events: one workflow for each subscriber, which sleeps while there is nothing to do.

Prevents two failures: an event that is never tried again because the process that remembered it ended, and
a fleet that is idle and still busy. Where a subscriber stands is in Blob; a run here holds no state of its
own, so it continues as new, or is lost with its namespace, without losing anything.
"""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError

from labelbridge import names
from labelbridge.events.orders import DeliveryOrder, EventsRequest, Round
from workflows._errors import as_failure, as_info

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60))
_ROUND_TIMEOUT = timedelta(minutes=10)
_HEARTBEAT = timedelta(seconds=10)
"""A worker that was killed in the middle of a look is replaced after this long."""
_REFUSED_PAUSE = timedelta(minutes=1)
"""Before the outbox is looked at again after an answer that is final by type, such as a missing role."""
_ASK_TIMEOUT = timedelta(minutes=1)
_ASK_ATTEMPTS = 3


@workflow.defn(name=names.DELIVERY_WORKFLOW)
class DeliveryWorkflow:
    """Tells one subscriber everything, at least once."""

    versioning_behavior = VersioningBehavior.AUTO_UPGRADE
    """It lives as long as its subscriber."""

    def __init__(self) -> None:
        self.woken = False

    @workflow.signal(name=names.WAKE)
    def wake(self) -> None:
        """There is something to look at."""
        self.woken = True

    @workflow.run
    async def run(self, order: DeliveryOrder) -> None:
        """Look, sleep until woken or until an event is due again, look; ends with the subscriber."""
        while True:
            self.woken = False
            found = await self._look(order)
            if found.gone and not self.woken:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(order)
            if found.more or found.gone:
                continue
            with suppress(TimeoutError):  # then something is due
                await workflow.wait_condition(lambda: self.woken, timeout=found.pause)

    async def _look(self, order: DeliveryOrder) -> Round:
        try:
            found: Round = await workflow.execute_activity(
                "deliver_events",
                order,
                result_type=Round,
                start_to_close_timeout=_ROUND_TIMEOUT,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=_RETRY,
            )
        except ActivityError:
            return Round(pause=_REFUSED_PAUSE)
        return found


@workflow.defn(name=names.EVENTS_REQUEST_WORKFLOW)
class EventsRequestWorkflow:
    """What a person asks of the deliveries: a replay, or a test event; answered by a worker."""

    versioning_behavior = VersioningBehavior.PINNED

    @workflow.run
    async def run(self, request: EventsRequest) -> dict[str, object]:
        """The subscriber's state after a replay, or how the test event was received."""
        name = "rewind_subscriber" if request.kind == "replay" else "test_subscriber"
        try:
            answer: dict[str, object] = await workflow.execute_activity(
                name,
                request,
                result_type=dict,
                start_to_close_timeout=_ASK_TIMEOUT,
                retry_policy=RetryPolicy(maximum_attempts=_ASK_ATTEMPTS),
            )
        except ActivityError as error:
            raise as_failure(as_info(error)) from error
        return answer
