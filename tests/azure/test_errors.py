"""Each failure of Azure becomes the right error of our table, with the server's own words."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from azure.core import AsyncPipelineClient
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.rest import HttpRequest

from labelbridge.azure.errors import BODY_LIMIT, azure_errors, retry_after, translate
from labelbridge.azure.transport import DeadlineTransport, effect_deadline
from labelbridge.errors import LabelbridgeError
from tests.azure.listener import answer, listening

FORBIDDEN = '{"error":{"code":"AuthorizationFailed","message":"The client does not have authorization."}}'
INVALID = (
    '{"error":{"code":"InvalidRequest","message":"Invalid project.","innererror":'
    '{"code":"InvalidParameterValue","message":"x","innererror":{"code":"Deepest","message":"y"}}}}'
)


@pytest.fixture
async def transport() -> AsyncIterator[DeadlineTransport]:
    async with DeadlineTransport() as opened:
        yield opened


async def failure(transport: DeadlineTransport, url: str) -> LabelbridgeError:
    client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(url, policies=[], transport=transport)

    async def refused() -> None:
        async with azure_errors("set the gate"):
            request = HttpRequest("PATCH", f"{url}?api-version=1&sig=secret", json={})
            raise HttpResponseError(response=await client.send_request(request))

    with pytest.raises(LabelbridgeError) as caught:
        await refused()
    return caught.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_request"),
        (401, "forbidden"),
        (403, "forbidden"),
        (404, "invalid_request"),
        (408, "unavailable"),
        (409, "invalid_request"),
        (412, "invalid_request"),
        (422, "invalid_request"),
        (429, "throttled"),
        (500, "unavailable"),
        (502, "unavailable"),
        (503, "unavailable"),
        (504, "unavailable"),
    ],
)
async def test_a_status_becomes_its_code(transport: DeadlineTransport, status: int, code: str) -> None:
    async with listening(answer(status, "what the server said")) as server:
        error = await failure(transport, server.url)
    assert error.code == code
    assert error.data["status"] == str(status)
    assert error.data["body"] == "what the server said"
    assert error.data["call"] == f"PATCH {server.url}"
    assert "secret" not in str(error.info)


async def test_forbidden_says_azures_message_and_the_call(transport: DeadlineTransport) -> None:
    async with listening(answer(403, FORBIDDEN)) as server:
        error = await failure(transport, server.url)
    assert "AuthorizationFailed: The client does not have authorization." in error.message
    assert f"PATCH {server.url}" in error.message
    assert error.final


async def test_an_invalid_request_names_azures_code_and_its_innermost(transport: DeadlineTransport) -> None:
    async with listening(answer(400, INVALID)) as server:
        error = await failure(transport, server.url)
    assert (error.data["azure_code"], error.data["inner_code"]) == ("InvalidRequest", "Deepest")
    assert "InvalidRequest (Deepest): Invalid project." in error.message


async def test_throttling_keeps_the_wait_that_azure_asked_for(transport: DeadlineTransport) -> None:
    async with listening(answer(429, "{}", Retry_After="17")) as server:
        error = await failure(transport, server.url)
    assert (error.code, error.retry_after, error.final) == ("throttled", timedelta(seconds=17), False)


async def test_a_very_long_body_is_cut(transport: DeadlineTransport) -> None:
    async with listening(answer(500, "x" * 50_000)) as server:
        error = await failure(transport, server.url)
    assert len(error.data["body"]) == BODY_LIMIT


async def test_a_cut_connection_is_unavailable(transport: DeadlineTransport) -> None:
    async with listening(b"") as server:
        assert (await failure(transport, server.url)).code == "unavailable"


async def test_a_refused_connection_is_unavailable(transport: DeadlineTransport) -> None:
    async with listening() as server:
        url = server.url
    error = await failure(transport, url)
    assert (error.code, "no connection" in error.message) == ("unavailable", True)


async def test_no_answer_before_the_deadline_is_unavailable(transport: DeadlineTransport) -> None:
    async with listening(None) as server:
        with effect_deadline(0.2):
            error = await failure(transport, server.url)
    assert (error.code, "no answer" in error.message) == ("unavailable", True)


async def test_our_own_errors_pass_unchanged() -> None:
    own = LabelbridgeError("record_conflict")
    with pytest.raises(LabelbridgeError) as caught:
        async with azure_errors("save"):
            raise own
    assert caught.value is own


def test_no_token_is_passing_because_an_identity_service_may_be_down() -> None:
    error = translate(ClientAuthenticationError("nothing gave a token"), "read the project")
    assert (error.code, error.final) == ("unavailable", False)
    assert "nothing gave a token" in error.message


def test_no_token_after_the_deadline_is_the_deadline() -> None:
    with effect_deadline(-1):
        assert translate(ClientAuthenticationError("swallowed"), "open the gate").code == "deadline_passed"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "5"}, timedelta(seconds=5)),
        ({"Retry-After": "0.5"}, timedelta(seconds=0.5)),
        ({"retry-after-ms": "250"}, timedelta(milliseconds=250)),
        ({"Retry-After": "-3"}, timedelta(0)),
        ({"Retry-After": format_datetime(datetime(2000, 1, 1, tzinfo=UTC), usegmt=True)}, timedelta(0)),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_in_each_of_its_forms(headers: dict[str, str], wait: timedelta | None) -> None:
    assert retry_after(headers) == wait


def test_a_wait_until_a_date_ends_then() -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    wait = retry_after({"Retry-After": format_datetime(until, usegmt=True)})
    assert wait is not None
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
