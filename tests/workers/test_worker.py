"""The worker process: ready, told to stop, stopped in its tracks."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from labelbridge.errors import ExitCode
from labelbridge.local.stack import Stack
from workers.pause_guard import PAUSED_TOO_LONG


@contextmanager
def worker(stack: Stack, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A worker of its own on the shared stack's services, on a task queue that nobody else serves."""
    process = subprocess.Popen(
        [sys.executable, *(command or ("-m", "labelbridge.cli.main", "worker"))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | stack.environment("worker")
        | {"LABELBRIDGE_TEMPORAL__TASK_QUEUE": "alone", "LABELBRIDGE_LOG_FORMAT": "json"}
        | environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


FAILING = """
import asyncio, sys
from temporalio.worker._activity import _ActivityWorker

async def fail(self):
    await asyncio.sleep(1)
    raise RuntimeError("the poller broke")

_ActivityWorker.run = fail
sys.argv = ["labelbridge", "worker"]
from labelbridge.cli.main import run
run()
"""
"""A worker whose poller breaks: no server can be made to end a worker for good at will."""


def until(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and (record := json.loads(line))["event"] == event:
            return dict(record)
    raise AssertionError(f"the worker ended with {process.wait()} without {event}")


def test_a_worker_says_when_it_is_ready_and_stops_cleanly_when_told_to(stack: Stack) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with worker(stack) as process:
            ready = until(process, "worker_ready")
            assert ready["address"] == stack.temporal.address
            assert ready["task_queue"] == "alone"
            process.send_signal(number)
            until(process, "worker_stopped")
            assert process.wait(60) == 0


def test_a_worker_that_was_stopped_longer_than_an_effect_may_live_ends_itself(stack: Stack) -> None:
    with worker(stack, LABELBRIDGE_TIMING__EFFECT_DEADLINE="PT2.5S") as process:
        until(process, "worker_ready")
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        threading.Event().wait(3)  # the pause itself: longer than the effect deadline
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60) == PAUSED_TOO_LONG


def test_a_worker_that_fails_for_good_ends_with_1_and_says_why(stack: Stack) -> None:
    with worker(stack, "-c", FAILING) as process:
        failed = until(process, "worker_failed")
        assert "the poller broke" in failed["error"]
        assert process.wait(60) == ExitCode.UNEXPECTED


def test_everything_a_worker_writes_is_one_json_record_a_line(stack: Stack) -> None:
    with worker(stack) as process:
        until(process, "worker_ready")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        events = [json.loads(line)["event"] for line in process.stderr]
        assert [e for e in events if e != "turns_served"] == ["worker_stopping", "worker_stopped"]
