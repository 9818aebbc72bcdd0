"""Thirty projects on one Language resource with Azure's quotas: all are served, and Azure need not refuse.

What is claimed is held against the log of the local Azure, which the product has no hand in.
"""

import asyncio
import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from labelbridge.client import Labelbridge
from labelbridge.model import OperationResult, ProjectRef, StepState, TrainRequest
from labelbridge.throttling.turns import WAITING
from tests.throttling.fleet import MINUTE, QUOTAS, THROTTLE, UNTHROTTLED, Asked, Fleet, until

PATIENCE = 150.0
ON_ITS_WAY = 1.0
"""Seconds after a 429 in which a request may arrive that was let through before it."""
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.long,
]  # the margins of thirty projects at once need the machine


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet.start(tmp_path_factory.mktemp("fleet"))
    try:
        with made.stack.acting_as("operator"):
            yield made
        made.stack.check()
    finally:
        made.stack.stop()


async def train(bridge: Labelbridge, ref: ProjectRef, model: str) -> OperationResult:
    """An operation of three requests that count as POST: two exports, and the training."""
    return await (await bridge.start(ref, TrainRequest(model=model))).result(PATIENCE)


async def greedily(bridge: Labelbridge, ref: ProjectRef) -> None:
    """One training after the other, for as long as nobody stops it."""
    for number in itertools.count():
        await train(bridge, ref, f"greedy{number}")


async def train_watched(bridge: Labelbridge, ref: ProjectRef) -> bool:
    """Train; True if the timeline said meanwhile that the project waits for its turn."""
    handle = await bridge.start(ref, TrainRequest(model="watched"))
    result = asyncio.create_task(handle.result(PATIENCE))
    seen = False
    while not result.done():
        progress = await handle.progress()
        steps = progress.steps if progress else ()
        seen = seen or any(s.note == WAITING and s.state is StepState.RUNNING for s in steps)
        await asyncio.sleep(0.1)
    assert (await result).model
    return seen


async def test_thirty_projects_at_once_are_all_served_in_turn_without_a_storm_of_429(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    fleet.forget()
    greedy, watched, *others = fleet.projects
    async with fleet.bridge() as bridge:
        await bridge.actor()
        with fleet.workers(THROTTLE) as logs:
            endless = asyncio.create_task(greedily(bridge, greedy))
            watching = asyncio.create_task(train_watched(bridge, watched))
            results = await asyncio.gather(*(train(bridge, ref, "together") for ref in others))
            assert await watching, "nobody was told what the operation waits for"
            endless.cancel()
            await asyncio.wait([endless])
            served = [log.read_text().count("turns_served") for log in logs]
    assert all(result.model for result in results)
    assert served == [1, 1], "both workers deal out turns"
    asked = fleet.asked()
    # No storm.
    refused = [one for one in asked if one.status == 429]
    record_property("refused", f"{len(refused)} of {len(asked)}")
    assert len(refused) <= len(asked) / 10
    assert most_in_a_minute([one for one in asked if one.status != 429], "post") <= QUOTAS["post_per_minute"]
    # Nobody starved: nobody waited for the first or for the last turn out of proportion.
    begun = [one for one in asked if one.begins]
    for place in (0, -1):
        waits = [waited(asked, begun, ref, place) for ref in (watched, *others)]
        record_property("longest and median wait", (max(waits), statistics.median(waits)))
        assert max(waits) <= 3 * statistics.median(waits)
    # The greedy one got its share, not more: it stands in line anew each time.
    last = max(place for place, one in enumerate(begun) if one.project != greedy.name)
    counted = Counter(one.project for one in begun[: last + 1])
    assert {counted[ref.name] for ref in (watched, *others)} == {3}
    assert counted[greedy.name] <= 2 * 3


async def test_no_worker_sends_anything_of_a_sort_before_its_retry_after_has_ended(fleet: Fleet) -> None:
    fleet.forget()
    fleet.order(kind="status", status=429, seconds=4, method="POST", path_regex=":export", times=1, skip=4)
    fleet.order(
        kind="status", status=429, seconds=3, method="GET", path_regex="/export/jobs/", times=1, skip=9
    )
    async with fleet.bridge() as bridge:
        await bridge.actor()
        with fleet.workers(THROTTLE):
            results = await asyncio.gather(*(train(bridge, ref, "paused") for ref in fleet.projects[5:15]))
    assert all(result.model for result in results)
    asked = fleet.asked()
    ordered = [one for one in asked if one.status == 429 and one.retry_after >= 3]
    assert {one.sort for one in ordered} == {"post", "get"}
    assert early(asked) == []


async def test_without_turns_and_turnstiles_the_same_thirty_make_a_storm(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    fleet.forget()
    async with fleet.bridge() as bridge:
        await bridge.actor()
        with fleet.workers(UNTHROTTLED):
            starts = (bridge.start(ref, TrainRequest(model="storm")) for ref in fleet.projects)
            assert await asyncio.gather(*starts)
            asked = await until(fleet.asked, lambda found: len(found) > 500)
    refused = [one for one in asked if one.status == 429]
    record_property("refused", f"{len(refused)} of {len(asked)}")
    assert len(refused) > len(asked) / 10
    assert early(asked) != []


def most_in_a_minute(asked: list[Asked], sort: str) -> int:
    """Requests of a sort in the fullest of the local Azure's minutes."""
    times = [one.at for one in asked if one.sort == sort]
    return max(sum(first <= at < first + MINUTE for at in times) for first in times)


def waited(asked: list[Asked], begun: list[Asked], ref: ProjectRef, place: int) -> float:
    """Seconds from a project's first request of any sort to that which began its first, or last, work."""
    came = next(one.at for one in asked if one.project == ref.name)
    return [one.at for one in begun if one.project == ref.name][place] - came


def early(asked: list[Asked]) -> list[tuple[Asked, Asked]]:
    """Each 429 with a later request of its sort before its `Retry-After` had ended.

    The project itself is read without waiting (by gates, and for whoever asks for an operation).
    """
    return [
        (refusal, one)
        for refusal in asked
        if refusal.status == 429 and refusal.retry_after > ON_ITS_WAY
        for one in asked
        if one.sort == refusal.sort
        and refusal.answered + ON_ITS_WAY < one.at < refusal.answered + refusal.retry_after
        and not (one.method == "GET" and one.path.rstrip("/").endswith(f"/projects/{one.project}"))
    ]
