"""The stack that most tests share: everything real, on loopback, one per test session."""

import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.projects import write_folder

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge

NewProject = Callable[..., SeededProject]
"""`new_project(kind=ProjectKind.ENTITIES, documents=12, labelled=8)` makes a project of its own."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Azurite, the local Azure, Temporal (tuned) and one worker. Who kills a part restarts it."""
    with Stack(tmp_path_factory.mktemp("stack"), tuned=True) as running:
        yield running


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
