"""What does not fit in memory goes to a temporary file: names seen, and rows to be sorted.

Prevents the failure of a conversion whose memory grows with the project: ten thousand documents and a
million take the same. Temporary files have no name and vanish with the process, however it ends.
"""

import heapq
import itertools
import operator
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

    Names that come in order are only written down; the first that does not has them put in an index.
    """

    def __init__(self, held: int = HELD) -> None:
        """`held`: how many names stay in memory."""
        self._limit = held
        self._held: dict[str, int] = {}
        self._last: str | None = None
        self._top = ""
        """The last of all names, by their order."""
        self._runs = _Runs()
        self._index: sqlite3.Connection | None = None

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
        if name > self._top:
            self._top = name
        if len(held) >= self._limit:
            self._write()
        return number

    def all_first(self, names: list[str], number: int) -> bool:
        """Give `names` their numbers, from `number` on, if it is plain that each is new; else give none.

        That is plain where they come in order, each after all that came before: so most files are.
        """
        if not names:
            return True
        if names[0] <= self._top or not all(map(operator.lt, names, itertools.islice(names, 1, None))):
            return False
        self._top = names[-1]
        self._held.update(zip(names, itertools.count(number)))
        if len(self._held) >= self._limit:
            self._write()
        return True

    def __contains__(self, name: object) -> bool:
        if name in self._held:
            return True
        if self._last is None or not isinstance(name, str) or name > self._last:
            return False
        return self._written(name) is not None

    def _written(self, name: str) -> int | None:
        if self._index is None:
            self._index = scratch()
            self._index.execute("create table seen(name text primary key, number int) without rowid")
        for batch in self._runs.take():
            self._index.executemany("insert into seen values(?, ?)", batch)
        row = self._index.execute("select number from seen where name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _write(self) -> None:
        batch = sorted(self._held.items())
        self._runs.add(batch)
        self._last = max(self._last or "", batch[-1][0])
        self._held.clear()


class _Runs:
    """Batches of names on disk, until somebody takes them."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._sizes: list[int] = []

    def add(self, batch: list[tuple[str, int]]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="labelbridge-")  # noqa: SIM115 - lives as long as this
        data = msgspec.msgpack.encode(batch)
        self._file.write(data)
        self._sizes.append(len(data))

    def take(self) -> Iterator[list[tuple[str, int]]]:
        """All batches since the last call."""
        if self._file is None or not self._sizes:
            return
        self._file.seek(0)
        for size in self._sizes:
            yield msgspec.msgpack.decode(self._file.read(size), type=list[tuple[str, int]])
        self._sizes.clear()
        self._file.seek(0)


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
