"""What the Language part knows of documents from earlier imports, by ETag.

Prevents an import that takes as long as the project is large when a hundredth of it changed: a blob
that still has the ETag under which it was read has the same text. Nothing is checked less: every span
of every document is held against the same length and the same surrogate pairs as when it was read.
"""

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labelbridge.local.language_text import Utf16Text

SCHEMA = """
CREATE TABLE IF NOT EXISTS language_measures (
    account TEXT NOT NULL,
    container TEXT NOT NULL,
    name TEXT NOT NULL,
    etag TEXT NOT NULL,
    length INTEGER,
    low_halves BLOB,
    PRIMARY KEY (account, container, name)
) WITHOUT ROWID;
"""
"""`length` is in UTF-16 units, NULL for a document that is not UTF-8; `low_halves` are offsets as 4 bytes."""


@dataclass(frozen=True)
class Measure:
    """A text's length in UTF-16 units, and where a cut would part the halves of one character."""

    length: int
    low_halves: Sequence[int] = ()

    @classmethod
    def of(cls, data: bytes) -> "Measure | None":
        """Measure a document's bytes; None if they are not UTF-8."""
        try:
            text = Utf16Text.decode(data)
        except UnicodeDecodeError:
            return None
        return cls(text.length, array("I", text.low_halves))

    def splits_pair(self, offset: int) -> bool:
        """True if a cut at `offset` (UTF-16) would part the two halves of one character."""
        place = bisect_left(self.low_halves, offset)
        return place < len(self.low_halves) and self.low_halves[place] == offset


def known(
    db: sqlite3.Connection, account: str, container: str, etags: Mapping[str, str]
) -> dict[str, Measure | None]:
    """Measures of the blobs that were read under the ETag that they still have."""
    rows = db.execute(
        "SELECT name, etag, length, low_halves FROM language_measures WHERE account = ? AND container = ?",
        (account, container),
    )
    return {
        name: None if length is None else Measure(length, array("I", halves) if halves else ())
        for name, etag, length, halves in rows
        if etags.get(name) == etag
    }


def keep(
    db: sqlite3.Connection,
    account: str,
    container: str,
    measured: Iterable[tuple[str, str, Measure | None]],
) -> None:
    """Remember name, ETag and measure of blobs that were read."""
    db.executemany(
        "INSERT OR REPLACE INTO language_measures VALUES (?, ?, ?, ?, ?, ?)",
        (
            (account, container, name, etag, None, None)
            if measure is None
            else (account, container, name, etag, measure.length, array("I", measure.low_halves).tobytes())
            for name, etag, measure in measured
        ),
    )
