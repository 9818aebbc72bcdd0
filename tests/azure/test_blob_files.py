"""Files of any size go up and come down in blocks, whole or in part, and the conditions still hold."""

import io
import os
import tempfile
import uuid
from typing import BinaryIO

import pytest

from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import RECORDS_ACCOUNT

LARGE = os.urandom(1 << 16) * 160
"""Two and a half blocks."""


@pytest.fixture
def blobs(session: AzureSession) -> Blobs:
    return session.blobs(RECORDS_ACCOUNT)


@pytest.fixture
async def container(blobs: Blobs) -> str:
    name = f"c{uuid.uuid4().hex[:16]}"
    await blobs.ensure_container(name)
    return name


def _file(data: bytes) -> BinaryIO:
    made: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the test holds it
    made.write(data)
    return made


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
async def test_a_file_comes_back_as_it_was_written(blobs: Blobs, container: str, data: bytes) -> None:
    etag = await blobs.create(container, "x", _file(data), metadata={"sha256": "abc"})
    out = io.BytesIO()
    head = await blobs.download(container, "x", out)
    assert head is not None
    assert (out.getvalue(), head.etag, head.size, head.metadata) == (data, etag, len(data), {"sha256": "abc"})


async def test_a_part_of_a_blob_is_fetched_by_itself(blobs: Blobs, container: str) -> None:
    await blobs.create(container, "x", _file(LARGE))
    for start, length in ((0, 10), (5 << 20, 5 << 20), (len(LARGE) - 3, 100)):
        out = io.BytesIO()
        await blobs.download(container, "x", out, offset=start, length=length)
        assert out.getvalue() == LARGE[start : start + length]


async def test_a_large_file_replaces_only_what_it_knows(blobs: Blobs, container: str) -> None:
    first = await blobs.create(container, "x", _file(LARGE)) or ""
    assert await blobs.create(container, "x", _file(LARGE + b"!")) is None
    second = await blobs.replace(container, "x", _file(LARGE[::-1]), first)
    with pytest.raises(LabelbridgeError) as caught:
        await blobs.replace(container, "x", _file(LARGE), first)
    assert caught.value.code == "record_conflict"
    out = io.BytesIO()
    head = await blobs.download(container, "x", out)
    assert head is not None
    assert (out.getvalue(), head.etag) == (LARGE[::-1], second)


async def test_what_is_not_there_leaves_the_file_alone(blobs: Blobs, container: str) -> None:
    out = io.BytesIO()
    assert await blobs.download(container, "nothing", out) is None
    assert await blobs.download("nobodys-container", "nothing", out) is None
    assert out.getvalue() == b""
