"""An activity's failure is kept by Temporal with all its causes; none of them may quote a secret."""

import uuid
from typing import NoReturn

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ExecuteActivityInput

from activities._errors import ErrorsInterceptor
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings

TOKEN = f"Bearer {uuid.uuid4().hex}"


class _Raises:
    """The end of the chain of interceptors."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def execute_activity(self, _: object) -> NoReturn:
        raise self.error


async def _failure(error: Exception) -> BaseException:
    inbound = ErrorsInterceptor(Settings()).intercept_activity(_Raises(error))  # type: ignore[arg-type]
    order = ExecuteActivityInput(fn=print, args=[], executor=None, headers={})

    async def run() -> object:
        assert activity.in_activity()
        return await inbound.execute_activity(order)

    with pytest.raises(Exception) as caught:
        await ActivityEnvironment().run(run)
    return caught.value


async def test_a_bug_keeps_its_type_and_loses_the_secret_that_it_quotes() -> None:
    found = await _failure(KeyError(f"headers: {TOKEN}"))
    assert isinstance(found, ApplicationError)
    assert (found.type, found.non_retryable) == ("KeyError", False)
    assert TOKEN not in str(found)
    assert found.__cause__ is None


async def test_a_bug_that_quotes_no_secret_is_left_alone() -> None:
    error = KeyError("tickets")
    assert await _failure(error) is error


async def test_a_known_error_loses_a_cause_that_quotes_a_secret() -> None:
    error = LabelbridgeError("unavailable", "Could not read.")
    error.__cause__ = OSError(f"sent {TOKEN}")
    found = await _failure(error)
    assert isinstance(found, ApplicationError)
    assert found.type == "unavailable"
    assert TOKEN not in str(found.__cause__)
