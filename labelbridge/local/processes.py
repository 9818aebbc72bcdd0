"""Child processes of the local stack: started, watched, ended by their own process group.

Prevents three failures of test stacks: servers that outlive the run that started them, a server
that dies unnoticed (the next test then hangs instead of saying why), and a restarted server that
cannot have its port back because a client's outgoing connection took it meanwhile.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
"""Children ask the kernel to die with their parent *thread* (prctl(2)), so one thread that lives as
long as the process starts them all."""
_EXEC = Path(__file__).with_name("_exec.py")
_CONFIGURING = ("LABELBRIDGE_", "TEMPORAL_", "AZURE_", "IDENTITY_", "MSI_")
PORTS_VARIABLE = "LABELBRIDGE_LOCAL_PORTS"
_given: set[int] = set()
"""Ports that this process was given: a server that is down for a moment must find its own again."""
READY_TIMEOUT = 60.0
"""Seconds; a cold start on a machine with two busy cores was seen to take 15."""
POLL = 0.05
TERM_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL; Temporal's dev server needs 1.5."""


class ChildError(RuntimeError):
    """A child did not start, or died without being asked to; the message ends with its log's tail."""


def free_port() -> int:
    """A free TCP port on loopback below the ephemeral range; none twice in a process's life.

    Ports that the kernel hands out itself (`ip_local_port_range`, from 32768) may be taken by any
    client's outgoing connection while a server is being restarted; these are not. Processes that start
    many servers beside each other are told apart by `LABELBRIDGE_LOCAL_PORTS`, such as `15000-17999`:
    between the look at a port and its server's start another one could take it.
    """
    wanted = os.environ.get(PORTS_VARIABLE, "15000-31999")
    try:
        lowest, highest = map(int, wanted.split("-"))
    except ValueError:
        raise ChildError(f"{PORTS_VARIABLE} is {wanted!r}; it must be like 15000-17999") from None
    for _ in range(200):
        port = random.randint(lowest, highest)  # noqa: S311
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise ChildError(f"no free port between {lowest} and {highest} on 127.0.0.1")


class Child:
    """One child process with its log file; can be stopped, killed and started again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        ready: Callable[[], bool] = lambda: True,
        started_again_after: Container[int] = (),
    ) -> None:
        """`ready` says when the child can serve; `started_again_after` are exit codes that ask for a new start.

        `environment` is added to this process's own without whatever would configure Labelbridge, its
        credential or Temporal there; `directory` is where the child runs (its log's, if None).
        """
        self.name = name
        self.command = list(command)
        self.log = log
        self.environment = dict(environment or {})
        self.wanted = False
        """True while the child is meant to run; the watchdog reports it if it does not."""
        self._ready = ready
        self._started_again_after = started_again_after
        self._directory = directory or log.parent
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    @property
    def pid(self) -> int:
        """Process id, also of a child that has ended; `ChildError` if it was never started."""
        if self._process is None:
            raise ChildError(f"{self.name} was never started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True if the process exists and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = READY_TIMEOUT) -> None:
        """Start it and wait until it is ready; raises `ChildError` with the log's tail if it is not."""
        with self._lock:
            if self.alive:
                return
            self.launch()
        self.await_ready(timeout)

    def launch(self) -> None:
        """Start it without waiting until it is ready; see `await_ready`."""
        with self._lock:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-S", str(_EXEC), str(os.getpid()), *self.command]
            with self.log.open("ab") as output:
                self._process = _SPAWNER.submit(
                    subprocess.Popen,
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**_neutral_environment(), **self.environment},
                    cwd=self._directory,
                    start_new_session=True,
                ).result()
            self.wanted = True

    def start_again(self) -> bool:
        """True if it had ended by itself with a code that asks for a new start, and was given one."""
        with self._lock:
            if not self.wanted or self._process is None:
                return False
            if self._process.poll() not in self._started_again_after:
                return False
            self.launch()
            return True

    def await_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Return when the child is ready; `ChildError` if it ended or took longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._ready():
            if not self.alive:
                self.wanted = False
                raise ChildError(f"{self.name} ended while starting\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ChildError(f"{self.name} was not ready after {timeout:.0f} s\n{self.tail()}")
            time.sleep(POLL)

    def stop(self, grace: float = TERM_GRACE) -> None:
        """End it with SIGTERM, and with SIGKILL if it has not ended after `grace` seconds."""
        with self._lock:
            self.wanted = False
            if self._process is None:
                return
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would, and wait until it is gone."""
        with self._lock:
            self.wanted = False
            if self._process is None:
                return
            self._signal(signal.SIGKILL)
            self._process.wait()

    def suspend(self) -> None:
        """Stop it in its tracks (SIGSTOP), as a paused virtual machine would be; see `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended child go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def tail(self, lines: int = 30) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return "(no log)"
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"--- {self.log}", *text[-lines:]])

    def _signal(self, number: signal.Signals) -> None:
        """To the whole group: it leads its own session, so its id is the group's."""
        if self.alive:
            os.killpg(self.pid, number)


def _neutral_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_CONFIGURING)}


class Watchdog:
    """Looks at children from a thread: reports who died unasked, starts again who asks for it by its exit code."""

    def __init__(self, children: Callable[[], Sequence[Child]], report: Callable[[str], None]) -> None:
        """`report` gets one message, at most once for each death."""
        self._children = children
        self._report = report
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look, four times a second."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            for child in self._children():
                if child.wanted and not child.alive and not child.start_again():
                    child.wanted = False
                    self._report(f"{child.name} died without being asked to\n{child.tail()}")
