"""The worker process: takes workflow and activity tasks until it is told to stop.

Prevents three failures of long-running workers: a SIGTERM that cancels activities in the middle of
an effect (they get `graceful_shutdown` to finish, then Temporal gives them to another worker), a
worker that lives on after a fatal error and polls nothing, and one that wakes from a pause and
sends what it began long ago (`pause_guard`).
"""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

import activities
import workflows
from activities._errors import ErrorsInterceptor
from activities.turns import ThrottleInterceptor, Turns
from labelbridge import converter
from labelbridge.azure.session import AzureSession
from labelbridge.errors import ExitCode
from labelbridge.events.stores import Stores
from labelbridge.registry import Registry
from labelbridge.settings import Settings
from labelbridge.telemetry import spans
from labelbridge.telemetry.server import Telemetry
from workers import logs, telemetry
from workers.events import restore_schedules, start_deliveries
from workers.pause_guard import PauseGuard
from workers.schedule import keep_schedule
from workers.startup import connect_temporal, open_registry, register_search_attributes
from workers.turns import TurnWorkers
from workers.versioning import PASSTHROUGH, deployment, sandbox

log = structlog.get_logger(__name__)

SHUTDOWN_MARGIN = 10.0
"""Seconds after `graceful_shutdown` in which a worker that failed must have ended by itself."""


def build_worker(client: Client, session: AzureSession, registry: Registry, settings: Settings) -> Worker:
    """The Temporal worker with all workflows and activities, not yet started."""
    temporal = settings.temporal
    version = deployment(temporal)
    runner = sandbox(PASSTHROUGH, versioned=version is not None)
    worker = Worker(
        client,
        task_queue=temporal.task_queue,
        workflows=workflows.ALL,
        activities=activities.all_activities(session, registry, settings),
        interceptors=[logs.LogContext(), ErrorsInterceptor(settings), ThrottleInterceptor()],
        workflow_runner=runner,
        deployment_config=version,
        max_cached_workflows=temporal.max_cached_workflows,
        max_concurrent_workflow_tasks=temporal.max_concurrent_workflow_tasks,
        sticky_queue_schedule_to_start_timeout=temporal.sticky_timeout,
        graceful_shutdown_timeout=temporal.graceful_shutdown,
        on_fatal_error=_end_soon(settings),
    )
    runner.serve(worker)
    return worker


def build_turn_worker(client: Client, session: AzureSession, settings: Settings, queue: str) -> Worker:
    """The worker of one Language resource's queue of turns, not yet started.

    It has one turn in its hands at a time. A turn has no effect, so it is given up at once at shutdown, and
    another worker takes it.
    """
    return Worker(
        client,
        task_queue=queue,
        activities=[Turns(session).take_turn],
        interceptors=[logs.LogContext(), ErrorsInterceptor(settings)],
        max_concurrent_activities=1,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(maximum=1),
        max_task_queue_activities_per_second=settings.throttle.turns_per_second or None,
        on_fatal_error=_end_soon(settings),
    )


def _end_soon(settings: Settings) -> Callable[[BaseException], Awaitable[None]]:
    """What a worker that failed for good does first."""

    async def end_soon(error: BaseException) -> None:
        """The shutdown that follows may hang in an activity; the process must end all the same."""
        log.critical("worker_failed", error=str(error))
        seconds = settings.temporal.graceful_shutdown.total_seconds() + SHUTDOWN_MARGIN
        timer = threading.Timer(seconds, os._exit, [int(ExitCode.UNEXPECTED)])
        timer.daemon = True
        timer.start()

    return end_soon


async def run_worker(
    settings: Settings, *, stop: asyncio.Event | None = None, shown: Telemetry | None = None
) -> None:
    """Serve until `stop` is set; without `stop`, until SIGTERM or SIGINT.

    Logs `worker_ready` once it polls. Returns after the graceful shutdown; `shown` is served all the while.

    Raises:
        LabelbridgeError: `temporal_unreachable`, `registry_unreachable`, `settings_invalid`,
            `encryption_keys_unavailable`, `search_attributes_missing`.
        Exception: what ended the worker, if it failed for good.
    """
    shown = shown or Telemetry(settings.telemetry)
    async with shown.serving():
        await _serve(settings, stop, shown)
    log.info("worker_stopped")


async def _serve(settings: Settings, stop: asyncio.Event | None, shown: Telemetry) -> None:
    client = await connect_temporal(settings)
    await register_search_attributes(client)
    async with converter.closing(client), AzureSession(settings, throttled=True) as session:
        registry = await open_registry(session, settings)
        stores = Stores.of(session, settings)
        await start_deliveries(client, stores, settings)
        worker = build_worker(client, session, registry, settings)
        stop = stop or _stop_on_signals()
        looking = telemetry.watch(shown, client, worker, registry, settings)
        turns = TurnWorkers(
            session.throttling,
            settings.temporal.task_queue,
            lambda queue: build_turn_worker(client, session, settings, queue),
            stop,
        )
        async with worker, _in_background(keep_schedule(client, settings)), _in_background(looking), turns:
            shown.readiness.started()
            log.info(
                "worker_ready",
                address=client.service_client.config.target_host,
                namespace=client.namespace,
                task_queue=settings.temporal.task_queue,
                pid=os.getpid(),
            )
            restoring = asyncio.create_task(restore_schedules(client, stores, settings))
            await stop.wait()
            shown.readiness.stopping()
            restoring.cancel()
            log.info("worker_stopping", grace=settings.temporal.graceful_shutdown.total_seconds())


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the block, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _stop_on_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process at once."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            log.warning("worker_ended_at_once")
            os._exit(int(ExitCode.UNEXPECTED))
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    return stop


def main(settings: Settings | None = None) -> None:
    """Run a worker that owns this process: its logs, its signals and its end.

    Raises:
        LabelbridgeError: as `run_worker`; the caller turns it into message and exit code.
    """
    settings = settings or Settings.load()
    logs.configure(settings)
    spans.configure("labelbridge-worker")
    shown = Telemetry(settings.telemetry)
    shown.begin()
    with PauseGuard(settings.timing.effect_deadline):
        asyncio.run(run_worker(settings, shown=shown))
