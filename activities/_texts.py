"""Documents of a container, measured when a label's offsets need them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from labelbridge.azure.blobs import Blobs
from labelbridge.catalog import Catalog
from labelbridge.registry import Registry


@asynccontextmanager
async def measured(
    blobs: Blobs, container: str, registry: Registry, documents: Iterable[str], *, listed: str | None = None
) -> AsyncIterator[Catalog]:
    """The container's catalog, up to date for these documents; those that do not exist are not in it.

    `listed`: see `Catalog.measure`.
    """
    async with Catalog.opened(blobs, container, registry) as catalog:
        await catalog.measure(documents, listed=listed)
        yield catalog
