"""Parts that many workers read are joined to the snapshot that one would have made."""

import dataclasses
import random
import tempfile
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO

import pytest
from temporalio.testing import ActivityEnvironment

from activities._progress import beating
from activities.conversions import Conversions
from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.local.seed import GROUP, RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import OffsetUnit, ProjectKind, ProjectRef, SnapshotRef
from labelbridge.model.steps import Exported, ShardOrder, ShardPlan, SnapshotOrder
from labelbridge.registry import Registry
from labelbridge.settings import Settings

PROJECT = ProjectRef(
    language_resource=f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-language",
    name="letters",
)
ROW = '{"image_url":"AmlDatastore://docs/%s","label":[{"label":"City","offsetStart":%d,"offsetEnd":%d}]}'


@dataclass
class Bench:
    """A container with documents, and rows about them: some cannot be used."""

    session: AzureSession
    settings: Settings
    blobs: Blobs
    container: str
    lines: list[bytes]

    def conversions(self, registry: Registry, rows_each: int) -> Conversions:
        labels = self.settings.labels.model_copy(
            update={"shard_documents": rows_each, "offset_unit": OffsetUnit.UTF16}
        )
        return Conversions(self.session, registry, self.settings.model_copy(update={"labels": labels}))

    async def registry(self) -> Registry:
        made = Registry(self.blobs, f"r{uuid.uuid4().hex[:16]}")
        await made.ensure()
        return made

    @property
    def plan(self) -> ShardPlan:
        keep = SnapshotOrder(project=PROJECT, kind=ProjectKind.ENTITIES, side="azureml", epoch=3)
        return ShardPlan(
            prefix="",
            keep=keep,
            source="an export",
            account=RECORDS_ACCOUNT,
            container=self.container,
            datastore="docs",
        )

    async def convert(self, conversions: Conversions) -> Exported:
        with _file(self.lines) as file:
            return await conversions.convert(file, self.plan)


def _file(lines: list[bytes]) -> BinaryIO:
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(b"\n".join(lines))
    return file


@pytest.fixture
async def bench(stack: Stack) -> AsyncIterator[Bench]:
    with stack.acting_as("worker"):
        settings = stack.settings("worker")
        async with AzureSession(settings) as session:
            blobs, container = session.blobs(RECORDS_ACCOUNT), f"d{uuid.uuid4().hex[:16]}"
            await blobs.ensure_container(container)
            lines = []
            for number in range(23):
                name = f"d{number}.txt"
                await blobs.create(container, name, f"\N{GRINNING FACE} Oslo {number}".encode())
                lines.append((ROW % (name, 3, 7)).encode())
            lines.insert(2, (ROW % ("d20.txt", 3, 5)).encode())  # its other row is in another part
            lines.insert(3, (ROW % ("d21.txt", 1, 3)).encode())  # splits a surrogate pair
            lines.insert(9, b'{"broken')
            lines.insert(10, b"")
            lines.append((ROW % ("missing.txt", 3, 7)).encode())
            lines.append((ROW % ("d1.txt", 3, 7)).encode())
            yield Bench(session, settings, blobs, container, lines)


async def _stored(registry: Registry, ref: SnapshotRef) -> tuple[bytes | None, bytes]:
    assert ref.quarantine is not None
    return await registry.read_snapshot(PROJECT, ref.id), await registry.read_quarantine(ref.quarantine)


async def _in_parts(bench: Bench, registry: Registry, rows_each: int) -> SnapshotRef:
    conversions = bench.conversions(registry, rows_each)
    found = await bench.convert(conversions)
    assert found.snapshot is None
    assert found.shards is not None
    numbers = list(range(len(found.shards.bounds)))
    random.Random(rows_each).shuffle(numbers)
    for number in [*numbers, numbers[0]]:
        await conversions.read_shard(ShardOrder(plan=found.shards, number=number))
    joined = (await conversions.join_shards(found.shards)).snapshot
    again = (await conversions.join_shards(found.shards)).snapshot
    assert joined is not None
    assert again is not None
    assert again.id == joined.id
    await conversions.drop_shards(found.shards)
    assert [blob async for blob in registry._blobs.each(registry._container, "shards/")] == []
    return joined


async def test_parts_of_an_operation_that_was_cut_off_are_gone_with_the_next_conversion(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = await bench.registry()
    conversions = bench.conversions(registry, 4)

    async def prefixes() -> set[str]:
        names = [blob.name async for blob in registry._blobs.each(registry._container, "shards/")]
        return {name.removeprefix("shards/").rsplit("/", 1)[0] for name in names}

    left = (await bench.convert(conversions)).shards
    going_on = (await bench.convert(conversions)).shards
    assert left is not None
    assert going_on is not None
    assert await prefixes() == {left.prefix, going_on.prefix}, "what is young may still be read"
    monkeypatch.setattr("activities.conversions._STALE", timedelta(hours=-1))
    last = (await bench.convert(conversions)).shards
    assert last is not None
    assert await prefixes() == {last.prefix}


@pytest.mark.parametrize("rows_each", [1, 4, 26])
async def test_parts_join_to_the_same_bytes(bench: Bench, rows_each: int) -> None:
    alone, shared = await bench.registry(), await bench.registry()
    whole = (await bench.convert(bench.conversions(alone, 1000))).snapshot
    assert whole is not None
    joined = await _in_parts(bench, shared, rows_each)
    assert await _stored(shared, joined) == await _stored(alone, whole)
    same = {"taken_at": joined.taken_at}
    assert joined == whole.model_copy(update=same)
    assert whole.documents == 23
    assert whole.quarantined == 5


async def test_what_the_parts_read_nobody_reads_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = await bench.registry()
    await _in_parts(bench, registry, 6)
    really_read, read = Blobs.read, []

    async def counted(self: Blobs, container: str, name: str) -> object:
        if container == bench.container:
            read.append(name)
        return await really_read(self, container, name)

    monkeypatch.setattr(Blobs, "read", counted)
    await bench.convert(bench.conversions(registry, 1000))
    assert read == []


async def test_an_attempt_reads_no_document_again_that_the_one_before_it_told_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = await bench.registry()
    conversions = bench.conversions(registry, 26)
    plan = (await bench.convert(conversions)).shards
    assert plan is not None
    monkeypatch.setattr("labelbridge.catalog.SAVED_EVERY", 5)
    monkeypatch.setattr("labelbridge.catalog.WINDOW", 1)
    read, read_one = list[str](), bench.blobs.read

    class DiedError(Exception):
        """The worker, in the middle of its documents."""

    async def read_and_die(container: str, name: str) -> Any:
        if len(read) == 13:
            raise DiedError
        read.append(name)
        return await read_one(container, name)

    monkeypatch.setattr(bench.blobs, "read", read_and_die)
    places = list[str]()
    first = ActivityEnvironment()
    first.on_heartbeat = lambda *said: places.extend(said)

    async def attempt() -> None:
        async with beating(timedelta(minutes=1)):
            await conversions.read_shard(ShardOrder(plan=plan, number=0))

    with pytest.raises(DiedError):
        await first.run(attempt)
    told = set(read[:10])
    assert len(told) == 10

    again = list[str]()

    async def read_again(container: str, name: str) -> Any:
        again.append(name)
        return await read_one(container, name)

    monkeypatch.setattr(bench.blobs, "read", read_again)
    second = ActivityEnvironment()
    second.info = dataclasses.replace(second.info, heartbeat_details=places[-1:])
    await second.run(attempt)
    assert not told & set(again)
    for number in range(1, len(plan.bounds)):
        await conversions.read_shard(ShardOrder(plan=plan, number=number))
    joined = (await conversions.join_shards(plan)).snapshot
    whole = (await bench.convert(bench.conversions(await bench.registry(), 1000))).snapshot
    assert joined is not None
    assert whole is not None
    assert joined.id == whole.id
