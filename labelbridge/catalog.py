"""The catalog of a container: what its documents say about offsets, remembered between operations.

Prevents a sync that reads a hundred thousand documents because a hundred changed: one listing says
which blobs are new or have another ETag, and only those are read. The catalog is a cache: one that is
broken, foreign or lost costs reading again, and of two who write it at once one is as good as the other.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import BinaryIO

import msgspec
import structlog

from labelbridge._measures import Measure, Measures
from labelbridge._threads import in_thread
from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.offsets import Text
from labelbridge.registry import Registry

WINDOW = 32
"""Documents read at once: enough to hide the latency of Blob, little enough for its limits."""
SAVED_EVERY = 20_000
"""Documents read between two saves: a worker that dies has its successor read no more than these again."""
_BATCH = 500
"""Measures written to the file at once."""
_PAGE = 5000
"""Blobs of a listing compared at once: what a page of Azure's listing holds."""

log = structlog.get_logger(__name__)


class Catalog:
    """Gives the `Text` of each document that was measured; see `opened`."""

    def __init__(self, blobs: Blobs, container: str, registry: Registry) -> None:
        """Use `opened`."""
        self._blobs = blobs
        self._container = container
        self._registry = registry
        self._measures = Measures()
        self._etag: str | None = None
        self._changed = False
        self._since_saved = 0
        self._mine = True
        self._on_pause: Callable[[Catalog], Awaitable[None]] | None = None

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        blobs: Blobs,
        container: str,
        registry: Registry,
        *,
        copy: BinaryIO | None = None,
        on_pause: Callable[["Catalog"], Awaitable[None]] | None = None,
    ) -> AsyncIterator["Catalog"]:
        """The container's catalog as it was last saved, or a `copy` of one, which is not saved again.

        Wherever a catalog is saved while it reads, `on_pause` is awaited: it may keep `news` elsewhere.
        """
        catalog = cls(blobs, container, registry)
        catalog._on_pause = on_pause
        try:
            if copy is None:
                await catalog._load()
            else:
                await in_thread(lambda: catalog._take(copy))
            yield catalog
        finally:
            catalog._measures.close()

    def get(self, document: str, /) -> Text | None:
        """The document's text, None if it was not measured or does not exist; raises InvalidTextError."""
        return self._measures.get(document)

    @property
    def etag(self) -> str | None:
        """ETag under which the catalog is stored as it is here; None if it is not."""
        return self._etag if self._mine and not self._changed else None

    async def measure(self, documents: Iterable[str], *, listed: str | None = None) -> int:
        """Bring the catalog up to date for these documents; returns how many had to be read.

        One listing of the container; then what is new or changed is read, and the catalog saved. A
        catalog that still has the ETag `listed` was held against a listing by this very operation, which
        then is not repeated: a document that changed since is as one that changes after a listing.
        """
        if listed is not None and listed == self.etag:
            read = await self.measure_unknown(documents)
        else:
            read = await self._measure_listed(documents)
        await self.save()
        log.info("documents_read", account=self._blobs.account, container=self._container, count=read)
        return read

    async def _measure_listed(self, documents: Iterable[str]) -> int:
        await in_thread(lambda: self._measures.want(documents))
        page: list[tuple[str, str]] = []
        async for blob in self._blobs.each(self._container):
            page.append((blob.name, blob.etag))
            if len(page) == _PAGE:
                await in_thread(partial(self._measures.list, page))
                page = []
        await in_thread(partial(self._measures.list, page))
        self._changed |= await in_thread(self._measures.forget_changed)
        return await self._read(listed=True)

    async def measure_unknown(self, documents: Iterable[str]) -> int:
        """Read those of these documents that the catalog does not know; for one just brought up to date."""
        await in_thread(lambda: self._measures.want(documents))
        return await self._read(listed=False)

    async def refresh(self) -> None:
        """Forget what changed, by one listing, without reading anything; for `measure_unknown` elsewhere."""
        await self.measure(())

    async def save(self) -> None:
        """Write the catalog back unless somebody else did meanwhile: theirs is as good."""
        self._since_saved = 0
        if not self._changed or not self._mine:
            return
        account = self._blobs.account
        try:
            etag = await self._registry.save_catalog(
                account, self._container, self._measures.file, self._etag
            )
        except LabelbridgeError as error:
            log.warning("catalog_not_saved", account=account, container=self._container, error=error.code)
            return
        self._mine, self._etag = etag is not None, etag
        self._changed = False

    def copy(self) -> BinaryIO:
        """The catalog's file, to be kept elsewhere; it must not be closed nor written."""
        return self._measures.file

    def news(self) -> Iterator[bytes]:
        """What the last call read, one JSON line each, for `learn` of another copy."""
        encode = msgspec.json.Encoder().encode
        return (encode(measure) + b"\n" for measure in self._measures.read_since())

    async def learn(self, news: Iterable[bytes]) -> None:
        """Take over what a copy has read."""
        decode = msgspec.json.Decoder(Measure).decode
        await in_thread(lambda: self._measures.add(decode(line) for line in news))
        self._changed = True

    async def _load(self) -> None:
        file, account = self._measures.file, self._blobs.account
        head = await self._registry.load_catalog(account, self._container, file)
        if head is not None:
            self._etag = head.etag
            file.seek(0)
            digest = await in_thread(lambda: hashlib.file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]
            if head.metadata.get("sha256") != digest:
                file.seek(0)
                file.truncate()
        ours = await in_thread(self._measures.open)
        if not ours:
            log.warning("catalog_discarded", account=account, container=self._container)

    def _take(self, copy: BinaryIO) -> None:
        copy.seek(0)
        while block := copy.read(1 << 20):
            self._measures.file.write(block)
        self._measures.open()
        self._mine = False

    async def _read(self, *, listed: bool) -> int:
        """Read what is needed and not known, `WINDOW` documents at a time."""
        count = await in_thread(lambda: self._measures.unread(listed=listed))
        names = self._measures.names_unread()
        while count and await self._read_some(names):
            await self.save()
            if self._on_pause is not None:
                await self._on_pause(self)
        return count

    async def _read_some(self, names: Iterator[str]) -> bool:
        """Read until it is time to save; False once there is nothing more."""
        readers = [asyncio.create_task(self._reader(names)) for _ in range(WINDOW)]
        try:
            return any(await asyncio.gather(*readers))
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _reader(self, names: Iterator[str]) -> bool:
        batch: list[Measure] = []
        try:
            while self._since_saved < SAVED_EVERY:
                name = next(names, None)
                if name is None:
                    return False
                self._since_saved += 1
                content = await self._blobs.read(self._container, name)
                if content is not None:
                    sha256 = hashlib.sha256(content.data).digest()
                    batch.append(Measure.of(name, content.etag, content.data, sha256))
                if len(batch) == _BATCH:
                    self._add(batch)
            return True
        finally:
            self._add(batch)

    def _add(self, batch: list[Measure]) -> None:
        if batch:
            self._measures.add(batch)
            self._changed = True
            batch.clear()
