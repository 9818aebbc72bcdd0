"""Waiting for a fleet act with its progress on stderr, and what its end means for a script.

Prevents the belief that Ctrl-C stops an act: it only ends the waiting; `labelbridge fleet cancel` stops it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from labelbridge.cli.many_pictures import progress_words, report_table
from labelbridge.cli.output import OutputFormat, emit, say, stderr
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.fleet.orders import FleetOutcome, FleetPhase, FleetStatus

if TYPE_CHECKING:
    from labelbridge.fleet.client import FleetHandle

LOOK_INTERVAL = 1.0
"""Seconds between two looks: each is one query, and a project takes minutes."""


async def finish(handle: "FleetHandle", patience: timedelta | None, output: OutputFormat) -> ExitCode:
    """Wait for the act's end, show its progress meanwhile, print its report.

    Raises:
        LabelbridgeError: why nothing was begun; `wait_timeout` after `patience` or at Ctrl-C.
    """
    with _view() as show:
        follower = asyncio.create_task(_follow(handle, show))
        try:
            ended = await handle.result(patience)
        except asyncio.CancelledError:
            raise LabelbridgeError(
                "wait_timeout",
                f"Interrupted: only the waiting ended, the fleet act {handle.id} goes on.",
                remedy=f"`labelbridge fleet watch {handle.id}` waits again; "
                f"`labelbridge fleet cancel {handle.id}` stops it.",
            ) from None
        finally:
            follower.cancel()
            await asyncio.wait([follower])
    return await print_report(handle, ended, output)


async def print_report(handle: "FleetHandle", status: FleetStatus, output: OutputFormat) -> ExitCode:
    """Print what became of each project so far; the exit code that this means."""
    whole = status.model_copy(update={"rows": await handle.report()})
    emit(whole, report_table(whole), output)
    say(progress_words(whole))
    return exit_code(whole)


def exit_code(whole: FleetStatus) -> ExitCode:
    """0: each is where it should be. 6 it runs. 8 some were refused or failed. 5 some were not begun. 9 quarantine."""
    if whole.phase is not FleetPhase.ENDED:
        return ExitCode.STILL_RUNNING
    if whole.bad:
        return ExitCode.FINDINGS
    if whole.counts.get(FleetOutcome.NOT_BEGUN) or whole.counts.get(FleetOutcome.CANCELLED):
        return ExitCode.CANCELLED
    return ExitCode.QUARANTINED if any(row.quarantined for row in whole.rows) else ExitCode.DONE


@contextlib.contextmanager
def _view() -> Iterator[Callable[[FleetStatus], None]]:
    """Shows a status: one line that changes on a terminal, else a line for each change."""
    console, said = stderr(), [""]

    def say_changes(status: FleetStatus) -> None:
        if (words := progress_words(status)) != said[0]:
            said[0] = words
            say(words)

    if not console.is_terminal:
        yield say_changes
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda status: live.update(Text(progress_words(status)))


async def _follow(handle: "FleetHandle", show: Callable[[FleetStatus], None]) -> None:
    while True:
        with contextlib.suppress(LabelbridgeError):
            if (status := await handle.status()).phase is not FleetPhase.ENDED:
                show(status)  # its end is said with the report
        await asyncio.sleep(LOOK_INTERVAL)
