"""Sharing one asking: what a caller gets was always begun after they asked."""

import asyncio

import pytest

from labelbridge._sharing import Sharing


class Counter:
    """Work that notes when it began and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        return number


async def test_all_who_ask_at_once_share_one_and_all_who_come_meanwhile_the_next() -> None:
    sharing, work = Sharing[int](), Counter()
    first = [asyncio.create_task(sharing.ask("sync", work)) for _ in range(50)]
    while not work.begun:
        await asyncio.sleep(0)
    late = [asyncio.create_task(sharing.ask("sync", work)) for _ in range(50)]
    await asyncio.sleep(0)
    assert work.begun == 1
    work.gate.set()
    assert set(await asyncio.gather(*first)) == {1}
    assert set(await asyncio.gather(*late)) == {2}


async def test_who_asks_for_something_else_does_not_wait() -> None:
    sharing, work, other = Sharing[int](), Counter(), Counter()
    one = asyncio.create_task(sharing.ask("sync", work))
    other.gate.set()
    assert await sharing.ask("merge", other) == 1
    work.gate.set()
    assert await one == 1


async def test_a_caller_who_leaves_takes_nothing_from_the_others() -> None:
    sharing, work = Sharing[int](), Counter()
    leaver, stayer = (asyncio.create_task(sharing.ask("sync", work)) for _ in range(2))
    while not work.begun:
        await asyncio.sleep(0)
    leaver.cancel()
    work.gate.set()
    assert await stayer == 1
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_a_failure_reaches_all_who_shared_it_and_nobody_after() -> None:
    sharing = Sharing[int]()

    async def refused() -> int:
        raise ValueError

    found = await asyncio.gather(*(sharing.ask("sync", refused) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [ValueError] * 3
    work = Counter()
    work.gate.set()
    assert await sharing.ask("sync", work) == 1
