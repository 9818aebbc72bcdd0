"""Waiting for an operation with its steps shown live.

Prevents two misunderstandings: a silent terminal during a long drain, and the belief that Ctrl-C
stops an operation (it only ends the waiting; `labelbridge cancel` stops it).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from labelbridge.cli.output import say, stderr
from labelbridge.errors import LabelbridgeError
from labelbridge.model import OperationResult, Progress, StepProgress, StepState

if TYPE_CHECKING:
    from labelbridge.client import OperationHandle

LOOK_INTERVAL = 0.5
"""Seconds between two looks at the progress: each is one query, and steps last seconds."""
LAST_LOOK = 2.0
"""Seconds that the look at the finished timeline may take; without a worker it gets no answer."""

_MARKS = {
    StepState.WAITING: ("·", "dim"),
    StepState.RUNNING: ("▸", "bold cyan"),
    StepState.DONE: ("✓", "green"),
    StepState.FAILED: ("✗", "bold red"),
    StepState.UNDONE: ("↺", "yellow"),
}


class View(Protocol):
    """Shows the timeline of one operation."""

    def show(self, progress: Progress) -> None:
        """Show the newest timeline."""


class LineView:
    """One line on stderr for each change: for logs and pipes."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[StepState, str]] = {}

    def show(self, progress: Progress) -> None:
        """Print the steps that changed since the last look."""
        total = len(progress.steps)
        for number, step in enumerate(progress.steps, 1):
            now = (step.state, step.note)
            if step.state is not StepState.WAITING and self._seen.get(number) != now:
                self._seen[number] = now
                say(f"[{number}/{total}] {step.name}: {step.state.value}{_suffix(step)}")


class LiveView:
    """The whole timeline, redrawn in place: for terminals."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, progress: Progress) -> None:
        """Redraw the timeline."""
        self._live.update(timeline(progress))


def timeline(progress: Progress) -> Group:
    """The steps of an operation, one line each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for step in progress.steps:
        mark, style = _MARKS[step.state]
        table.add_row(Text(mark, style), Text(step.name, style), Text(_took(step), "dim"), Text(step.note))
    return Group(Text(f"{progress.kind.value} {progress.operation_id}", "bold"), table)


def _suffix(step: StepProgress) -> str:
    return f" ({step.note})" if step.note else ""


def _took(step: StepProgress) -> str:
    if step.started_at is None or step.ended_at is None:
        return ""
    return f"{(step.ended_at - step.started_at).total_seconds():.1f} s"


@contextlib.contextmanager
def _view() -> Iterator[View]:
    console = stderr()
    if not console.is_terminal:
        yield LineView()
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield LiveView(live)


async def _follow(handle: "OperationHandle", view: View) -> None:
    """Show the progress until cancelled; an answer that does not come is asked for again."""
    while True:
        with contextlib.suppress(LabelbridgeError):
            if progress := await handle.progress():
                view.show(progress)
        await asyncio.sleep(LOOK_INTERVAL)


async def watch(handle: "OperationHandle", patience: timedelta | None) -> OperationResult:
    """Wait for the operation's end and show its steps meanwhile.

    Raises:
        LabelbridgeError: the operation's own error; `wait_timeout` after `patience` or at Ctrl-C.
    """
    with _view() as view:
        follower = asyncio.create_task(_follow(handle, view))
        try:
            return await handle.result(patience)
        except asyncio.CancelledError:
            raise LabelbridgeError(
                "wait_timeout",
                f"Interrupted: only the waiting ended, {handle.operation_id} goes on.",
                remedy=(
                    f"`labelbridge wait {handle.project.name} {handle.operation_id}` waits again; "
                    f"`labelbridge cancel {handle.project.name}` stops it."
                ),
            ) from None
        finally:
            follower.cancel()
            await asyncio.wait([follower])
            with contextlib.suppress(LabelbridgeError, TimeoutError):
                async with asyncio.timeout(LAST_LOOK):
                    if progress := await handle.progress():
                        view.show(progress)
