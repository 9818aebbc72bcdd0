"""One trace from a caller through its operation's workflow and activities: Temporal interceptors of our own.

Prevents a trace that never ends: a project's entity lives for years, and the SDK's interceptors would put all
that it ever does into the trace of whoever called first. Here the entity has no trace of its own; each request
brings one (`Submission.trace`), and its operation belongs to that, also after the entity continued as new or
the request was left as a signal.

Nothing of OpenTelemetry runs in workflow code: it carries a W3C traceparent (a string), and a span is written
when what it tells of has ended and the workflow is not replaying. So a replay writes none again, and a workflow
that moves to another worker has one. docs/decisions/0038.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol

import temporalio.client
import temporalio.worker
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.exceptions import FailureError

from labelbridge import names
from labelbridge.telemetry import spans

HEADER = "_tracer-data"
"""The header of Temporal's own OpenTelemetry interceptors, so that their callers' traces go on here."""
WITHOUT_TRACE = frozenset({names.ENTITY_WORKFLOW, names.DELIVERY_WORKFLOW})
"""They serve many callers, one after the other, for ever."""

_current: ContextVar[str | None] = ContextVar("labelbridge_traceparent", default=None)
"""In workflow code: the traceparent that what is started now belongs to."""
_CONVERTER = PayloadConverter.default


class _WithHeaders(Protocol):
    headers: Mapping[str, Payload]


def _put(call: _WithHeaders, parent: str | None) -> None:
    if parent:
        call.headers = {**call.headers, HEADER: _CONVERTER.to_payload({"traceparent": parent})}


def _found(headers: Mapping[str, Payload]) -> str | None:
    payload = headers.get(HEADER)
    try:
        carrier = json.loads(payload.data) if payload else {}
    except ValueError:
        return None
    parent = carrier.get("traceparent") if isinstance(carrier, dict) else None
    return parent if isinstance(parent, str) else None


class Tracing(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Client and worker side."""

    def intercept_client(
        self,
        next: temporalio.client.OutboundInterceptor,  # noqa: A002
    ) -> temporalio.client.OutboundInterceptor:
        """Wrap the next interceptor."""
        return _Client(next)

    def intercept_activity(
        self,
        next: temporalio.worker.ActivityInboundInterceptor,  # noqa: A002
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Wrap the next interceptor."""
        return _Activity(next)

    def workflow_interceptor_class(
        self,
        input: temporalio.worker.WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        """For each workflow run."""
        input.unsafe_extern_functions.update({names.STEP_ENDED: step_ended})
        return _Workflow


class _Client(temporalio.client.OutboundInterceptor):
    """Lets what is started belong to the current span. Questions (queries, descriptions) have no span."""

    async def start_workflow(self, input: temporalio.client.StartWorkflowInput) -> Any:  # noqa: A002
        with spans.span(f"start {input.workflow}", {"temporal.workflow_id": input.id}, kind="client"):
            _put(input, spans.traceparent())
            return await super().start_workflow(input)

    async def start_update_with_start_workflow(
        self,
        input: temporalio.client.StartWorkflowUpdateWithStartInput,  # noqa: A002
    ) -> Any:
        update, start = input.update_workflow_input, input.start_workflow_input
        with spans.span(f"update {update.update}", {"temporal.workflow_id": start.id}, kind="client"):
            _put(update, spans.traceparent())
            return await super().start_update_with_start_workflow(input)


class _Activity(temporalio.worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        attributes: dict[str, str | int] = {
            "labelbridge.attempt": info.attempt,
            **_ids(info.workflow_id or ""),
        }
        epoch = getattr(input.args[0], "epoch", None) if input.args else None
        if isinstance(epoch, int):
            attributes["labelbridge.epoch"] = epoch
        parent = _found(input.headers)
        with spans.span(info.activity_type, attributes, kind="consumer", parent=parent):
            return await super().execute_activity(input)


class _Workflow(temporalio.worker.WorkflowInboundInterceptor):
    def init(self, outbound: temporalio.worker.WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))

    async def execute_workflow(self, input: temporalio.worker.ExecuteWorkflowInput) -> Any:  # noqa: A002
        info = workflow.info()
        parent = (
            None if info.workflow_type in WITHOUT_TRACE else _asked_by(input.args) or _found(input.headers)
        )
        with _told(info.workflow_type, parent, f"{info.run_id}/run", kind="consumer"):
            return await super().execute_workflow(input)

    async def handle_update_handler(self, input: temporalio.worker.HandleUpdateInput) -> Any:  # noqa: A002
        own = f"{workflow.info().run_id}/update/{input.id}"
        with _told(f"handle {input.update}", _found(input.headers), own, kind="server"):
            return await super().handle_update_handler(input)


class _Outbound(temporalio.worker.WorkflowOutboundInterceptor):
    def start_activity(self, input: temporalio.worker.StartActivityInput) -> Any:  # noqa: A002
        _put(input, _current.get())
        return super().start_activity(input)

    async def start_child_workflow(self, input: temporalio.worker.StartChildWorkflowInput) -> Any:  # noqa: A002
        _put(input, _current.get())
        return await super().start_child_workflow(input)


def _asked_by(args: Any) -> str | None:
    """The trace of the request that an operation carries out."""
    submission = getattr(args[0], "submission", None) if args else None
    return getattr(submission, "trace", None)


def _ids(workflow_id: str) -> dict[str, str | int]:
    """Project key and operation from a workflow id: `labelbridge/<project key>[/<operation>]`."""
    parts = workflow_id.split("/")
    found: dict[str, str | int] = {"temporal.workflow_id": workflow_id}
    if len(parts) > 1 and parts[0] == "labelbridge":
        found["labelbridge.project"] = parts[1]
    if len(parts) > 2:
        found["labelbridge.operation"] = parts[2]
    return found


@contextmanager
def _told(name: str, parent: str | None, own: str, *, kind: str) -> Iterator[None]:
    """In workflow code: what the block starts belongs to a span that is written when the block has ended."""
    fields = parent.split("-") if parent else []
    if len(fields) != 4:
        token = _current.set(None)
        try:
            yield
        finally:
            _current.reset(token)
        return
    span_id = hashlib.sha256(own.encode()).hexdigest()[:16]
    began = workflow.now()
    _current.set("-".join((*fields[:2], span_id, fields[3])))
    try:
        yield
    except BaseException as error:
        if _ends(error):
            _write(name, parent or "", int(span_id, 16), began, kind, error)
        raise
    else:
        _write(name, parent or "", int(span_id, 16), began, kind, None)


def _ends(error: BaseException) -> bool:
    """True for an end; an eviction from the worker's cache also raises, and a bug is tried again."""
    if isinstance(error, asyncio.CancelledError):
        return workflow.cancellation_reason() is not None
    return isinstance(error, FailureError)


def step_ended(name: str, attributes: spans.Attributes, began: datetime) -> None:
    """In workflow code: a step of an operation has ended; written if the operation has a trace."""
    parent = _current.get()
    if parent:
        _write(name, parent, None, began, "internal", None, attributes)


def _write(
    name: str,
    parent: str,
    span_id: int | None,
    began: datetime,
    kind: str,
    error: BaseException | None,
    attributes: spans.Attributes | None = None,
) -> None:
    if workflow.unsafe.is_replaying() or not spans.tracing():
        return
    from labelbridge.telemetry import _exporting

    info = workflow.info()
    ended = _nanoseconds(workflow.now())
    with workflow.unsafe.sandbox_unrestricted(), _exporting.chosen(span_id or 0):
        made = spans.tracer().start_span(
            name,
            context=spans.context_of(parent),
            kind=spans.kind_of(kind),
            attributes={**_ids(info.workflow_id), **(attributes or {})},
            start_time=_nanoseconds(began),
        )
        if error is not None:
            spans.fail(made, error)
        made.end(end_time=ended)


def _nanoseconds(when: datetime) -> int:
    return int(when.timestamp() * 1_000_000) * 1_000
