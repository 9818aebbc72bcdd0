"""The list of all projects: who labels where, since when, what runs, how far the labels are.

Prevents a list that costs a question to each project. Every project's entity publishes its line in its
memo, and Temporal's visibility gives a thousand of them in one answer; all who look within two seconds
share it. Sorting, searching inside names and paging are done here, because visibility on SQL can do
none of the three. Projects that nobody asked anything of have no entity: Language's own list adds them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import Field
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from labelbridge import names
from labelbridge.azure.azureml_models import LabelingJob
from labelbridge.console.progress import LabelProgress, progress_of
from labelbridge.console.reading import Aged, Cache, Reading
from labelbridge.errors import LabelbridgeError
from labelbridge.lifecycle import State, state_of
from labelbridge.model import (
    ErrorInfo,
    Model,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    ProjectSummary,
    Studio,
)
from labelbridge.settings import Settings

LIST_AGE = timedelta(seconds=2)
"""How old a list of entities may get: all who look within this time share one."""
CALL_ROWS = 1000
"""Rows of one call: the most that Temporal's server gives by default."""
MOST_ROWS = 20_000
"""Rows that are listed at all; beyond, the page says that there are more."""
PAGE_ROWS = 50
_ENTITIES = f"WorkflowType = '{names.ENTITY_WORKFLOW}' AND ExecutionStatus = 'Running'"


class Sort(StrEnum):
    """Order of the list."""

    NAME = "name"
    SINCE = "since"
    """Last switched first."""
    SNAPSHOT = "snapshot"
    """Last snapshot first."""


class Wanted(Model):
    """What of the fleet somebody wants to see. None means any."""

    text: str = Field(default="", max_length=200)
    """Part of a project's, a labeling job's or a running operation's name."""
    state: State | None = None
    active: Studio | None = None
    kind: ProjectKind | None = None
    running: bool | None = None
    attention: bool | None = None
    """Only projects that need a person, or differ from their record."""
    sort: Sort = Sort.NAME


class FleetRow(Model):
    """One project."""

    key: str
    state: State
    summary: ProjectSummary
    progress: LabelProgress | None = None
    asked: bool = True
    """False: nobody has asked anything of this project yet; only Language knows it."""


class FleetPage(Model):
    """One page of the list."""

    rows: tuple[FleetRow, ...]
    matching: int
    """Projects that match, on all pages."""
    total: int
    page: int
    pages: int
    read_at: datetime
    source: str
    """`entities`, or `records` when Temporal's visibility did not answer: then nothing runs visibly."""
    notices: tuple[ErrorInfo, ...] = ()
    """What could not be read, so that nobody takes a gap for an answer."""


class Fleet:
    """All projects; one per application."""

    def __init__(self, client: Callable[[], Awaitable[Client]], settings: Settings, reading: Reading) -> None:
        """`client` connects, or raises `temporal_unreachable`; `reading` is shared and not closed here."""
        self._client = client
        self._settings = settings
        self._reading = reading
        self._entities: Cache[str, dict[str, FleetRow]] = Cache(self._list_entities, LIST_AGE)
        self._records: Cache[str, dict[str, FleetRow]] = Cache(self._list_records, LIST_AGE * 5)
        self.calls = 0
        """List calls made so far."""

    async def page(self, wanted: Wanted | None = None, *, page: int = 1, size: int = PAGE_ROWS) -> FleetPage:
        """One page; a page past the end is the last one.

        Raises:
            LabelbridgeError: only if neither visibility nor the record store answers.
        """
        wanted = wanted or Wanted()
        listed, source, notices = await self._listed()
        never, notice = await self._never_asked(listed.value)
        rows = {**listed.value, **never}
        found = sorted((row for row in rows.values() if matches(row, wanted)), key=_order(wanted.sort))
        pages = max(1, -(-len(found) // size))
        page = min(max(page, 1), pages)
        shown = found[(page - 1) * size : page * size]
        with_progress, missing = await self._with_progress(shown)
        return FleetPage(
            rows=with_progress,
            matching=len(found),
            total=len(rows),
            page=page,
            pages=pages,
            read_at=listed.read_at,
            source=source,
            notices=tuple(error.info for error in (*notices, *notice, *missing)),
        )

    async def reference(self, key: str) -> ProjectRef:
        """The project of this key; `project_unknown` if the fleet does not have it.

        A key holds only a hash of its Language resource, so one of another resource is looked up.
        """
        name = key.partition(".")[2]
        if self._settings.language_resource is not None and name:
            try:
                own = ProjectRef(language_resource=self._settings.language_resource, name=name)
            except ValueError as error:
                raise LabelbridgeError("project_unknown", f"There is no project {key!r}.") from error
            if own.key == key:
                return own
        listed, _, _ = await self._listed()
        if key not in listed.value:
            raise LabelbridgeError("project_unknown", f"There is no project {key!r}.")
        return listed.value[key].summary.project

    async def _listed(self) -> tuple[Aged[dict[str, FleetRow]], str, tuple[LabelbridgeError, ...]]:
        """Rows by key: from the entities' memos, else from the records."""
        try:
            listed = await self._entities.get("")
        except LabelbridgeError as error:
            return await self._records.get(""), "records", (error,)
        return listed, "entities", (listed.error,) if listed.error else ()

    async def _list_entities(self, _: str) -> dict[str, FleetRow]:
        found: dict[str, FleetRow] = {}
        client = await self._client()
        iterator = client.list_workflows(_ENTITIES, page_size=CALL_ROWS, limit=MOST_ROWS)
        try:
            while iterator.current_page is None or iterator.next_page_token:
                self.calls += 1
                await iterator.fetch_next_page(page_size=CALL_ROWS)
                for execution in iterator.current_page or ():
                    summary = await _summary(execution)
                    if summary is not None and (summary.known or summary.connected):
                        found[summary.project.key] = _row(summary)
                if len(found) >= MOST_ROWS:
                    break
        except RPCError as error:
            raise LabelbridgeError("temporal_unreachable", f"The list of projects: {error}") from error
        return found

    async def _list_records(self, _: str) -> dict[str, FleetRow]:
        records = await self._reading.records()
        statuses = (ProjectStatus.of(record.project, record, known=True) for record in records)
        return {status.project.key: _row(ProjectSummary.of(status)) for status in statuses}

    async def _never_asked(
        self, known: Mapping[str, FleetRow]
    ) -> tuple[dict[str, FleetRow], tuple[LabelbridgeError, ...]]:
        """Rows for projects that Language has and nobody asked anything of."""
        resource = self._settings.language_resource
        if resource is None:
            return {}, ()
        try:
            listed = await self._reading.language.get(resource)
        except LabelbridgeError as error:
            return {}, (error,)
        found: dict[str, FleetRow] = {}
        for project in listed.value:
            ref = ProjectRef(language_resource=resource, name=project.name)
            if ref.key not in known:
                summary = ProjectSummary(project=ref, kind=project.kind)
                found[ref.key] = _row(summary, asked=False)
        return found, (listed.error,) if listed.error else ()

    async def _with_progress(
        self, rows: Iterable[FleetRow]
    ) -> tuple[tuple[FleetRow, ...], tuple[LabelbridgeError, ...]]:
        """The rows with their label progress: one request for each workspace on the page."""
        rows = tuple(rows)
        workspaces = {row.summary.job.workspace for row in rows if row.summary.job}
        errors: list[LabelbridgeError] = []
        jobs: dict[str, Aged[dict[str, LabelingJob]]] = {}

        async def look(workspace: str) -> None:
            try:
                jobs[workspace] = await self._reading.jobs.get(workspace)
            except LabelbridgeError as error:
                errors.append(error)

        await asyncio.gather(*map(look, workspaces))
        errors += [aged.error for aged in jobs.values() if aged.error]
        made = tuple(
            row.model_copy(update={"progress": progress_of(row.summary, _jobs_of(row, jobs))}) for row in rows
        )
        return made, tuple(errors)


def matches(row: FleetRow, wanted: Wanted) -> bool:
    """True if the row is wanted."""
    summary = row.summary
    if wanted.state is not None and row.state is not wanted.state:
        return False
    if wanted.active is not None and summary.active is not wanted.active:
        return False
    if wanted.kind is not None and summary.kind is not wanted.kind:
        return False
    if wanted.running is not None and (summary.running is not None) is not wanted.running:
        return False
    needs_look = summary.attention is not None or summary.drift > 0
    if wanted.attention is not None and needs_look is not wanted.attention:
        return False
    said = [summary.project.name, summary.job.name if summary.job else ""]
    said += [summary.running.operation_id, summary.running.actor.name] if summary.running else []
    return wanted.text.strip().casefold() in "\n".join(said).casefold()


def _jobs_of(
    row: FleetRow, jobs: Mapping[str, Aged[dict[str, LabelingJob]]]
) -> Aged[dict[str, LabelingJob]] | None:
    return jobs.get(row.summary.job.workspace) if row.summary.job else None


def _row(summary: ProjectSummary, *, asked: bool = True) -> FleetRow:
    status = ProjectStatus(
        project=summary.project, known=summary.known, connected=summary.connected, active=summary.active
    )
    return FleetRow(key=summary.project.key, state=state_of(status), summary=summary, asked=asked)


def _order(sort: Sort) -> Callable[[FleetRow], tuple[float, str, str]]:
    long_ago = datetime.min.replace(tzinfo=UTC)

    def by_name(row: FleetRow) -> tuple[float, str, str]:
        moment = long_ago
        if sort is Sort.SINCE:
            moment = row.summary.since or long_ago
        elif sort is Sort.SNAPSHOT and row.summary.last_sync:
            moment = row.summary.last_sync.taken_at
        return -(moment - long_ago).total_seconds(), row.summary.project.name.casefold(), row.key

    return by_name


async def _summary(execution: WorkflowExecution) -> ProjectSummary | None:
    """The line that an entity published; None if it has not looked at its project yet."""
    found: ProjectSummary | None = await execution.memo_value(names.SUMMARY, None, type_hint=ProjectSummary)
    return found


__all__ = ["CALL_ROWS", "PAGE_ROWS", "Fleet", "FleetPage", "FleetRow", "Sort", "Wanted", "matches"]
