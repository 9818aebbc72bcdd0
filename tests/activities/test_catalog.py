"""The catalog: documents are read once, and again only if they changed; a broken one costs only time."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from labelbridge.azure.blobs import BlobContent, Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.catalog import Catalog
from labelbridge.labels.offsets import InvalidTextError
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.registry import Registry

TEXTS = {
    "a.txt": b"plain",
    "b.txt": "emoji \N{GRINNING FACE} and \N{PILE OF POO}\r\n".encode(),
    "c.txt": b"not \xff utf-8",
    "sub/d.txt": b"",
}


@dataclass
class Shelf:
    """A container with documents, and which of them were read."""

    blobs: Blobs
    registry: Registry
    container: str
    read: list[str] = field(default_factory=list)

    async def write(self, name: str, data: bytes) -> None:
        await self.blobs.delete(self.container, name)
        assert await self.blobs.create(self.container, name, data)

    async def measured(self, *names: str) -> tuple[list[str], dict[str, int | str | None]]:
        """Which documents were read to measure these, and the UTF-16 length that each then has."""
        before = len(self.read)
        async with Catalog.opened(self.blobs, self.container, self.registry) as catalog:
            await catalog.measure(names)
            found = {name: _length(catalog, name) for name in names}
        return sorted(self.read[before:]), found

    async def catalog_bytes(self) -> bytes:
        name = f"catalog/{RECORDS_ACCOUNT}/{self.container}.sqlite"
        content = await self.registry._blobs.read(self.registry._container, name)
        assert content is not None
        return content.data

    async def replace_catalog(self, data: bytes) -> None:
        name = f"catalog/{RECORDS_ACCOUNT}/{self.container}.sqlite"
        await self.registry._blobs.delete(self.registry._container, name)
        assert await self.registry._blobs.create(self.registry._container, name, data)


def _length(catalog: Catalog, name: str) -> int | str | None:
    try:
        text = catalog.get(name)
    except InvalidTextError:
        return "invalid"
    return None if text is None else text.utf16_length


@pytest.fixture
async def shelf(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    with stack.acting_as("worker"):
        async with AzureSession(stack.settings("worker")) as session:
            blobs, suffix = session.blobs(RECORDS_ACCOUNT), uuid.uuid4().hex[:16]
            registry = Registry(blobs, f"r{suffix}")
            await registry.ensure()
            await blobs.ensure_container(f"d{suffix}")
            made = Shelf(blobs, registry, f"d{suffix}")
            really_read = Blobs.read

            async def counted(self: Blobs, container: str, name: str) -> BlobContent | None:
                if container == made.container:
                    made.read.append(name)
                return await really_read(self, container, name)

            monkeypatch.setattr(Blobs, "read", counted)
            for name, data in TEXTS.items():
                await made.write(name, data)
            yield made


LENGTHS = {"a.txt": 5, "b.txt": 17, "c.txt": "invalid", "sub/d.txt": 0}


async def test_documents_are_read_once_and_again_only_if_they_changed(shelf: Shelf) -> None:
    assert await shelf.measured(*TEXTS) == (sorted(TEXTS), LENGTHS)
    assert await shelf.measured(*TEXTS) == ([], LENGTHS)
    await shelf.write("a.txt", b"longer")
    assert await shelf.measured(*TEXTS) == (["a.txt"], LENGTHS | {"a.txt": 6})


async def test_only_documents_that_are_asked_for_are_read(shelf: Shelf) -> None:
    assert await shelf.measured("b.txt", "gone.txt") == (["b.txt"], {"b.txt": 17, "gone.txt": None})
    assert await shelf.measured("a.txt", "b.txt") == (["a.txt"], {"a.txt": 5, "b.txt": 17})


async def test_a_document_that_was_deleted_is_forgotten(shelf: Shelf) -> None:
    await shelf.measured(*TEXTS)
    await shelf.blobs.delete(shelf.container, "a.txt")
    assert await shelf.measured("a.txt", "b.txt") == ([], {"a.txt": None, "b.txt": 17})


@pytest.mark.parametrize("what", ["cut", "foreign", "empty", "altered"])
async def test_a_catalog_that_is_not_ours_is_thrown_away(shelf: Shelf, what: str) -> None:
    await shelf.measured(*TEXTS)
    good = await shelf.catalog_bytes()
    bad = {"cut": good[:600], "foreign": b"not a database at all", "empty": b"", "altered": good[:-1] + b"?"}
    await shelf.replace_catalog(bad[what])
    assert await shelf.measured(*TEXTS) == (sorted(TEXTS), LENGTHS)
    assert await shelf.measured(*TEXTS) == ([], LENGTHS)


async def test_of_two_who_save_at_once_one_wins_and_both_have_their_measures(shelf: Shelf) -> None:
    opened = Catalog.opened(shelf.blobs, shelf.container, shelf.registry)
    async with opened as one, Catalog.opened(shelf.blobs, shelf.container, shelf.registry) as two:
        await one.measure(["a.txt"])
        await two.measure(["b.txt"])
        assert (_length(one, "a.txt"), _length(two, "b.txt")) == (5, 17)
    read, _ = await shelf.measured("a.txt", "b.txt")
    assert read == ["b.txt"]


async def test_what_a_copy_read_can_be_learned(shelf: Shelf) -> None:
    opened = Catalog.opened(shelf.blobs, shelf.container, shelf.registry)
    async with opened as whole:
        await whole.measure(["a.txt"])
        part = Catalog.opened(shelf.blobs, shelf.container, shelf.registry, copy=whole.copy())
        async with part as copy:
            assert await copy.measure_unknown(TEXTS) == 3
            news = list(copy.news())
        assert len(news) == 3
        await whole.learn(news)
        await whole.save()
    assert await shelf.measured(*TEXTS) == ([], LENGTHS)


async def test_a_reading_that_is_cut_off_is_taken_up_where_it_was_saved(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelbridge.catalog.SAVED_EVERY", 2)
    names = [f"n{number}.txt" for number in range(7)]
    for name in names:
        await shelf.write(name, name.encode())
    counted = Blobs.read

    async def failing(self: Blobs, container: str, name: str) -> BlobContent | None:
        if name == "n5.txt" and len(shelf.read) < 20:
            raise OSError("the worker dies")
        return await counted(self, container, name)

    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "read", failing)
        with pytest.raises(OSError, match="the worker dies"):
            await shelf.measured(*names)
    read, found = await shelf.measured(*names)
    assert {"n0.txt", "n1.txt", "n2.txt", "n3.txt"}.isdisjoint(read)
    assert "n5.txt" in read
    assert all(found.values())
