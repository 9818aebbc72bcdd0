"""The marker of the latest labels never goes back, whoever writes it, in whatever order."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

from labelbridge.azure.session import AzureSession
from labelbridge.latest import LatestLabels, Markers, marker_name
from labelbridge.model import ProjectRef
from tests.events.conftest import MakeSettings, OpenStores

START = datetime(2026, 3, 1, tzinfo=UTC)
PROJECT = ProjectRef(
    language_resource="/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a",
    name="tickets",
)


def _latest(number: int) -> LatestLabels:
    """The `number`th of a project's life; every third begins a new epoch."""
    at = START + timedelta(minutes=number)
    return LatestLabels(
        project=PROJECT.key,
        snapshot="0" * 64,
        sha256="0" * 64,
        path="snapshots/x",
        source="azureml",
        documents=number,
        labels=number,
        quarantined=0,
        epoch=number // 3,
        taken_at=at - timedelta(seconds=random.Random(number).randint(0, 300)),
        operation=f"{number:06d}-sync-test",
        carried_at=at,
    )


async def test_many_who_write_at_once_and_late_leave_the_last_and_nobody_sees_it_go_back(
    events_settings: MakeSettings, open_stores: OpenStores, session: AzureSession
) -> None:
    settings = events_settings()
    await open_stores(settings)
    blobs, container = session.blobs(settings.registry.account), settings.registry.container
    chance = random.Random(7)
    seen: list[LatestLabels] = []
    looked, ended = asyncio.Event(), asyncio.Event()

    async def watch() -> None:
        last = False
        while not last:
            last = ended.is_set()
            found = await Markers(blobs, container).read(PROJECT)
            assert found is not None
            seen.append(found)
            looked.set()

    async def write(numbers: list[int]) -> None:
        for number in numbers:
            standing = await Markers(blobs, container).advance(PROJECT, _latest(number))
            assert standing.order >= _latest(number).order

    await write([0])
    watching = asyncio.create_task(watch())
    await looked.wait()
    numbers = [chance.sample(range(24), 10) for _ in range(3)] + [[23, 0, 12]]
    await asyncio.gather(*(write(one) for one in numbers))
    ended.set()
    await watching
    assert await Markers(blobs, container).read(PROJECT) == _latest(23)
    orders = [one.order for one in seen]
    assert orders == sorted(orders)
    assert len(set(orders)) > 1, "the watcher saw nothing move: this run proves nothing"


async def test_a_marker_that_somebody_broke_is_replaced(
    events_settings: MakeSettings, open_stores: OpenStores, session: AzureSession
) -> None:
    settings = events_settings()
    stores = await open_stores(settings)
    blobs, container = session.blobs(settings.registry.account), settings.registry.container
    await blobs.create(container, marker_name(PROJECT), b"<html>")
    assert await stores.markers.read(PROJECT) is None
    assert await stores.markers.advance(PROJECT, _latest(1)) == _latest(1)
    assert await stores.markers.read(PROJECT) == _latest(1)
