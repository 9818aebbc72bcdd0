"""How an error leaves an activity: its code as the Temporal error type, its remedy in the details.

Prevents three failures: a refusal that is retried for ever, a `Retry-After` that is ignored, and a secret that
somebody's error message carries into a history (Temporal keeps every cause of an error). All activities pass
through one interceptor, so no activity translates errors by itself.
"""

from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from activities._progress import beating
from labelbridge.azure.transport import effect_deadline
from labelbridge.errors import LabelbridgeError
from labelbridge.redaction import redact_chain
from labelbridge.settings import Settings

_MESSAGE_LIMIT = 8_000
"""Temporal keeps 4 KiB of an activity's failure in mutable state; longer ones are cut anyway."""


def application_error(error: LabelbridgeError) -> ApplicationError:
    """The form in which a `LabelbridgeError` travels through Temporal."""
    info = error.info.model_copy(update={"message": error.message[:_MESSAGE_LIMIT]})
    return ApplicationError(
        str(error)[:_MESSAGE_LIMIT],
        info.model_dump(mode="json"),
        type=error.code,
        non_retryable=error.final,
        next_retry_delay=error.retry_after,
    )


class ErrorsInterceptor(Interceptor):
    """Translates errors, and puts every activity attempt under its effect deadline."""

    def __init__(self, settings: Settings) -> None:
        """`settings.timing.effect_deadline` bounds each attempt that has an effect."""
        self._settings = settings

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap the next interceptor."""
        return _Inbound(next, self._settings)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, settings: Settings) -> None:
        super().__init__(following)
        self._deadline = settings.timing.effect_deadline.total_seconds()
        self._timeout = settings.timing.effect_timeout

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await self._bounded(input)
        except LabelbridgeError as error:
            raise application_error(error) from redact_chain(error)
        except Exception as error:
            # A bug, or what another library raised: kept as it is, unless it quotes a secret.
            clean = redact_chain(error)
            if clean is error:
                raise
            raise ApplicationError(str(clean), type=type(error).__name__) from None

    async def _bounded(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        """Run under the effect deadline if this is an effect: those have the short time-out.

        The deadline counts from when the *server* started the attempt, so that a worker which was
        stopped between taking the task and running it does not get a fresh one. This trusts the
        clocks of worker and server to differ by less than the drain's margin (docs/design.md).
        """
        info = activity.info()
        if info.heartbeat_timeout:
            # Reading steps are long, however long one of their calls takes.
            async with beating(info.heartbeat_timeout):
                return await self.next.execute_activity(input)
        if info.start_to_close_timeout is None or info.start_to_close_timeout > self._timeout:
            return await self.next.execute_activity(input)
        age = (datetime.now(UTC) - info.started_time).total_seconds()
        with effect_deadline(self._deadline - max(0.0, age)):
            return await self.next.execute_activity(input)
