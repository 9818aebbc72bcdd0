"""A worker that was stopped for longer than the margin ends before it sends anything."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path

from workers.pause_guard import PAUSED_TOO_LONG, PauseGuard


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def guard(clock: Clock, ends: list[float]) -> PauseGuard:
    return PauseGuard(timedelta(seconds=3), now=clock, exit_process=ends.append)


def test_a_gap_longer_than_the_margin_ends_the_process() -> None:
    clock, ends = Clock(), list[float]()
    watched = guard(clock, ends)
    clock.now += 3.5
    watched.check()
    assert ends == [3.5]


def test_gaps_within_the_margin_never_add_up() -> None:
    clock, ends = Clock(), list[float]()
    watched = guard(clock, ends)
    for _ in range(20):
        clock.now += 2.9
        watched.check()
    assert ends == []


def test_the_thread_notices_a_freeze_that_sends_no_signal() -> None:
    clock, ended = Clock(), threading.Event()
    gaps: list[float] = []

    def end(gap: float) -> None:
        gaps.append(gap)
        ended.set()

    with PauseGuard(timedelta(seconds=3), now=clock, exit_process=end):
        clock.now += 60
        assert ended.wait(30)
    assert gaps[0] == 60


def test_the_signal_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGCONT)
    with PauseGuard(timedelta(seconds=30)):
        assert signal.getsignal(signal.SIGCONT) != before
    assert signal.getsignal(signal.SIGCONT) == before


WORKER = textwrap.dedent(
    """
    import asyncio, os, sys
    from datetime import timedelta
    from workers.pause_guard import PauseGuard

    async def send(wire):
        os.write(wire, b"sent\\n")
        print("sending", flush=True)
        while True:
            os.write(wire, b"sent\\n")
            await asyncio.sleep(0.01)

    with PauseGuard(timedelta(seconds=3)):
        asyncio.run(send(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)))
    """
)


def test_a_process_stopped_by_the_system_ends_when_it_wakes_and_sends_nothing_more(tmp_path: Path) -> None:
    wire = tmp_path / "wire"
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(wire)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "sending\n"
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        sent = wire.read_bytes()
        threading.Event().wait(3.5)  # the pause itself: longer than the margin, which a busy machine keeps
        os.kill(process.pid, signal.SIGCONT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == PAUSED_TOO_LONG
    assert wire.read_bytes() == sent
    assert "paused for" in errors
