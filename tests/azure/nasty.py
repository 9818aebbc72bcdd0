"""Names that try to become something else, and where a request with them would really go."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from azure.core.exceptions import ServiceRequestError
from hypothesis import strategies as st
from yarl import URL

from labelbridge.errors import LabelbridgeError

_PIECES = (
    "..", ".", "...", "/", "//", "\\", "%2e%2e", "%2E%2e%2f", "%252e%252e/", "..%2f", "%2f", "%5c", "%00", "\0",
    "?", "#", "@", ":", ";", "&", "=", "?sig=x", "#f", "evil.example", "//evil.example/", "\\\\evil.example\\",
    "https://evil.example/", "a@evil.example", "\r\nHost: evil.example\r\n", "\t", " ", "\n", "$root", "~",
    "\u2024\u2024", "\uff0e\uff0e", "\uff0f", "\u2215", "\u202e", "\ufeff", "\u0131", "\u212a", "e\u0301",
    "con", "a", "letters", "tickets-1", "a.txt", "A", "0", "-", "_", "{account}", "subscriptions", "providers",
)  # fmt: skip
NASTY = st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), min_size=1, max_size=7).map("".join)
"""Anything that a person, a labels file or a service might give for a name."""


@dataclass
class Recorder:
    """Stands for the transport: keeps where each request would go, as aiohttp would read the address."""

    urls: list[URL] = field(default_factory=list)

    async def send(self, request: Any, **_: Any) -> Any:
        self.urls.append(URL(request.url, encoded=True))
        raise ServiceRequestError("not sent")

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def sleep(self, duration: float) -> None: ...
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Credential:
    """Gives a token to whoever asks."""

    async def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken("token", 4_000_000_000)

    async def close(self) -> None: ...
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def reached(url: URL) -> str:
    """The path that an obliging server or proxy would take the address for: decoded, then folded."""
    return posixpath.normpath(unquote(url.raw_path).replace("\\", "/"))


T = TypeVar("T")


def taken(call: Callable[[], T], *codes: str) -> T | None:
    """What `call` gives, or None if it refuses with an error of one of these codes; any other fails the test."""
    try:
        return call()
    except LabelbridgeError as error:
        if error.code not in codes:
            raise
        return None
