"""Reading Azure ML's rows into a snapshot, in one step or in parts that all workers share.

Every step here may run twice because it writes only content that is named by its hash, or parts of a
conversion that the first attempt to finish has written.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import timedelta
from typing import BinaryIO
from uuid import uuid4

from temporalio import activity

from activities._files import scratch, view
from activities._progress import last_reached, reached
from activities._snapshots import SnapshotStore
from activities._texts import measured
from labelbridge._threads import in_thread
from labelbridge.azure.session import AzureSession
from labelbridge.catalog import Catalog
from labelbridge.labels import cuts, lines, shards
from labelbridge.labels._azureml_blocks import BlockReader
from labelbridge.labels.azureml_jsonl import documents_named
from labelbridge.labels.offsets import Texts
from labelbridge.model.steps import Exported, ShardOrder, ShardPlan
from labelbridge.registry import Registry
from labelbridge.settings import Settings

_STALE = timedelta(days=2)
"""Parts that nobody has written to for so long belong to an operation that was cut off: a project has one
operation at a time, and each of its steps ends long before (`timing.step_patience`)."""
_INPUT, _CATALOG = "rows.jsonl", "catalog.sqlite"


class Conversions:
    """Steps that read Azure ML's rows."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._snapshots = SnapshotStore(registry)
        self._settings = settings

    async def convert(self, file: BinaryIO, plan: ShardPlan, *, whole: bool = False) -> Exported:
        """Read rows into a snapshot, or plan how; `plan` has no prefix and no bounds yet."""
        rows_each = self._settings.labels.shard_documents
        bounds = await in_thread(lambda: cuts.by_lines(file, rows_each))
        if len(bounds) > 1 and not whole:
            return Exported(shards=await self._stage(file, plan, bounds))
        blobs = self._session.blobs(plan.account)
        named = documents_named(lines.read(file), datastore=plan.datastore)
        async with measured(blobs, plan.container, self._registry, named) as texts:
            rows = self._reader(plan, texts).read_file(file, plan.source)
            kept = await self._snapshots.keep(rows, plan.keep)
            return Exported(snapshot=kept, catalog=texts.etag)

    def _reader(self, plan: ShardPlan, texts: Texts, *, repeats: bool = False) -> BlockReader:
        return BlockReader(
            kind=plan.keep.kind,
            unit=self._settings.labels.offset_unit,
            texts=texts,
            categories=plan.keep.categories,
            datastore=plan.datastore,
            repeats=repeats,
        )

    async def _stage(self, file: BinaryIO, plan: ShardPlan, bounds: tuple[tuple[int, int], ...]) -> ShardPlan:
        """Put the input and the catalog where all parts find them; what changed is forgotten once, here."""
        folder = hashlib.sha256(plan.keep.project.key.encode()).hexdigest()[:16]
        await self._registry.drop_stale_shards(folder, _STALE)
        made = plan.model_copy(update={"prefix": f"{folder}/{uuid4().hex}", "bounds": bounds})
        blobs = self._session.blobs(plan.account)
        async with Catalog.opened(blobs, plan.container, self._registry) as catalog:
            await catalog.refresh()
            await self._registry.put_shard(f"{made.prefix}/{_CATALOG}", catalog.copy())
        await self._registry.put_shard(f"{made.prefix}/{_INPUT}", file)
        return made

    @activity.defn(name="read_shard")
    async def read_shard(self, order: ShardOrder) -> None:
        """Read one part, with the documents that it needs. May run twice: the first to finish counts.

        An attempt that follows one that died reads no document again that its heartbeats told of.
        """
        plan, result = order.plan, _result(order.plan, order.number)
        if await self._registry.has_shard(result):
            return
        start, end = plan.bounds[order.number]
        shard = shards.Shard(order.number, start, end)
        async with AsyncExitStack() as stack:
            before = max(start - 1, 0)  # a part knows by the line end before it that it starts a line
            opened = await self._registry.open_shard(f"{plan.prefix}/{_INPUT}", start=before, end=end)
            file = stack.enter_context(opened)
            reading = stack.enter_context(_Reading(self._registry, _news(plan, order.number)))
            texts = await stack.enter_async_context(self._shared_catalog(plan, reading))
            await reading.resume(texts)
            found = (line for _, line in shards.shard_lines(file, shard))
            await texts.measure_unknown(documents_named(found, datastore=plan.datastore))
            out = stack.enter_context(scratch())
            reader = self._reader(plan, texts, repeats=True)
            await in_thread(lambda: out.writelines(shards.read_shard(file, shard, reader, plan.source)))
            await reading.finish(texts)
            await self._registry.put_shard(result, out)

    @asynccontextmanager
    async def _shared_catalog(self, plan: ShardPlan, reading: "_Reading") -> AsyncIterator[Catalog]:
        """The catalog as it was when the conversion was cut into parts."""
        blobs = self._session.blobs(plan.account)
        with await self._registry.open_shard(f"{plan.prefix}/{_CATALOG}") as known:
            async with Catalog.opened(
                blobs, plan.container, self._registry, copy=known, on_pause=reading.keep
            ) as texts:
                yield texts

    @activity.defn(name="join_shards")
    async def join_shards(self, plan: ShardPlan) -> Exported:
        """Join the parts into the snapshot that one step would have made. May run twice: by content."""
        with ExitStack() as stack:
            file = stack.enter_context(await self._registry.open_shard(f"{plan.prefix}/{_INPUT}"))
            parts = []
            for number in range(len(plan.bounds)):
                opened = await self._registry.open_shard(_result(plan, number))
                parts.append(stack.enter_context(opened))
            bytes_of = view(file)

            def raw(offset: int, length: int) -> bytes:
                bytes_of.seek(offset)
                return bytes_of.read(length)

            rows = shards.join((_lines(part) for part in parts), raw=raw, source=plan.source)
            kept = await self._snapshots.keep(rows, plan.keep)
        blobs = self._session.blobs(plan.account)
        async with Catalog.opened(blobs, plan.container, self._registry) as catalog:
            for number in range(len(plan.bounds)):
                with await self._registry.open_shard(_news(plan, number)) as news:
                    await catalog.learn(_lines(news))
            await catalog.save()
            return Exported(snapshot=kept, catalog=catalog.etag)

    @activity.defn(name="drop_shards")
    async def drop_shards(self, plan: ShardPlan) -> None:
        """Delete the parts of a conversion that was joined. May run twice: gone is gone."""
        await self._registry.drop_shards(plan.prefix)


class _Reading(ExitStack):
    """What one part has read of documents so far, kept where the next attempt finds it."""

    def __init__(self, registry: Registry, name: str) -> None:
        super().__init__()
        self._registry = registry
        self._name = name
        self._earlier = self.enter_context(scratch())

    async def resume(self, texts: Catalog) -> None:
        """Take over what the attempt before this one had read, if it said where that is."""
        if (place := last_reached()) is None:
            return
        with await self._registry.open_shard(place) as kept:
            await in_thread(lambda: self._earlier.writelines(_lines(kept)))
        await texts.learn(_lines(self._earlier))

    async def keep(self, texts: Catalog) -> None:
        """Keep all that was read by now, and say so with the heartbeat."""
        place = f"{self._name}-{uuid4().hex}"
        await self._put(texts, place)
        reached(place)

    async def finish(self, texts: Catalog) -> None:
        """Keep what was read where the join looks for it."""
        await self._put(texts, self._name)

    async def _put(self, texts: Catalog, name: str) -> None:
        with scratch() as file:
            await in_thread(lambda: file.writelines(_lines(self._earlier)))
            await in_thread(lambda: file.writelines(texts.news()))
            await self._registry.put_shard(name, file)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    return iter(file)


def _result(plan: ShardPlan, number: int) -> str:
    return f"{plan.prefix}/{number}.rows"


def _news(plan: ShardPlan, number: int) -> str:
    return f"{plan.prefix}/{number}.read"
