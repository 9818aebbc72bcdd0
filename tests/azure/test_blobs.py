"""Blobs: conditional writes hold, whatever the names."""

import asyncio
import uuid

import pytest

from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import RECORDS_ACCOUNT


@pytest.fixture
def blobs(session: AzureSession) -> Blobs:
    return session.blobs(RECORDS_ACCOUNT)


@pytest.fixture
async def container(blobs: Blobs) -> str:
    name = f"c{uuid.uuid4().hex[:16]}"
    await blobs.ensure_container(name)
    await blobs.ensure_container(name)
    return name


async def test_of_many_creators_one_wins(blobs: Blobs, container: str) -> None:
    tags = await asyncio.gather(*(blobs.create(container, "claim", b"%d" % n) for n in range(8)))
    winner = next(n for n, etag in enumerate(tags) if etag is not None)
    assert sum(etag is not None for etag in tags) == 1
    read = await blobs.read(container, "claim")
    assert read is not None
    assert (read.data, read.etag) == (b"%d" % winner, tags[winner])


async def test_a_stale_etag_changes_nothing(blobs: Blobs, container: str) -> None:
    first = await blobs.create(container, "record.json", b"1")
    assert first is not None
    second = await blobs.replace(container, "record.json", b"2", first)
    with pytest.raises(LabelbridgeError) as caught:
        await blobs.replace(container, "record.json", b"3", first)
    assert caught.value.code == "record_conflict"
    read = await blobs.read(container, "record.json")
    assert read is not None
    assert (read.data, read.etag) == (b"2", second)


async def test_of_many_replacers_one_wins(blobs: Blobs, container: str) -> None:
    etag = await blobs.create(container, "record.json", b"0") or ""
    outcomes = await asyncio.gather(
        *(blobs.replace(container, "record.json", b"%d" % n, etag) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert all(o.code == "record_conflict" for o in outcomes if isinstance(o, LabelbridgeError))


async def test_replacing_what_is_gone_is_a_conflict(blobs: Blobs, container: str) -> None:
    etag = await blobs.create(container, "gone", b"") or ""
    await blobs.delete(container, "gone")
    await blobs.delete(container, "gone")
    with pytest.raises(LabelbridgeError) as caught:
        await blobs.replace(container, "gone", b"1", etag)
    assert caught.value.code == "record_conflict"


async def test_what_is_not_there_is_none_or_empty_where_that_is_said(blobs: Blobs, container: str) -> None:
    assert await blobs.read(container, "nothing") is None
    assert await blobs.list(container) == ()
    assert not await blobs.exists(container, "nothing")
    assert await blobs.exists(container)
    assert not await blobs.exists("nobodys-container")
    with pytest.raises(LabelbridgeError) as caught:
        await blobs.list("nobodys-container")
    assert caught.value.data["status"] == "404"
    with pytest.raises(LabelbridgeError) as caught:
        await blobs.create("nobodys-container", "x", b"")
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    "name", ["Test 1.txt", "a/b/ä 100%.txt", "日本語/😀.txt", "a+b&c=d?e#f.txt", "x'y\"z.txt"]
)
async def test_names_survive(blobs: Blobs, container: str, name: str) -> None:
    etag = await blobs.create(container, name, b"text", metadata={"by": "labelbridge"})
    listed = await blobs.list(container)
    assert [(b.name, b.size, b.etag) for b in listed] == [(name, 4, etag)]
    read = await blobs.read(container, name)
    assert read is not None
    assert read.data == b"text"


async def test_a_listing_is_by_prefix(blobs: Blobs, container: str) -> None:
    for name in ("audit/a/1.json", "audit/ab/2.json", "records/a.json"):
        await blobs.create(container, name, b"{}")
    assert [b.name for b in await blobs.list(container, "audit/a/")] == ["audit/a/1.json"]


async def test_a_probe_leaves_nothing_behind(blobs: Blobs, container: str) -> None:
    await blobs.probe(container)
    assert await blobs.list(container) == ()


def test_an_address_is_encoded_and_carries_no_signature(blobs: Blobs) -> None:
    url = blobs.url("tickets", "Test 1.txt")
    assert url.endswith(f"/{RECORDS_ACCOUNT}/tickets/Test%201.txt")
    assert "?" not in url
