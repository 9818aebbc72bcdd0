"""Logging of the worker: structlog for everything, JSON or pretty, each record with its operation.

Prevents three failures: a record that nobody can tie to an operation, records written again each
time Temporal replays a workflow, and secrets in a log (`redaction`). Records of the SDKs come
through the same handler, from `warning` on.
"""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from temporalio import activity, workflow
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings
from workers.redaction import redact

log = structlog.get_logger(__name__)

_OURS = ("labelbridge", "workers", "activities", "workflows")
_QUIET = ("temporalio", "azure", "aiohttp", "asyncio", "msal")
"""Loggers that speak from `warning` on: at `info` Azure's clients log each request's headers."""


class NoReplay(logging.Filter):
    """Drops what workflow code says again while its history is replayed."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False while the current workflow replays."""
        return not (workflow.in_workflow() and workflow.unsafe.is_replaying())


def _bind_temporal(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add project, operation, epoch and ids from the running activity or workflow."""
    if workflow.in_workflow():
        info = workflow.info()
        event.setdefault("run_id", info.run_id)
        _bind_ids(event, info.workflow_id)
        if (epoch := epoch_of(workflow.instance())) is not None:
            event.setdefault("epoch", epoch)
    elif activity.in_activity():
        running = activity.info()
        event.setdefault("activity", running.activity_type)
        event.setdefault("attempt", running.attempt)
        if running.workflow_id:
            _bind_ids(event, running.workflow_id)
    return event


def _bind_ids(event: MutableMapping[str, Any], workflow_id: str) -> None:
    """Read project and operation from a workflow id: `labelbridge/<project key>[/<operation>]`."""
    event.setdefault("workflow_id", workflow_id)
    parts = workflow_id.split("/")
    if len(parts) > 1 and parts[0] == "labelbridge":
        event.setdefault("project", parts[1])
    if len(parts) > 2:
        event.setdefault("operation", parts[2])


def epoch_of(value: object) -> int | None:
    """The epoch that an activity's argument or a workflow speaks of, wherever it keeps it."""
    # An operation's `record` raises while nothing is stored, so `stored` is asked where there is one.
    keeper = value.stored if hasattr(value, "stored") else value
    record = getattr(keeper, "record", None)
    for holder in (value, getattr(value, "transition", None), record, getattr(value, "status", None)):
        epoch = getattr(holder, "epoch", None)
        if isinstance(epoch, int):
            return epoch
    return None


class LogContext(Interceptor):
    """Binds the epoch of an activity's argument to its records, and logs each activity that was done.

    Failed attempts are logged by Temporal's SDK, with their traceback, at `warning`.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap the next interceptor."""
        return _Logged(next)


class _Logged(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        known = [epoch for arg in input.args if (epoch := epoch_of(arg)) is not None]
        bound = {"epoch": known[0]} if known else {}
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(**bound):
            result = await self.next.execute_activity(input)
            log.info("activity_done", seconds=round(time.monotonic() - started, 3))
        return result


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Route structlog and stdlib logging to one handler on `stream` (stderr if None).

    Raises:
        LabelbridgeError: `settings_invalid` if `log_level` is no level.
    """
    level = logging.getLevelNamesMapping().get(settings.log_level.upper())
    if level is None:
        raise LabelbridgeError("settings_invalid", f"log_level: {settings.log_level!r} is no level.")
    target = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _bind_temporal,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.addFilter(NoReplay())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                redact,
                _renderer(settings.log_format, target),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _renderer(form: str, target: TextIO) -> Any:
    if form == "pretty" or (form == "auto" and target.isatty()):
        return structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False)
