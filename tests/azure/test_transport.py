"""The deadline of an effect: what is late is not sent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from azure.core import AsyncPipelineClient
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.rest import HttpRequest

from labelbridge.azure import transport as module
from labelbridge.azure.transport import DeadlineTransport, check_deadline, effect_deadline, remaining
from labelbridge.errors import LabelbridgeError
from tests.azure.listener import answer, listening


class Clock:
    """The transport's clock, put forward by hand: what a paused process sees when it wakes."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._real = module.now

    def __call__(self) -> float:
        return self._real() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "now", made)
    return made


@pytest.fixture
async def transport() -> AsyncIterator[DeadlineTransport]:
    async with DeadlineTransport() as opened:
        yield opened


async def test_without_a_deadline_requests_are_sent(transport: DeadlineTransport) -> None:
    async with listening() as server:
        assert remaining() is None
        response = await transport.send(HttpRequest("GET", server.url))
        assert response.status_code == 200
        assert len(server.received) == 1


async def test_a_request_within_its_deadline_is_sent(transport: DeadlineTransport) -> None:
    async with listening() as server:
        with effect_deadline(60):
            await transport.send(HttpRequest("POST", server.url, json={"locked": True}))
        assert b"locked" in b"".join(server.received)


async def test_after_the_deadline_not_even_a_connection_is_made(
    transport: DeadlineTransport, clock: Clock
) -> None:
    async with listening() as server:
        with effect_deadline(10):
            clock.ahead = 11
            with pytest.raises(LabelbridgeError) as caught:
                await transport.send(HttpRequest("PATCH", server.url, json={}))
        assert caught.value.code == "deadline_passed"
        assert not caught.value.final
        assert server.connections == 0


@pytest.mark.parametrize("body", [None, {"isLabelingLocked": False}])
async def test_a_process_paused_while_it_connected_sends_nothing(
    transport: DeadlineTransport, clock: Clock, monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    connect = aiohttp.TCPConnector.connect

    async def slow(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = await connect(self, *args, **kwargs)
        clock.ahead = 11
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", slow)
    async with listening() as server:
        with effect_deadline(10), pytest.raises(LabelbridgeError) as caught:
            await transport.send(HttpRequest("POST", server.url, json=body))
        assert caught.value.code == "deadline_passed"
        assert server.received == []


async def test_a_process_paused_just_before_the_body_leaves_sends_nothing(
    transport: DeadlineTransport, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = aiohttp.ClientRequest.send

    async def paused(self: Any, connection: Any) -> Any:
        response = await send(self, connection)
        clock.ahead = 11
        return response

    monkeypatch.setattr(aiohttp.ClientRequest, "send", paused)
    async with listening() as server:
        with effect_deadline(10), pytest.raises(LabelbridgeError) as caught:
            await transport.send(HttpRequest("PATCH", server.url, json={"isLabelingLocked": False}))
        assert caught.value.code == "deadline_passed"
        assert server.received == []


async def test_the_wait_for_an_answer_ends_at_the_deadline(transport: DeadlineTransport) -> None:
    async with listening(None) as server:
        with effect_deadline(0.2), pytest.raises(ServiceResponseTimeoutError):
            await transport.send(HttpRequest("POST", server.url, json={}))
        assert len(server.received) == 1


async def test_an_sdk_does_not_sleep_towards_a_retry_past_the_deadline(transport: DeadlineTransport) -> None:
    async with listening(answer(503, Retry_After="3600")) as server:
        client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            server.url, policies=[AsyncRetryPolicy(retry_total=3)], transport=transport
        )
        with effect_deadline(30), pytest.raises(LabelbridgeError) as caught:
            await client.send_request(HttpRequest("GET", server.url))
        assert caught.value.code == "deadline_passed"
        assert len(server.received) == 1


async def test_of_nested_deadlines_the_earlier_holds(clock: Clock) -> None:
    with effect_deadline(10):
        with effect_deadline(60):
            clock.ahead = 11
            with pytest.raises(LabelbridgeError):
                check_deadline("the effect")
        clock.ahead = 0
        with effect_deadline(1):
            clock.ahead = 2
            with pytest.raises(LabelbridgeError):
                check_deadline("the effect")
        check_deadline("the effect")
    assert remaining() is None


async def test_tasks_inherit_the_deadline_of_who_starts_them(clock: Clock) -> None:
    async def later() -> None:
        check_deadline("the effect")

    with effect_deadline(10):
        task = asyncio.create_task(later())
    clock.ahead = 11
    with pytest.raises(LabelbridgeError):
        await task


async def test_messages_do_not_carry_the_query(transport: DeadlineTransport, clock: Clock) -> None:
    with effect_deadline(1):
        clock.ahead = 2
        with pytest.raises(LabelbridgeError) as caught:
            await transport.send(HttpRequest("GET", "http://127.0.0.1:1/x?sig=secret"))
    assert "secret" not in caught.value.message
