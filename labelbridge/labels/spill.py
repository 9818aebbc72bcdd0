"""What does not fit in memory goes to a temporary file: names seen, and rows to be sorted.

Prevents the failure of a conversion whose memory grows with the project: ten thousand documents and a
million take the same. Temporary files have no name and vanish with the process, however it ends.
"""

import heapq
import itertools
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

HELD = 8192
"""Names or rows held in memory; the next ones go to disk."""
_BLOCK = 1 << 14
"""Bytes read at once from a sorted run: a hundred runs are merged with under two megabytes."""

Keyed = tuple[str, bytes]
"""A key (a document's name) and its payload, which holds no line feed."""


def scratch() -> sqlite3.Connection:
    """A private database in a temporary file, with a small cache; gone when it is closed.

    One connection may be used from the thread that a caller moved to, but only by one at a time.
    """
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.executescript("pragma cache_size=-384; pragma journal_mode=off; pragma synchronous=off; begin;")
    return database


class Seen:
    """Remembers names and where each came first: exact, with bounded memory.

    Names that come in order cost no look-up, only the writing of full batches.
    """

    def __init__(self, held: int = HELD) -> None:
        """`held`: how many names stay in memory."""
        self._limit = held
        self._held: dict[str, int] = {}
        self._last: str | None = None
        self._database: sqlite3.Connection | None = None

    def first(self, name: str, number: int) -> int:
        """The number under which `name` was given first: `number` itself if it is new."""
        held = self._held
        found = held.get(name)
        if found is not None:
            return found
        if self._last is not None and name <= self._last:
            earlier = self._written(name)
            if earlier is not None:
                return earlier
        held[name] = number
        if len(held) >= self._limit:
            self._write()
        return number

    def __contains__(self, name: object) -> bool:
        if name in self._held:
            return True
        return self._last is not None and isinstance(name, str) and self._written(name) is not None

    def _written(self, name: str) -> int | None:
        assert self._database is not None
        row = self._database.execute("select number from seen where name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _write(self) -> None:
        if self._database is None:
            self._database = scratch()
            self._database.execute("create table seen(name text primary key, number int) without rowid")
        batch = sorted(self._held.items())
        self._database.executemany("insert into seen values(?, ?)", batch)
        self._last = max(self._last or "", batch[-1][0])
        self._held.clear()


def in_order(items: Iterable[Keyed], held: int = HELD) -> Iterator[Keyed]:
    """Sort by key, then payload; what is more than `held` items is sorted in runs on disk and merged."""
    source = iter(items)
    first = sorted(itertools.islice(source, held))
    if len(first) < held:
        yield from first
        return
    with tempfile.TemporaryFile(prefix="labelbridge-") as file:
        runs = [_write_run(file, first)]
        first.clear()
        while batch := sorted(itertools.islice(source, held)):
            runs.append(_write_run(file, batch))
        file.flush()
        yield from heapq.merge(*(_read_run(file.fileno(), *run) for run in runs))


def _write_run(file: BinaryIO, batch: list[Keyed]) -> tuple[int, int]:
    start, encode = file.tell(), msgspec.json.encode
    file.writelines(encode(key) + b"\n" + payload + b"\n" for key, payload in batch)
    return start, file.tell()


def _read_run(descriptor: int, start: int, end: int) -> Iterator[Keyed]:
    rest, decode = b"", msgspec.json.Decoder(str).decode
    key: str | None = None
    while start < end:
        block = os.pread(descriptor, min(_BLOCK, end - start), start)
        start += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if key is None:
                key = decode(line)
            else:
                yield key, line
                key = None
