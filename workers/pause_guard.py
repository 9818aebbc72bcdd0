"""Ends a worker that was stopped for longer than an effect may live.

Prevents the zombie that deadlines alone cannot: a process that was frozen (SIGSTOP, a suspended
laptop, a paused container) between the deadline check and the socket, and wakes when its work has
long been given to another worker. It must end before it sends anything; Temporal gives its
activities to others, and a supervisor starts it again.

Two things notice: the handler of SIGCONT, which Python runs in the main thread, the event loop's,
before any other code of it; and a thread that looks at a clock which goes on while the machine is
suspended (CLOCK_BOOTTIME), for freezes that send no signal. A hypervisor that stops the guest's
clocks too cannot be noticed from inside; then the second look at both gates finds what was sent.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

PAUSED_TOO_LONG = 75
"""Exit code (EX_TEMPFAIL of sysexits.h: try again); none of the command line's own codes."""

_LOOKS_PER_MARGIN = 10
_LONGEST_TICK = 0.5
"""Seconds between two looks; short against any margin, and two wake-ups a second cost nothing."""

ExitProcess = Callable[[float], None]


def clock() -> float:
    """Seconds on a clock that never goes back and counts suspends, where the system has one."""
    which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(which)


def end_process(paused: float) -> None:
    """Say why on stderr and end the process at once, without flushing anything to the network."""
    text = f"paused for {paused:.1f} s, longer than the effect deadline: ending before anything is sent\n"
    os.write(sys.stderr.fileno(), text.encode())
    os._exit(PAUSED_TOO_LONG)


class PauseGuard:
    """Watches for gaps in this process's own time.

    Use as a context manager around everything that may send; `start` must run in the main thread
    for the SIGCONT handler to be set (elsewhere only the thread watches).
    """

    def __init__(
        self,
        margin: timedelta,
        *,
        now: Callable[[], float] = clock,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
        exit_process: ExitProcess = end_process,
    ) -> None:
        """`margin` is the longest gap that is allowed: `settings.timing.effect_deadline`."""
        self._margin = margin.total_seconds()
        self._tick = min(_LONGEST_TICK, self._margin / _LOOKS_PER_MARGIN)
        self._now = now
        self._wait = wait
        self._exit_process = exit_process
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pause-guard", daemon=True)
        self._last = now()
        self._previous: signal._HANDLER = None

    def check(self) -> None:
        """End the process if the last look is longer ago than the margin, else note this one."""
        now = self._now()
        gap = now - self._last
        if gap > self._margin:
            self._exit_process(gap)
        self._last = now

    def start(self) -> None:
        """Begin to watch."""
        self._last = self._now()
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGCONT, self._continued)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and give SIGCONT back."""
        self._stopped.set()
        self._thread.join()
        if self._previous is not None:
            signal.signal(signal.SIGCONT, self._previous)

    def __enter__(self) -> "PauseGuard":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _continued(self, _number: int, _frame: FrameType | None) -> None:
        self.check()

    def _watch(self) -> None:
        while not self._wait(self._stopped, self._tick):
            self.check()
