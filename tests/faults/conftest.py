"""One stack for everything that is struck: brisk margins, gates that are late, a yard of workers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from labelbridge.local.stack import Stack
from tests.faults.lives import Setting
from tests.faults.margins import BRISK, LATE_GATES
from tests.faults.yard import Yard


@pytest.fixture(scope="package")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Started once for all tests that hire workers."""
    path = tmp_path_factory.mktemp("faults")
    with Stack(path, workers=0, tuned=True, timing=BRISK, local=LATE_GATES) as stack, Yard(stack) as running:
        yield running


@pytest.fixture
async def setting(yard: Yard, tmp_path: Path) -> AsyncIterator[Setting]:
    """What all lives of a test share."""
    with yard.stack.acting_as("operator"):
        yield await Setting.make(yard.stack, yard, tmp_path)
