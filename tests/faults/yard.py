"""Real worker processes by the dozen: started in milliseconds, killed, frozen and woken by a test.

Prevents crash runs that nobody can afford: see `worker.py` for the process that is forked from.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labelbridge.local import _exec
from labelbridge.local.stack import Stack
from tests.faults.blob_faults import BlobFaults
from tests.faults.worker import IDLE, STRUCK, Strike

ROOT = Path(__file__).parents[2]
NO_REPLAY = b"[TMPRL1100]"
"""What Temporal writes into a worker's log when a history cannot be replayed: that workflow stands still for ever."""
STICKY = "PT0.5S"
"""A killed worker's cached workflows stall for this long."""


@dataclass(frozen=True)
class Hand:
    """One worker process."""

    pid: int
    log: Path

    @property
    def alive(self) -> bool:
        """True until the process has ended; a frozen one lives."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def frozen(self) -> bool:
        """True while the process is stopped."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state == "T"

    @property
    def struck(self) -> bool:
        """True once the process has come to where it was told to end or to freeze."""
        return self.log.exists() and STRUCK in self.log.read_bytes()

    @property
    def idle(self) -> bool:
        """True if the process never came to freeze, because its activity had nothing to change."""
        return not self.struck and self.log.exists() and IDLE in self.log.read_bytes()

    def kill(self) -> None:
        """End it as a crash would."""
        self._signal(signal.SIGKILL)

    def dismiss(self) -> None:
        """Ask it to end; it finishes what it has in hand."""
        self._signal(signal.SIGTERM)

    def wake(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


class Yard:
    """Starts workers of a stack, each on a task queue of its own; all end with it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._logs = stack.directory / "hands"
        self._lock = threading.Lock()
        self._count = 0
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        parent = [sys.executable, "-S", str(Path(_exec.__file__)), str(os.getpid())]
        with (self._logs / "yard.log").open("ab") as errors:
            self._process = subprocess.Popen(
                [*parent, sys.executable, "-m", "tests.faults.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # its workers asked the kernel to die with it
        self._process.wait()

    def unreplayable(self) -> list[str]:
        """What workers said of histories that they could not replay."""
        lines = [line for log in sorted(self._logs.glob("*.log")) for line in log.read_bytes().splitlines()]
        return [f"I3: {line.decode(errors='replace')}" for line in lines if NO_REPLAY in line]

    def hire(
        self,
        queue: str,
        *,
        strike: Strike | None = None,
        without: Sequence[str] = (),
        cache: int | None = None,
        pace: float = 0.0,
        environment: Mapping[str, str] | None = None,
        blobs: BlobFaults | None = None,
        refused: str | None = None,
    ) -> Hand:
        """Start a worker; returns before it polls.

        Args:
            queue: its task queue.
            strike: where it dies or freezes.
            without: names of `PROTECTIONS` that it does without.
            cache: workflows that it keeps in memory; with 0 every workflow task replays.
            pace: seconds by which it holds up each activity.
            environment: added to the stack's.
            blobs: what strikes its requests to blobs.
            refused: the activity whose first attempt it refuses, as if a role were missing.
        """
        own = {"LABELBRIDGE_TEMPORAL__TASK_QUEUE": queue, "LABELBRIDGE_TEMPORAL__STICKY_TIMEOUT": STICKY}
        own |= {"LABELBRIDGE_LOG_FORMAT": "json", **(environment or {})}
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self._lock:
            self._count += 1
            log = self._logs / f"{queue}-{self._count}.log"
            order: dict[str, Any] = {
                "environment": {**kept, **self.stack.environment("worker"), **own},
                "log": str(log),
            }
            order |= {"without": list(without), "cache": cache, "pace": pace}
            order |= {"strike": asdict(strike) if strike else None}
            order |= {"blobs": asdict(blobs) if blobs else None, "refused": refused}
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return Hand(json.loads(self._process.stdout.readline())["pid"], log)
