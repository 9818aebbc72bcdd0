"""Finds secrets in texts: those that we know, letter by letter, and whatever looks like one.

Prevents a scan that only knows its own list: a token that nobody noted is found by its shape; and one that only
knows shapes: the webhook's key or the identity's header look like any other word.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

SHAPES: Mapping[str, re.Pattern[str]] = {
    "token": re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "header": re.compile(r"(?i)\b(?:bearer|sharedkey)\s+[A-Za-z0-9._~+/:=-]{16,}"),
    "signature": re.compile(r"(?i)(?:[?&;]|\\u0026|%26|%3f|\b)sig(?:=|%3d)[A-Za-z0-9%+/_-]{8,}"),
    "account key": re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "webhook secret": re.compile(r"whsec_[A-Za-z0-9+/]{20,}={0,2}"),
}


@dataclass(frozen=True)
class Place:
    """Something that a run left: where it is, and what stands in it."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Leak:
    """A secret, and where it was found. It does not repeat the secret."""

    kind: str
    place: str


class Scanner:
    """Searches places for known secrets and for shapes."""

    def __init__(self, known: Mapping[str, Iterable[str]]) -> None:
        """`known`: kind of secret to its values."""
        self._known = {kind: [_forms(value) for value in values] for kind, values in known.items()}
        if short := [kind for kind, values in known.items() for value in values if len(value) < 12]:
            raise ValueError(f"too short to be told from other words: {short}")

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind of secret that would be found."""
        return frozenset(self._known) | frozenset(SHAPES)

    def search(self, places: Iterable[Place]) -> frozenset[Leak]:
        """What was found."""
        return frozenset(Leak(kind, place.name) for place in places for kind in self._in(place.content))

    def _in(self, content: bytes) -> Iterator[str]:
        for kind, values in self._known.items():
            if any(form in content for forms in values for form in forms):
                yield kind
        text = content.decode("latin-1")
        yield from (kind for kind, shape in SHAPES.items() if shape.search(text))


def _forms(secret: str) -> tuple[bytes, ...]:
    """A secret as it stands, percent-encoded, as JSON writes it, and in base64 (which headers are in)."""
    plain = secret.encode()
    return tuple(
        {plain, quote(secret, safe="").encode(), plain.replace(b"/", rb"\/"), base64.b64encode(plain)}
    )
