"""A handle to one operation, and how its failure becomes a `LabelbridgeError`."""

import asyncio
import random
from datetime import timedelta

from pydantic import ValidationError
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
)
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Accepted, ErrorInfo, OperationResult, Progress, ProjectRef, ProjectStatus

_QUERY_TIMEOUT = timedelta(seconds=5)
PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.UNKNOWN,
    }
)
"""Answers after which nothing is known, or an entity was just ending: the same call is made again."""
_NOT_STARTED_PAUSES = (0.1, 0.25, 0.5, 1.0)
"""An accepted operation that waits its turn has no workflow yet; it is looked for this often (s), by chance
a little sooner: a thousand may look for one."""
_LOOKS = 12
"""Looks (about ten seconds) after which its entity is asked whether it knows the operation at all."""


def as_error(cause: BaseException | None) -> LabelbridgeError:
    """The `LabelbridgeError` that travelled in a Temporal failure."""
    if isinstance(cause, LabelbridgeError):
        return cause
    if isinstance(cause, CancelledError):
        return LabelbridgeError("cancelled")
    if isinstance(cause, TerminatedError):
        return LabelbridgeError("terminated")
    if isinstance(cause, ApplicationError):
        try:
            info = ErrorInfo.model_validate(cause.details[0])
        except (IndexError, ValidationError):
            info = ErrorInfo(code=cause.type or "unexpected", message=cause.message)
        return LabelbridgeError.from_info(info)
    return LabelbridgeError.from_info(ErrorInfo(code="unexpected", message=str(cause)))


def failure(error: BaseException) -> LabelbridgeError:
    """The `LabelbridgeError` for whatever a Temporal call raised."""
    if isinstance(error, WorkflowFailureError):
        return as_error(error.cause)
    if isinstance(error, RPCError):
        return LabelbridgeError("temporal_unreachable", str(error))
    return as_error(error)


class OperationHandle:
    """One operation: await its result, look at its progress, cancel it."""

    def __init__(self, client: Client, project: ProjectRef, accepted: Accepted) -> None:
        """Use `Labelbridge.start` or `Labelbridge.operation`."""
        self.project = project
        self.operation_id = accepted.operation_id
        self.workflow_id = accepted.workflow_id
        self.joined = accepted.joined
        self._client = client

    @classmethod
    def of(cls, client: Client, project: ProjectRef, operation_id: str) -> "OperationHandle":
        """A handle from an operation's id."""
        workflow_id = f"{project.workflow_id}/{operation_id}"
        return cls(client, project, Accepted(operation_id=operation_id, workflow_id=workflow_id))

    @property
    def _workflow(self) -> WorkflowHandle[object, OperationResult]:
        return self._client.get_workflow_handle(self.workflow_id, result_type=OperationResult)

    async def result(self, timeout: timedelta | float | None = None) -> OperationResult:
        """Wait for the end.

        Args:
            timeout: seconds or a timedelta; None waits for ever. The operation goes on when it ends.

        Raises:
            LabelbridgeError: how the operation failed, `wait_timeout`, or `operation_unknown` if nobody knows
                it, which after a loss of Temporal's database is true of what had not begun.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            return await asyncio.wait_for(self._result(), seconds)
        except TimeoutError as error:
            raise LabelbridgeError("wait_timeout", data={"operation_id": self.operation_id}) from error

    async def _result(self) -> OperationResult:
        looks = 0
        while True:
            try:
                return await self._workflow.result()
            except WorkflowFailureError as error:
                raise as_error(error.cause) from error
            except RPCError as error:
                if error.status not in PASSING:
                    raise LabelbridgeError("temporal_unreachable", str(error)) from error
                looks += error.status is RPCStatusCode.NOT_FOUND
            if looks and looks % _LOOKS == 0 and await self._is_lost():
                raise LabelbridgeError(
                    "operation_unknown",
                    f"{self.operation_id} neither waits nor runs, and Temporal does not remember it.",
                    data={"operation_id": self.operation_id},
                )
            longest = _NOT_STARTED_PAUSES[max(looks, 1) - 1 if looks < len(_NOT_STARTED_PAUSES) else -1]
            await asyncio.sleep(random.uniform(longest * 0.75, longest))  # noqa: S311

    async def _is_lost(self) -> bool:
        """True if the project's entity knows nothing of an operation that has no workflow.

        Temporal's memory was lost, or the id is of no operation: the wait would never end.
        """
        entity = self._client.get_workflow_handle(self.project.workflow_id)
        try:
            seen: ProjectStatus = await entity.query(
                names.STATUS, result_type=ProjectStatus, rpc_timeout=_QUERY_TIMEOUT
            )
            waiting = {one.operation_id for one in seen.queued}
            if self.operation_id in waiting | {seen.running.operation_id if seen.running else ""}:
                return False
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                return False  # no worker answers: nothing is known
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return False
        try:  # it may have begun, and ended, since it was last looked for
            await self._workflow.describe(rpc_timeout=_QUERY_TIMEOUT)
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    async def progress(self) -> Progress | None:
        """The live timeline; None while the operation waits its turn or no worker answers."""
        try:
            seen: Progress = await self._workflow.query(
                names.PROGRESS, result_type=Progress, rpc_timeout=_QUERY_TIMEOUT
            )
        except RPCError:
            return None
        return seen

    async def cancel(self) -> None:
        """Ask the operation to stop: undone before its commit, completed after it."""
        try:
            await self._workflow.cancel()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise LabelbridgeError(
                    "operation_unknown", data={"operation_id": self.operation_id}
                ) from error
            raise LabelbridgeError("temporal_unreachable", str(error)) from error
