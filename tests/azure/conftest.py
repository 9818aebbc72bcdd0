"""The official clients' side: a session with the local Azure, as the worker."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from labelbridge.azure.azureml import Workspace
from labelbridge.azure.language import LanguageResource
from labelbridge.azure.session import AzureSession
from labelbridge.local.api import Caller
from labelbridge.local.stack import Stack

ArmFault = Callable[..., None]


@pytest.fixture
async def session(stack: Stack) -> AsyncIterator[AzureSession]:
    with stack.acting_as("worker"):
        async with AzureSession(stack.settings("worker")) as opened:
            yield opened


@pytest.fixture
async def stranger(stack: Stack) -> AsyncIterator[AzureSession]:
    """Somebody without any role."""
    with stack.acting_as("stranger"):
        async with AzureSession(stack.settings("stranger")) as opened:
            yield opened


@pytest.fixture
def language(stack: Stack, session: AzureSession) -> LanguageResource:
    return session.language(stack.tenant.language_resource)


@pytest.fixture
def workspace(stack: Stack, session: AzureSession) -> Workspace:
    return session.workspace(stack.tenant.workspace)


@pytest.fixture
def fault(stack: Stack) -> Iterator[ArmFault]:
    """Orders a fault of the local Azure: fields of `FaultSpec`."""
    nobody = Caller(stack.place, None)

    def order(**fields: Any) -> None:
        nobody.request("POST", "/local/faults", fields)

    yield order
    nobody.request("DELETE", "/local/faults")
