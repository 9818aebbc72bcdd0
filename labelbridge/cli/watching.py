"""`watch`: what happens to a project, or to all, for as long as somebody looks.

Prevents a screen that stays on an old picture without saying so: what cannot be read is told, once, and
looked for again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from labelbridge import names
from labelbridge.cli import seen
from labelbridge.cli.looking import NO_PROJECT
from labelbridge.cli.output import OutputFormat, emit_line, say, stdout
from labelbridge.cli.present import moment, running_words, state_words, status_table, statuses_table
from labelbridge.cli.waiting import timeline
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ErrorInfo,
    Model,
    Progress,
    ProjectRef,
    ProjectStatus,
    ProjectSummary,
    RunningOperation,
    StepProgress,
    StepState,
)

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge

LOOK_INTERVAL = 0.5
"""Seconds between two looks at one project: two queries, and steps last seconds."""
FLEET_INTERVAL = 2.0
"""Seconds between two looks at all of them: one list for a thousand projects."""
END_PATIENCE = 5.0
"""Seconds that the answer how an operation ended may take."""
_ENTITIES = f"WorkflowType = '{names.ENTITY_WORKFLOW}' AND ExecutionStatus = 'Running'"


class Sight(Model):
    """One thing that was seen: what `--output json` prints, without what is null."""

    event: Literal["state", "step", "ended"]
    at: datetime
    project: ProjectRef
    status: ProjectStatus | ProjectSummary | None = None
    """With `state`: all that is known now."""
    operation: RunningOperation | None = None
    number: int | None = None
    of: int | None = None
    step: StepProgress | None = None
    """With `step`: the one that changed, `number` of `of`."""
    error: ErrorInfo | None = None
    """With `ended`: how the operation failed; without it, it committed."""


class Look(Model):
    """One look at a project: everything for a picture, and what is new for lines."""

    status: ProjectStatus
    progress: Progress | None
    news: tuple[Sight, ...]


async def watch_project(bridge: "Labelbridge", project: ProjectRef, output: OutputFormat) -> None:
    """Show one project until Ctrl-C.

    Raises:
        LabelbridgeError: `project_unknown`, or whatever prevented the first look.
    """
    with _screen(output) as screen:
        try:
            async for look in _looks(bridge, project):
                parts: list[RenderableType] = [status_table(look.status)]
                if look.progress is not None:
                    parts += [Text(), timeline(look.progress)]
                screen.show(look.news, Group(*parts))
        except asyncio.CancelledError:  # Ctrl-C
            return


async def watch_fleet(bridge: "Labelbridge", output: OutputFormat) -> None:
    """Show all projects until Ctrl-C: each when the watching begins, then each that changes.

    Raises:
        LabelbridgeError: whatever prevented the first look.
    """
    shown: dict[str, ProjectSummary] = {}
    trouble = _Trouble()
    with _screen(output) as screen:
        try:
            # A project whose entity Temporal forgot stands in the records still.
            rows = {one.project.key: ProjectSummary.of(one) for one in await bridge.statuses()}
            rows |= await _entities(bridge)
            if not rows:
                say(NO_PROJECT)
            seen.remember(row.project for row in rows.values())
            while True:
                news = tuple(_state(row) for key, row in sorted(rows.items()) if shown.get(key) != row)
                shown = dict(rows)
                by_name = sorted(
                    rows.values(), key=lambda row: (row.project.name.casefold(), row.project.key)
                )
                screen.show(news, statuses_table(by_name))
                await asyncio.sleep(FLEET_INTERVAL)
                try:
                    rows |= await _entities(bridge)
                    trouble.over()
                except LabelbridgeError as error:
                    trouble.tell(error)
        except asyncio.CancelledError:  # Ctrl-C
            return


async def _entities(bridge: "Labelbridge") -> dict[str, ProjectSummary]:
    """The lines that the projects' entities publish, by key."""
    from temporalio.service import RPCError

    found: dict[str, ProjectSummary] = {}
    try:
        async for entity in bridge.client.list_workflows(_ENTITIES, page_size=1000):
            row: ProjectSummary | None = await entity.memo_value(
                names.SUMMARY, None, type_hint=ProjectSummary
            )
            if row is not None and (row.known or row.connected):
                found[row.project.key] = row
    except RPCError as error:
        raise LabelbridgeError("temporal_unreachable", f"The list of projects: {error}") from error
    return found


async def _looks(bridge: "Labelbridge", project: ProjectRef) -> AsyncIterator[Look]:
    """One look after the other; the first fails if it must, later ones are repeated."""
    status = await bridge.status(project)
    if not (status.known or status.running or status.queued):
        raise LabelbridgeError("project_unknown", data={"project": project.name})
    before: ProjectStatus | None = None
    steps, trouble = _Steps(), _Trouble()
    while True:
        news: list[Sight] = [] if before == status else [_state(status)]
        running, old = status.running, before.running if before else None
        if old is not None and (running is None or running.operation_id != old.operation_id):
            news = [*await steps.look(bridge, project, old), await _ended(bridge, project, old), *news]
        if running is not None:
            news += await steps.look(bridge, project, running)
        yield Look(status=status, progress=steps.progress, news=tuple(news))
        before = status
        await asyncio.sleep(LOOK_INTERVAL)
        try:
            status = await bridge.status(project)
            trouble.over()
        except LabelbridgeError as error:
            trouble.tell(error)


class _Steps:
    """The timeline of the operation that runs, or ran last, and which of its lines were told."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self._told: dict[tuple[str, int], tuple[StepState, str]] = {}

    async def look(
        self, bridge: "Labelbridge", project: ProjectRef, operation: RunningOperation
    ) -> list[Sight]:
        """The steps that changed since the last look."""
        progress = await bridge.operation(project, operation.operation_id).progress()
        if progress is None:
            return []
        self.progress, news, now = progress, [], datetime.now(UTC)
        for number, step in enumerate(progress.steps, 1):
            key, state = (operation.operation_id, number), (step.state, step.note)
            if step.state is not StepState.WAITING and self._told.get(key) != state:
                self._told[key] = state
                news.append(
                    Sight(
                        event="step",
                        at=now,
                        project=project,
                        operation=operation,
                        number=number,
                        of=len(progress.steps),
                        step=step,
                    )
                )
        return news


class _Trouble:
    """Says once that nothing can be read, and once that it can again."""

    def __init__(self) -> None:
        self._code = ""

    def tell(self, error: LabelbridgeError) -> None:
        """Say why, unless it was the same the last time."""
        if error.code != self._code:
            say(f"{error.code}: {error.message} Looking again.")
        self._code = error.code

    def over(self) -> None:
        """An answer came."""
        if self._code:
            say("It answers again.")
        self._code = ""


def _state(status: ProjectStatus | ProjectSummary) -> Sight:
    return Sight(event="state", at=datetime.now(UTC), project=status.project, status=status)


async def _ended(bridge: "Labelbridge", project: ProjectRef, operation: RunningOperation) -> Sight:
    """How an operation ended that does not run any more."""
    error: ErrorInfo | None = None
    try:
        await bridge.operation(project, operation.operation_id).result(END_PATIENCE)
    except LabelbridgeError as failed:
        error = failed.info
    return Sight(event="ended", at=datetime.now(UTC), project=project, operation=operation, error=error)


def words(sight: Sight) -> str:
    """One line for people."""
    head = f"{moment(sight.at)}  {sight.project.name}  "
    if sight.status is not None:
        return f"{head}{state_words(sight.status)}, epoch {sight.status.epoch}; running: {running_words(sight.status.running)}"
    operation = sight.operation.operation_id if sight.operation else ""
    if sight.step is not None:
        note = f" ({sight.step.note})" if sight.step.note else ""
        return (
            f"{head}{operation} [{sight.number}/{sight.of}] {sight.step.name}: {sight.step.state.value}{note}"
        )
    how = f"{sight.error.code}: {sight.error.message}" if sight.error else "committed"
    return f"{head}{operation} ended: {how}"


class _Screen(Protocol):
    def show(self, news: tuple[Sight, ...], picture: RenderableType) -> None:
        """Show what is new, or the whole picture."""


class _Lines:
    def __init__(self, output: OutputFormat) -> None:
        self._output = output

    def show(self, news: tuple[Sight, ...], _: RenderableType) -> None:
        for one in news:
            emit_line(one.model_dump(mode="json", exclude_none=True), words(one), self._output)


class _Picture:
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, _: tuple[Sight, ...], picture: RenderableType) -> None:
        self._live.update(picture)


@contextmanager
def _screen(output: OutputFormat) -> Iterator[_Screen]:
    """A picture that is redrawn on a terminal, else lines on stdout."""
    from labelbridge.cli import query

    console = stdout()
    if output is not OutputFormat.TABLE or query.chosen() is not None or not console.is_terminal:
        yield _Lines(output)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield _Picture(live)
