"""The product's own worker, made to die, to freeze or to lose a protection where a test says so.

Prevents two failures: fault switches in product code, and crash runs that take minutes to start their
workers. Nothing in the product knows this module; what it changes, it changes in the process that it
forked. One process imports everything once and forks a real worker process for each line that it reads.

An order is a line of JSON: `environment` (all variables of the worker), `log` (file), and optionally
`strike` (fields of `Strike`), `without` (names of `PROTECTIONS`), `cache` (workflows kept in memory),
`pace` (seconds by which each activity is held up), `blobs` (fields of `BlobFaults`) and `refused` (an activity).
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import traceback
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

import workers.main
from labelbridge.azure import transport
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings
from tests.faults import blob_faults
from tests.faults.protections import PROTECTIONS, swap
from workers.versioning import PASSTHROUGH

MODES = ("before", "middle", "after", "frozen early", "frozen late")
"""Killed before the activity begins; after its first request was answered; after its effect and before
its completion is reported. Frozen before the last look at the deadline, or right after it."""
STRUCK = b"struck: "
"""What this process writes into its log right before it ends or freezes where it was told: it may also end
for a reason of its own (the pause guard), which is no strike."""
IDLE = b"nothing to change: "
"""What it writes if the activity in which it was to freeze ended without a request that changes anything."""
PR_SET_PDEATHSIG = 1
_struck: ContextVar[bool] = ContextVar("struck", default=False)
"""True inside the activity that a strike in the middle of it was ordered for."""


@dataclass(frozen=True)
class Strike:
    """Where this process ends: in the n-th activity of that name (from 1) in a workflow of that type."""

    workflow: str
    activity: str
    occurrence: int
    mode: str


class Striker(Interceptor):
    """Ends or freezes the process at one point."""

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._seen: list[tuple[str | None, str]] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Called anew for each activity: what was counted is kept here."""
        return _Struck(next, self)

    @property
    def mode(self) -> str:
        """How it strikes."""
        return self._strike.mode

    def means_this(self) -> bool:
        """True in the activity that was meant, counted as the workflow scheduled them."""
        info = activity.info()
        if (info.workflow_type, info.activity_type) != (self._strike.workflow, self._strike.activity):
            return False
        one = (info.workflow_id, info.activity_id)
        known = one in self._seen
        if not known:
            self._seen.append(one)
        if self._seen.index(one) + 1 != self._strike.occurrence:
            return False
        return not known or self.mode == "after"  # the first attempts may well have failed


class _Struck(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, striker: Striker) -> None:
        super().__init__(following)
        self._striker = striker

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if not self._striker.means_this():
            return await self.next.execute_activity(input)
        if self._striker.mode == "before":
            kill()
        _struck.set(self._striker.mode not in ("before", "after"))
        result = await self.next.execute_activity(input)
        if self._striker.mode == "after":
            kill()
        if self._striker.mode.startswith("frozen") and _struck.get():
            os.write(2, IDLE + input.fn.__name__.encode() + b"\n")
        _struck.set(False)
        return result


class _Pace(Interceptor):
    """Holds up each activity, so that whoever watches sees every step."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Paced(next, self._seconds)


class _Paced(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, seconds: float) -> None:
        super().__init__(following)
        self._seconds = seconds

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        await asyncio.sleep(self._seconds)
        return await self.next.execute_activity(input)


class _Refusing(Interceptor):
    """Refuses the first attempt of one activity in each workflow.

    Stands for a role on the record's container that is missing for a while: Azurite has no roles.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._refused: set[str] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Called anew for each activity: whom it refused is kept here."""
        return _Refused(next, self)

    def check(self) -> None:
        """Raise if this is the one, and the first."""
        info = activity.info()
        if info.activity_type == self._name and info.workflow_id and info.workflow_id not in self._refused:
            self._refused.add(info.workflow_id)
            raise LabelbridgeError("forbidden", "A role was taken away.")


class _Refused(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, refusing: _Refusing) -> None:
        super().__init__(following)
        self._refusing = refusing

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        self._refusing.check()
        return await self.next.execute_activity(input)


def kill() -> None:
    """End this process as a crash would."""
    os.write(2, STRUCK + b"killed\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_after_the_first_answer() -> None:
    original = transport.DeadlineTransport.send

    async def send(self: Any, request: Any, **config: Any) -> Any:
        answer = await original(self, request, **config)
        if _struck.get():
            kill()
        return answer

    transport.DeadlineTransport.send = send  # type: ignore[method-assign]


def _freeze(*, late: bool) -> None:
    """Stop the process at the last look at the deadline before something is changed: after it, or before."""
    original = transport.check_deadline

    def check(what: str) -> None:
        meant = _struck.get() and not what.startswith("GET") and _is_the_last_look()
        if late or not meant:
            original(what)
        if meant:
            _struck.set(False)
            os.write(2, STRUCK + f"frozen at {what}\n".encode())
            os.kill(os.getpid(), signal.SIGSTOP)
            if not late:
                original(what)

    swap(transport, "check_deadline", check)


def _is_the_last_look() -> bool:
    """True if nothing of ours runs between this look at the deadline and the socket."""
    looking = sys._getframe(2)
    request = looking.f_locals.get("self")
    if not isinstance(request, transport._DeadlineRequest):
        return False
    return looking.f_code.co_name == "write_bytes" or not request._body


def _arm(order: dict[str, Any]) -> None:
    strike = Strike(**order["strike"]) if order.get("strike") else None
    options: dict[str, Any] = {}
    if order.get("cache") is not None:
        options["max_cached_workflows"] = order["cache"]
    for name in order.get("without", ()):
        PROTECTIONS[name]()
    if order.get("blobs"):
        blob_faults.install(blob_faults.BlobFaults(**order["blobs"]))
    if strike and strike.mode == "middle":  # after the protections: a freeze stands before what they left
        _kill_after_the_first_answer()
    elif strike and strike.mode.startswith("frozen"):
        _freeze(late=strike.mode.endswith("late"))

    # The sandbox loads our workflow modules anew for each class, which is half a second of processor time
    # for each worker; here they are shared with the process, as the rest of Labelbridge is.
    swap(workers.main, "PASSTHROUGH", (*PASSTHROUGH, "workflows", "tests"))

    def build(client: Any, **given: Any) -> Worker:
        own = [Striker(strike)] if strike else []
        paced = [_Pace(order["pace"])] if order.get("pace") else []
        refusing = [_Refusing(order["refused"])] if order.get("refused") else []
        interceptors = [*own, *paced, *given.pop("interceptors"), *refusing]
        return Worker(client, interceptors=interceptors, **{**given, **options})

    swap(workers.main, "Worker", build)


def _become(order: dict[str, Any]) -> NoReturn:
    """In the forked process: be a worker until the end."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for target in (1, 2):
            os.dup2(output, target)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(order["environment"])
        _arm(order)
        workers.main.main(Settings(_env_file=None))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def main() -> None:
    """Fork a worker for each line of standard input; answer each with a line that has its `pid`."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps what we never wait for
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        answers.write(json.dumps({"pid": pid}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
