"""Documents of a container, measured when a label's offsets need them."""

import asyncio
from collections.abc import Collection

from labelbridge.azure.blobs import Blobs
from labelbridge.labels.offsets import Documents

_PARALLEL = 16
"""Reads under way at once: enough to hide the latency of Blob, little enough for its limits."""


async def read_texts(blobs: Blobs, container: str, documents: Collection[str]) -> Documents:
    """Measure documents by name; those that do not exist are left out, texts are not kept."""
    window = asyncio.Semaphore(_PARALLEL)
    measured = Documents()

    async def one(name: str) -> None:
        async with window:
            content = await blobs.read(container, name)
            if content is not None:
                measured.add(name, content.data)

    await asyncio.gather(*(one(name) for name in sorted(set(documents))))
    return measured
