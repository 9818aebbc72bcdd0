"""The turnstile: fair between projects, paused for all workers at once, never past an effect's deadline."""

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from labelbridge.azure.blobs import BlobContent, Blobs
from labelbridge.azure.transport import effect_deadline
from labelbridge.errors import LabelbridgeError
from labelbridge.throttling.ledger import Ledger
from labelbridge.throttling.limiter import MOST_WAITING, FairQueue, Limiter, at_once, one_step
from labelbridge.throttling.settings import SLACK, ThrottleSettings

FAST = ThrottleSettings.model_validate({"post_per_minute": 4, "kept_back": 0, "window": "PT1S"})


class OneBlob:
    """Blob, as far as a ledger needs it: conditional writes; it may be down."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.version = 0
        self.down = False
        self.requests = 0

    async def _come(self) -> None:
        await asyncio.sleep(0)  # others come between a read and a write
        self.requests += 1
        if self.down:
            raise LabelbridgeError("unavailable", "down")

    async def read(self, container: str, name: str) -> BlobContent | None:
        await self._come()
        return None if self.data is None else BlobContent(data=self.data, etag=str(self.version))

    async def create(self, container: str, name: str, data: bytes) -> str | None:
        await self._come()
        if self.data is not None:
            return None
        return self._put(data)

    async def replace(
        self, container: str, name: str, data: bytes, etag: str, *, metadata: Mapping[str, str] | None = None
    ) -> str:
        await self._come()
        if etag != str(self.version):
            raise LabelbridgeError("record_conflict")
        return self._put(data)

    def _put(self, data: bytes) -> str:
        self.data, self.version = data, self.version + 1
        return str(self.version)


def worker(blob: OneBlob, settings: ThrottleSettings = FAST) -> Limiter:
    return Limiter(Ledger("/res", "res-1", cast("Blobs", blob), "labelbridge", settings), "post")


async def passing(limiter: Limiter, key: str, passed: list[tuple[float, str]]) -> None:
    await limiter.enter(key)
    passed.append((asyncio.get_running_loop().time(), key))


async def test_two_workers_together_keep_the_limit() -> None:
    blob, passed = OneBlob(), list[tuple[float, str]]()
    one, other = worker(blob), worker(blob)
    await asyncio.gather(
        *(passing(limiter, f"p{n}", passed) for n in range(6) for limiter in (one, other)),
    )
    times = sorted(at for at, _ in passed)
    assert len(times) == 12
    for first in times:
        assert sum(first <= at < first + 1.0 for at in times) <= 4


async def test_projects_are_served_in_turn_although_one_came_first_with_many() -> None:
    blob, passed = OneBlob(), list[tuple[float, str]]()
    limiter = worker(blob)
    keys = ["greedy"] * 6 + ["a", "b", "c"]
    await asyncio.gather(*(passing(limiter, key, passed) for key in keys))
    order = [key for _, key in passed]
    assert {order.index(key) for key in "abc"} <= {1, 2, 3}


def test_each_projects_requests_are_served_in_their_order() -> None:
    loop = asyncio.new_event_loop()
    queue, put = FairQueue(), {}
    for number, key in enumerate("aabab"):
        put[number] = loop.create_future()
        queue.put(key, put[number])
    put[1].cancel()
    served = [next(n for n, f in put.items() if f is one) for one in iter(queue.pop, None)]
    assert served == [0, 2, 3, 4], "who gave up took nobody's place"
    loop.close()


async def test_the_pause_that_one_worker_is_told_stops_all_others_until_it_ends() -> None:
    blob, passed = OneBlob(), list[tuple[float, str]]()
    told, other, third = worker(blob), worker(blob), worker(blob)
    await other.enter("before")
    await told.pause(1.5)
    ended = asyncio.get_running_loop().time() + 1.4
    await asyncio.gather(passing(other, "a", passed), passing(third, "b", passed), passing(told, "c", passed))
    assert len(passed) == 3
    assert min(at for at, _ in passed) >= ended


async def test_what_must_not_wait_does_not_and_others_wait_for_it() -> None:
    blob, passed = OneBlob(), list[tuple[float, str]]()
    limiter, other = worker(blob), worker(blob)
    await limiter.pause(1.0)
    began = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(passing(limiter, "export", passed))
    await asyncio.sleep(0)
    with at_once():
        for _ in range(4):
            await limiter.enter("gate")
    assert not waiting.done()
    await waiting
    await passing(other, "export", passed)
    assert passed[0][0] - began >= 2.0 + SLACK - 0.1, "the four were not counted"


async def test_an_effect_that_cannot_be_sent_in_time_says_when_to_come_back() -> None:
    limiter = worker(OneBlob())
    await limiter.pause(30)
    with effect_deadline(3), pytest.raises(LabelbridgeError) as caught:
        await limiter.enter("p")
    assert caught.value.code == "throttled"
    assert caught.value.retry_after is not None
    assert 28 <= caught.value.retry_after.total_seconds() <= 30


async def test_an_effect_waits_no_longer_than_half_of_its_time() -> None:
    limiter = worker(OneBlob())
    waiting = [asyncio.create_task(limiter.enter(f"p{n}")) for n in range(12)]
    await asyncio.sleep(0)
    with effect_deadline(2), pytest.raises(LabelbridgeError, match="quota"):
        await limiter.enter("late")
    assert not all(one.done() for one in waiting)
    await asyncio.gather(*waiting)


async def test_a_process_whose_blob_is_down_goes_on_and_keeps_the_limit_alone() -> None:
    blob, passed = OneBlob(), list[tuple[float, str]]()
    limiter = worker(blob)
    await limiter.enter("p")
    blob.down = True
    await asyncio.gather(*(passing(limiter, f"p{n}", passed) for n in range(8)))
    times = sorted(at for at, _ in passed)
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[4:], strict=False))


async def test_whatever_stands_in_the_blob_is_only_a_count() -> None:
    blob = OneBlob()
    blob.data = b"<html>"
    limiter = worker(blob)
    await limiter.enter("p")
    assert b'"post"' in (blob.data or b"")


async def test_a_turn_comes_when_there_is_room_and_takes_none() -> None:
    blob = OneBlob()
    limiter, other = worker(blob), worker(blob)
    for _ in range(8):
        await asyncio.wait_for(limiter.ready(), 1)
    for n in range(4):
        await other.enter(f"p{n}")
    began = asyncio.get_running_loop().time()
    await limiter.ready()
    assert asyncio.get_running_loop().time() - began >= 1.0


async def test_many_requests_cost_few_looks_at_the_blob() -> None:
    blob = OneBlob()
    wide = ThrottleSettings.model_validate({"post_per_minute": 6000, "kept_back": 0})
    limiter = worker(blob, wide)

    async def project(key: str) -> None:
        for _ in range(40):
            await limiter.enter(key)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(project(f"p{n}") for n in range(10)))
    assert blob.requests < 60


async def test_steps_that_have_not_begun_hold_no_place_while_many_wait_and_those_that_have_go_on() -> None:
    limiter = worker(OneBlob(), ThrottleSettings.model_validate({"post_per_minute": 100, "window": "PT1S"}))

    async def begun(gate: asyncio.Event) -> None:
        with one_step():
            await limiter.enter("begun")
            await gate.wait()
            await limiter.enter("begun")

    goes_on = asyncio.Event()
    early = asyncio.create_task(begun(goes_on))
    await limiter.enter("p")
    await limiter.pause(1)
    waiting = [asyncio.create_task(limiter.enter(f"p{n}")) for n in range(MOST_WAITING)]
    await asyncio.sleep(0)
    goes_on.set()
    with one_step(), pytest.raises(LabelbridgeError) as caught:
        await limiter.enter("new")
    assert caught.value.retry_after is not None
    with one_step(), at_once():
        await limiter.enter("gate")
    await asyncio.gather(early, *waiting)
