"""How a failure inside a workflow becomes the error that a caller reads."""

import asyncio

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    TimeoutError,  # noqa: A004
    is_cancelled_exception,
)

from labelbridge.errors import CATALOGUE, LabelbridgeError
from labelbridge.model import ErrorInfo


def ends_operation(error: BaseException) -> bool:
    """True for a failure or a cancellation of the operation; False for an eviction or a bug.

    An eviction from the worker's cache also raises CancelledError: only the server's own request
    for cancellation has a reason. A bug must fail the workflow task, not the operation.
    """
    if isinstance(error, asyncio.CancelledError):
        return workflow.cancellation_reason() is not None
    return isinstance(error, FailureError | LabelbridgeError)


def as_info(error: BaseException) -> ErrorInfo:
    """The code, message and remedy of a failure."""
    if is_cancelled_exception(error):
        return LabelbridgeError("cancelled").info
    if isinstance(error, LabelbridgeError):
        return error.info
    cause = error.cause if isinstance(error, ActivityError | ChildWorkflowError) else error
    if isinstance(cause, TimeoutError):
        last = as_info(cause.cause) if cause.cause else None
        why = f" Last: {last.code}: {last.message}" if last else ""
        return LabelbridgeError("step_deadline", f"A step ran into its deadline.{why}").info
    if isinstance(cause, TerminatedError):
        return LabelbridgeError("terminated").info
    if isinstance(cause, ApplicationError):
        return _from_details(cause)
    return ErrorInfo(code="unexpected", message=str(cause or error))


def is_final(info: ErrorInfo) -> bool:
    """True if the same request would be refused again, until somebody mends something."""
    kind = CATALOGUE.get(info.code)
    return kind is not None and kind.final and info.code != "step_deadline"


def _from_details(error: ApplicationError) -> ErrorInfo:
    if error.details:
        try:
            return ErrorInfo.model_validate(error.details[0])
        except ValidationError:
            pass
    return ErrorInfo(code=error.type or "unexpected", message=error.message)


def as_failure(info: ErrorInfo) -> ApplicationError:
    """The error that fails a workflow or an update for good."""
    return ApplicationError(
        f"{info.code}: {info.message}", info.model_dump(mode="json"), type=info.code, non_retryable=True
    )
