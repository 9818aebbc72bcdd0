"""The fleet's list: what it costs with a thousand projects, and what it shows when something is away."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, Interceptor, OutboundInterceptor, QueryWorkflowInput

from labelbridge import converter, names
from labelbridge.client import Labelbridge
from labelbridge.console.fleet import Fleet, FleetRow, Sort, Wanted, matches
from labelbridge.console.progress import Source, progress_of
from labelbridge.console.project_view import ProjectViews
from labelbridge.console.reading import Aged, Cache, Reading
from labelbridge.errors import LabelbridgeError
from labelbridge.lifecycle import State
from labelbridge.local.processes import Child, free_port
from labelbridge.local.seed import WORKSPACE
from labelbridge.local.stack import Stack
from labelbridge.local.temporal import binary
from labelbridge.model import (
    Actor,
    JobRef,
    OperationKind,
    ProjectKind,
    ProjectRef,
    ProjectSummary,
    RunningOperation,
    SnapshotRef,
    Studio,
)
from labelbridge.model.steps import EntityState
from labelbridge.settings import RegistrySettings, Settings
from tests.conftest import NewProject

MANY = 1000
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOBODY_POLLS = "nobody-polls-this"


def summary(number: int) -> ProjectSummary:
    """Project p0000 is not connected, p0001 is with Azure ML, p0002 with Language, and so on; every tenth switches."""
    ref = ProjectRef(language_resource=RESOURCE, name=f"p{number:04}")
    running = RunningOperation(
        operation_id=f"{number:06}-switch-12345678",
        workflow_id=f"{ref.workflow_id}/{number:06}-switch-12345678",
        kind=OperationKind.SWITCH,
        actor=Actor(object_id="o", name="olga"),
        started_at=NOON,
    )
    return ProjectSummary(
        project=ref,
        kind=list(ProjectKind)[number % 3],
        connected=number % 3 > 0,
        job=JobRef(workspace=WORKSPACE, name=f"job-{number:04}") if number % 3 else None,
        active=Studio.AZUREML if number % 3 == 1 else Studio.LANGUAGE,
        since=NOON + timedelta(minutes=number),
        epoch=number % 3,
        running=running if number % 10 == 0 else None,
    )


class Asked(Interceptor):
    """Counts the questions that are put to workflows."""

    def __init__(self) -> None:
        self.queries = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        asked = self

        class Counting(OutboundInterceptor):
            async def query_workflow(self, input: QueryWorkflowInput) -> object:  # noqa: A002
                asked.queries += 1
                return await super().query_workflow(input)

        return Counting(next)


class Closed(Reading):
    """A `Reading` without Azure: nothing may be read."""

    def __init__(self) -> None:
        super().__init__(Settings(_env_file=None, registry=RegistrySettings(account="records")))

    async def session(self) -> object:  # type: ignore[override]
        raise LabelbridgeError("unavailable", "There is no Azure here.")


class Server(Child):
    """Temporal's dev server without a database file: a thousand starts take seconds, not a minute."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        command = [str(binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        command += ["--headless", "--log-level", "error", "--disable-config-file", "--disable-config-env"]
        super().__init__("temporal", command, log, ready=self._serves)

    def _serves(self) -> bool:
        try:
            asyncio.run(Client.connect(self.address))
        except RuntimeError:
            return False
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Temporal of its own: a thousand entities would be in everybody's way."""
    running = Server(tmp_path_factory.mktemp("temporal") / "temporal.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def entities(server: Server) -> int:
    """A thousand entities as visibility knows them: their workflow type, id and memo; nobody works on them."""

    async def start() -> None:
        client = await Client.connect(server.address, data_converter=converter.PLAIN)
        gate = asyncio.Semaphore(50)

        async def one(number: int) -> None:
            line = summary(number)
            async with gate:
                await client.start_workflow(
                    names.ENTITY_WORKFLOW,
                    EntityState(project=line.project),
                    id=line.project.workflow_id,
                    task_queue=NOBODY_POLLS,
                    memo={names.SUMMARY: line, names.SYNCS_BEGUN: 0},
                )

        await asyncio.gather(*(one(number) for number in range(MANY)))

    asyncio.run(start())
    return MANY


@pytest.fixture
async def fleet(server: Server, entities: int) -> tuple[Fleet, Asked]:
    """The fleet on those entities; visibility is behind by a moment, which is waited for."""
    asked = Asked()
    client = await Client.connect(server.address, data_converter=converter.PLAIN, interceptors=[asked])

    async def connected() -> Client:
        return client

    while (await client.count_workflows(f"WorkflowType = '{names.ENTITY_WORKFLOW}'")).count < entities:
        await asyncio.sleep(0.1)
    return Fleet(connected, Settings(_env_file=None), Closed()), asked


async def test_any_page_of_a_thousand_projects_costs_two_calls_and_asks_no_entity(
    fleet: tuple[Fleet, Asked],
) -> None:
    listed, asked = fleet
    page = await listed.page(Wanted(), page=20, size=50)
    assert (page.total, page.matching, page.pages, page.page) == (MANY, MANY, 20, 20)
    assert [row.summary.project.name for row in page.rows] == [f"p{i:04}" for i in range(950, 1000)]
    # A full call does not know that it is the last one: the second finds nothing.
    assert (listed.calls, asked.queries) == (2, 0)


async def test_all_who_look_at_the_same_time_share_those_calls(fleet: tuple[Fleet, Asked]) -> None:
    listed, asked = fleet
    pages = await asyncio.gather(*(listed.page(Wanted(text=f"p{i:03}")) for i in range(50)))
    assert all(page.matching == 10 for page in pages)
    assert (listed.calls, asked.queries) == (2, 0)


async def test_filters_search_and_order_hold_over_all_pages(fleet: tuple[Fleet, Asked]) -> None:
    listed, _ = fleet
    azureml = await listed.page(Wanted(active=Studio.AZUREML))
    assert azureml.matching == sum(1 for i in range(MANY) if i % 3 == 1)
    both = await listed.page(Wanted(state=State.LANGUAGE, running=True, kind=ProjectKind.ENTITIES))
    assert [row.summary.project.name for row in both.rows][:3] == ["p0020", "p0050", "p0080"]
    assert (await listed.page(Wanted(text="JOB-0007"))).matching == 1
    assert (await listed.page(Wanted(text="000990-switch"))).rows[0].summary.project.name == "p0990"
    latest = await listed.page(Wanted(sort=Sort.SINCE), size=2)
    assert [row.summary.project.name for row in latest.rows] == ["p0999", "p0998"]


async def test_a_page_past_the_end_is_the_last_one(fleet: tuple[Fleet, Asked]) -> None:
    page = await fleet[0].page(Wanted(), page=9999, size=300)
    assert (page.page, page.pages, len(page.rows)) == (4, 4, 100)


async def test_what_azure_does_not_answer_is_said_and_hides_no_project(fleet: tuple[Fleet, Asked]) -> None:
    page = await fleet[0].page(Wanted(text="job-0001"))
    assert [row.progress for row in page.rows] == [None]
    assert {notice.code for notice in page.notices} == {"unavailable"}


async def test_a_project_of_another_language_resource_is_found_by_its_key(fleet: tuple[Fleet, Asked]) -> None:
    ref = summary(7).project
    assert await fleet[0].reference(ref.key) == ref
    with pytest.raises(LabelbridgeError, match="project_unknown"):
        await fleet[0].reference("elsewhere-12345678.p0007")


async def test_without_a_worker_a_project_shows_what_its_entity_said_last_and_says_so(
    server: Server, entities: int
) -> None:
    client = await Client.connect(server.address, data_converter=converter.PLAIN)

    async def connected() -> Client:
        return client

    line = summary(10)
    view = await ProjectViews(connected, Settings(_env_file=None), Closed()).look(line.project)
    assert (view.state, view.status.epoch, view.status.since) == (State.AZUREML, line.epoch, line.since)
    assert view.operation
    assert line.running
    assert view.operation.operation_id == line.running.operation_id
    assert view.operation.said == "Switch: about to begin."
    assert {problem.code for problem in view.problems} == {"no_worker", "unavailable"}


# On the stack


async def unreachable() -> Client:
    """A Temporal that does not answer."""
    raise LabelbridgeError("temporal_unreachable", "It is down.")


async def test_projects_that_nobody_asked_anything_of_are_listed_from_language(
    stack: Stack, bridge: Labelbridge, new_project: NewProject
) -> None:
    project = new_project(ProjectKind.MULTI_LABEL)
    reading = Reading(bridge.settings)

    async def connected() -> Client:
        return bridge.client

    page = await Fleet(connected, bridge.settings, reading).page(Wanted(text=project.ref.name))
    await reading.close()
    (row,) = page.rows
    assert (row.state, row.asked, row.summary.kind) == (State.UNCONNECTED, False, ProjectKind.MULTI_LABEL)


async def test_without_temporal_the_records_and_language_are_listed_and_it_is_said(
    stack: Stack, bridge: Labelbridge, new_project: NewProject
) -> None:
    project = new_project()
    reading = Reading(bridge.settings)
    page = await Fleet(unreachable, bridge.settings, reading).page(Wanted(text=project.ref.name))
    await reading.close()
    assert page.source == "records"
    assert [notice.code for notice in page.notices] == ["temporal_unreachable"]
    assert [row.key for row in page.rows] == [project.ref.key]


# Pure


def snapshot(documents: int) -> SnapshotRef:
    return SnapshotRef(
        id="a" * 64, source="language", digest="d", epoch=0, documents=documents, labels=1, taken_at=NOON
    )


def test_a_project_that_needs_a_person_or_drifted_can_be_filtered() -> None:
    row = FleetRow(key="k", state=State.LANGUAGE, summary=summary(2))
    drifted = row.model_copy(update={"summary": row.summary.model_copy(update={"drift": 1})})
    assert matches(drifted, Wanted(attention=True))
    assert not matches(row, Wanted(attention=True))
    assert matches(row, Wanted(attention=False))


def test_while_language_is_active_progress_is_that_of_the_last_snapshot() -> None:
    line = summary(2).model_copy(update={"last_sync": snapshot(12)})
    found = progress_of(line, None)
    assert found
    assert (found.labelled, found.source, found.as_of, found.share) == (12, Source.SNAPSHOT, NOON, None)
    assert progress_of(summary(2), None) is None


async def test_a_cache_reads_once_for_many_and_again_when_it_is_old() -> None:
    now, reads = 0.0, 0

    async def read(key: str) -> int:
        nonlocal reads
        reads += 1
        return reads

    cache: Cache[str, int] = Cache(read, timedelta(seconds=10), clock=lambda: now)
    assert [found.value for found in await asyncio.gather(*(cache.get("k") for _ in range(20)))] == [1] * 20
    now = 9.9
    assert (await cache.get("k")).value == 1
    now = 10.1
    assert (await cache.get("k")).value == 2
    cache.forget("k")
    assert (await cache.get("k")).value == 3


async def test_a_cache_gives_the_last_value_with_the_error_when_reading_fails() -> None:
    now = 0.0
    answers: list[int | LabelbridgeError] = [7, LabelbridgeError("unavailable"), 8]

    async def read(key: str) -> int:
        answer = answers.pop(0)
        if isinstance(answer, LabelbridgeError):
            raise answer
        return answer

    cache: Cache[str, int] = Cache(read, timedelta(seconds=1), clock=lambda: now)
    first: Aged[int] = await cache.get("k")
    now = 2.0
    stale = await cache.get("k")
    assert (stale.value, stale.read_at) == (7, first.read_at)
    assert stale.error
    assert stale.error.code == "unavailable"
    now = 4.0
    assert (await cache.get("k")).value == 8


async def test_a_cache_that_never_read_anything_raises() -> None:
    async def read(key: str) -> int:
        raise LabelbridgeError("unavailable")

    with pytest.raises(LabelbridgeError, match="unavailable"):
        await Cache(read, timedelta(seconds=1)).get("k")
