"""What somebody sees of the demo: one line for each thing that happened, and a live line of what runs.

On a terminal the last line shows the running step, who labels where and how much; elsewhere (a log, a
pipe) the same lines are printed plainly, nothing is redrawn.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labelbridge.model import Progress, StepState

WIDTH = 112
"""Columns where there is no terminal to ask."""
_MARKS = {StepState.DONE: "[green]done[/green]", StepState.FAILED: "[red]failed[/red]"}


class Timeline:
    """Prints what happens as it happens."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to `console`; stdout if None."""
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self._began = time.monotonic()
        self._status = ""
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live line while the block runs, on a terminal only."""
        if not self.console.is_terminal:
            yield
            return
        with Live(
            console=self.console, refresh_per_second=8, transient=True, get_renderable=self._line
        ) as live:
            self._live = live
            yield
            self._live = None

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self._print(f"\n[bold]{self._clock()}  {escape(title)}[/bold]")

    def event(self, text: str) -> None:
        """Something happened."""
        self._print(f"{self._clock()}    {escape(text)}")

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        """Something was read back and compared."""
        mark = "[green]✓[/green]" if passed else "[red]✗[/red]"
        more = f" ({escape(detail)})" if detail else ""
        self._print(f"{self._clock()}    {mark} {escape(name)}{more}")

    def step(self, name: str, state: StepState, seconds: float | None, note: str) -> None:
        """A step of an operation ended."""
        took = f" {seconds:.1f} s" if seconds is not None else ""
        more = f"  [dim]{escape(note)}[/dim]" if note else ""
        mark = _MARKS.get(state, state.value)
        self._print(f"{self._clock()}      {escape(name):<44} {mark}{took}{more}")

    def status(self, text: str) -> None:
        """What the live line says."""
        self._status = text

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Name and value pairs, at the end."""
        table = Table(title=f"\n{title}", title_justify="left", title_style="bold", show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(name, Text(value))
        self._print(table)

    def _print(self, what: object) -> None:
        self.console.print(what, soft_wrap=isinstance(what, str))

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:6.1f} s"

    def _line(self) -> Text:
        return Text(f"{self._clock()}    … {self._status}", style="cyan", no_wrap=True, overflow="ellipsis")


class StepReporter:
    """Turns successive looks at an operation's progress into lines, each step once."""

    def __init__(self, timeline: Timeline) -> None:
        """Lines go to `timeline`."""
        self._timeline = timeline
        self._told: set[int] = set()
        self.running = ""
        """The step that runs now, with its note."""

    def look(self, progress: Progress) -> None:
        """Report what ended since the last look."""
        self.running = ""
        for number, step in enumerate(progress.steps):
            if step.state is StepState.RUNNING:
                self.running = f"{step.name}: {step.note}" if step.note else step.name
            ended = step.state in (StepState.DONE, StepState.FAILED, StepState.UNDONE)
            if ended and number not in self._told:
                self._told.add(number)
                seconds = None
                if step.started_at and step.ended_at:
                    seconds = (step.ended_at - step.started_at).total_seconds()
                self._timeline.step(step.name, step.state, seconds, step.note)
