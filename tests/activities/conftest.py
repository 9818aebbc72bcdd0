"""The worker's preflight against the local Azure."""

from collections.abc import AsyncIterator

import pytest

from labelbridge.azure.session import AzureSession
from labelbridge.local.stack import Stack
from tests.activities.desk import Desk


@pytest.fixture
async def desk(stack: Stack) -> AsyncIterator[Desk]:
    with stack.acting_as("worker"):
        async with AzureSession(stack.settings("worker")) as session:
            made = Desk(stack, session, "worker")
            await made.registry.ensure()
            yield made
