"""Documents of a blob container, for a conversion that runs without any server of ours.

Prevents a conversion that waits for one blob after the other: names are known before their rows are
read, so the next documents are fetched while the present ones are used, within a bounded window.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.paths import check_name

if TYPE_CHECKING:
    from labelbridge.azure.session import AzureSession
    from labelbridge.settings import Settings

WINDOW = 64
"""Documents fetched ahead: enough to hide the latency of Blob, at most 128,000 characters each."""
_SLACK = 16
"""Documents may be asked for this much out of the expected order."""
_LATENCY = 120.0
"""Seconds after which a document that does not come is given up."""


def container_of(url: str) -> tuple[str, str]:
    """Account and container of `https://ACCOUNT.blob.core.windows.net/CONTAINER` or a like address.

    Where the host is an address or has no dot, the account is the first part of the path, as the
    emulator has it.

    Raises:
        LabelbridgeError: `input_invalid` for anything else, and for an address that carries a key.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise LabelbridgeError("input_invalid", f"{url[:200]!r} is no address: {error}.") from error
    path = [unquote(part) for part in parts.path.split("/") if part]
    host = parts.hostname or ""
    if {"?", "#"} & set(url) or parts.username or parts.scheme != "https" or not host:
        raise LabelbridgeError(
            "input_invalid",
            f"{parts.scheme}://{host}… is no container address: give https://ACCOUNT…/CONTAINER, without a "
            "signature; the identity of `az login` or of this machine is used.",
        )
    if host.replace(".", "").isdigit() or "." not in host:
        account, container = (path[0], path[1:]) if path else ("", [])
    else:
        account, container = host.split(".")[0], path
    if len(container) != 1 or not account:
        raise LabelbridgeError("input_invalid", f"{url} names no container.")
    return account, container[0]


class ContainerContents:
    """Documents of one container; a context manager that owns a thread and an Azure session."""

    def __init__(self, url: str, settings: "Settings") -> None:
        """`settings` say how Azure is reached; the address gives account and container."""
        self._account, self._container = container_of(url)
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="documents", daemon=True)
        self._session: AzureSession | None = None
        self._ahead: Iterator[str] = iter(())
        self._coming: OrderedDict[str, tuple[int, Future[bytes | None]]] = OrderedDict()
        self._number = 0

    def __enter__(self) -> Self:
        """Open the session."""
        from labelbridge.azure.session import AzureSession

        self._thread.start()

        async def make() -> AzureSession:
            return await AzureSession(self._settings).__aenter__()

        self._session = asyncio.run_coroutine_threadsafe(make(), self._loop).result(_LATENCY)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop fetching and close the session."""
        for _, coming in self._coming.values():
            coming.cancel()
        self._coming.clear()
        if self._session is not None:
            closing = self._session.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(closing, self._loop).result(_LATENCY)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def expect(self, documents: Iterable[str]) -> None:
        """Say which documents will be asked for, in about that order; another call replaces this one."""
        self._ahead = iter(documents)

    def read(self, document: str, /) -> bytes | None:
        """The document's bytes; None if there is no such blob.

        Raises:
            LabelbridgeError: what Azure answered, else.
        """
        try:
            check_name(document)
        except RejectedRowError:
            return None
        number, found = self._coming.pop(document, (0, None))
        # What was expected long before this one and not asked for must not stop the others.
        while self._coming and next(iter(self._coming.values()))[0] < number - _SLACK:
            self._coming.popitem(last=False)[1][1].cancel()
        self._fetch_ahead()
        if found is None:
            found = self._fetch(document)
        return found.result(_LATENCY)

    def _fetch_ahead(self) -> None:
        while len(self._coming) < WINDOW:
            name = next(self._ahead, None)
            if name is None:
                return
            self._number += 1
            if name not in self._coming:
                self._coming[name] = (self._number, self._fetch(name))

    def _fetch(self, document: str) -> "Future[bytes | None]":
        assert self._session is not None
        blobs = self._session.blobs(self._account)

        async def fetch() -> bytes | None:
            content = await blobs.read(self._container, document)
            return None if content is None else content.data

        return asyncio.run_coroutine_threadsafe(fetch(), self._loop)
