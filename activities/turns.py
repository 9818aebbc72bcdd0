"""Turns on a Language resource's queue, and which steps' requests pass the turnstile at once."""

from contextlib import nullcontext
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from labelbridge.azure.session import AzureSession
from labelbridge.model import ProjectRef
from labelbridge.throttling.limiter import at_once, one_step
from labelbridge.throttling.turns import AT_ONCE, TAKE_TURN


class Turns:
    """The only step on a resource's own queue."""

    def __init__(self, session: AzureSession) -> None:
        """Clients are injected; nothing is global."""
        self._session = session

    @activity.defn(name=TAKE_TURN)
    async def take_turn(self, project: ProjectRef) -> None:
        """Wait until a request that begins work would be let through. May run twice: it takes nothing.

        Each worker has one turn of a resource in its hands at a time, so the rest of the line stays
        with Temporal, which knows who is urgent and whose project was served last.
        """
        if self._session.throttling is not None:
            await self._session.throttling.turn(project)


class ThrottleInterceptor(Interceptor):
    """Tells the turnstiles where a step begins, and lets the requests of `AT_ONCE` pass."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap the next interceptor."""
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        with one_step(), at_once() if activity.info().activity_type in AT_ONCE else nullcontext():
            return await self.next.execute_activity(input)
