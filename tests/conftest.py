"""The stack that most tests share: everything real, on loopback, one per test session."""

import itertools
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

from labelbridge.local.processes import PORTS_VARIABLE
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.local.temporal import TemporalServer
from labelbridge.model import ProjectKind
from tests.projects import write_folder

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge

# Test processes beside each other choose their servers' ports from ranges of their own.
if (beside := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")).isdigit() and int(beside) < 16:
    os.environ[PORTS_VARIABLE] = f"{15_000 + 1_000 * int(beside)}-{15_999 + 1_000 * int(beside)}"

# A machine that is busy with other tests makes any of them slow: time proves nothing here.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

NewProject = Callable[..., SeededProject]
"""`new_project(kind=ProjectKind.ENTITIES, documents=12, labelled=8)` makes a project of its own."""


LONGEST_FIRST = (
    "leaks",
    "faults",
    "operations",
    "telemetry",
    "browser",
    "test_demo.py",
    "cli",
    "console",
    "events",
    "pipelines",
    "model",
)
"""Rooms whose tests mostly wait for the protocol's own timers: begun first, so that none is waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Order tests for several processes; those that share a fixture of their file stay in one of them."""
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(root).parts[0]
        return LONGEST_FIRST.index(room) if room in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
    for item in items:
        name = item.nodeid
        if not name.endswith(item.name):
            # schemathesis gives all routes one id, and xdist would run one of them for all.
            name = f"{name.rpartition('::')[0]}::{item.name}"
        if config.getoption("loadgroup", default=False) and (group := _group(item)):
            name = f"{name}@{group}"
        # xdist writes its groups to an attribute that pytest 9.2 reads no more, and there is no public one.
        item._id = NodeId.parse(name)


def _group(item: pytest.Item) -> str | None:
    """The tests that must share a process with this one, so that a dear fixture is made once."""
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - pytest's own name
    scopes = {found[-1].scope for found in definitions.values()}
    if "package" in scopes:
        return str(item.path.parent.relative_to(item.config.rootpath))
    if "module" in scopes:
        return str(item.path.relative_to(item.config.rootpath))
    return None


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Azurite, the local Azure, Temporal (tuned) and one worker. Who kills a part restarts it."""
    with Stack(tmp_path_factory.mktemp("stack"), tuned=True, variables=_variables()) as running:
        yield running


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A Temporal server without the stack; who needs it empty makes a namespace."""
    server = TemporalServer(tmp_path_factory.mktemp("temporal"), tuned=True)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _variables() -> dict[str, str]:
    """With `LABELBRIDGE_TESTS_CACHE` in the environment workers keep so many workflows: with 0, none."""
    cache = os.environ.get("LABELBRIDGE_TESTS_CACHE")
    return {"LABELBRIDGE_TEMPORAL__MAX_CACHED_WORKFLOWS": cache} if cache else {}


@pytest.fixture(autouse=True)
def _stack_stands(request: pytest.FixtureRequest) -> Iterator[None]:
    """A part that died unasked fails the test during which it died, with its log's tail."""
    yield
    if "stack" in request.fixturenames:
        running: Stack = request.getfixturevalue("stack")
        failure, running.failure = running.failure, None
        if failure:
            pytest.fail(failure)


@pytest.fixture
def new_project(stack: Stack, tmp_path: Path) -> NewProject:
    """Makes projects with names and containers that nobody used before."""
    counter = itertools.count()

    def make(
        kind: ProjectKind = ProjectKind.ENTITIES, *, documents: int = 12, labelled: int = 8
    ) -> SeededProject:
        name = f"t{uuid.uuid4().hex[:12]}"
        folder = write_folder(
            tmp_path / f"project{next(counter)}", kind, documents=documents, labelled=labelled
        )
        return make_project(stack.tenant, folder, name=name)

    return make


@pytest.fixture
async def bridge(stack: Stack) -> AsyncIterator["Labelbridge"]:
    """The client, as the operator."""
    from labelbridge.client import Labelbridge

    with stack.acting_as("operator"):
        async with Labelbridge.connect(stack.settings("operator")) as connected:
            yield connected
