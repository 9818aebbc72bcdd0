"""Measures of documents in an SQLite file: what a catalog remembers of a container.

Prevents the memory of a sync from growing with its container: measures are looked up by key, and lists
of names are compared inside the database. The file may come from anywhere, so one that is not ours is
not used.
"""

import contextlib
import os
import sqlite3
import sys
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import msgspec

from labelbridge.labels.offsets import InvalidTextError, Text

APPLICATION = 0x4C424341
"""`application_id` of our files (SQLite's own field for telling files apart)."""
VERSION = 1
_TABLE = (
    "create table if not exists documents(name text primary key, etag text not null, utf16 int,"
    " codepoints int, astral blob, sha256 blob not null, invalid text) without rowid"
)
_SCRATCH = (
    "create temp table wanted(name text primary key) without rowid;"
    "create temp table listed(name text primary key, etag text not null) without rowid;"
    "create temp table unread(number integer primary key, name text not null);"
)
_COLUMNS = "name, etag, utf16, codepoints, astral, sha256, invalid"


class Measure(msgspec.Struct, frozen=True, gc=False):
    """One document as it was read: what its text says about offsets, or why it is no text."""

    name: str
    etag: str
    utf16: int | None
    codepoints: int | None
    astral: bytes | None
    """Code-point indexes beyond the BMP, four bytes each, little-endian; None if there are none."""
    sha256: bytes
    invalid: str | None = None

    @classmethod
    def of(cls, name: str, etag: str, data: bytes, sha256: bytes) -> "Measure":
        """Measure a document's bytes, which are not kept."""
        try:
            text = Text.decode(data)
        except InvalidTextError as error:
            return cls(name, etag, None, None, None, sha256, str(error))
        astral = _little(array("I", text.astral)).tobytes() if text.has_astral else None
        return cls(name, etag, text.utf16_length, text.codepoint_length, astral, sha256)


class Measures:
    """The file: a temporary one that nobody else can open, gone when it is closed."""

    def __init__(self) -> None:
        """An empty file; `fill` gives it content."""
        handle, self._path = tempfile.mkstemp(prefix="labelbridge-", suffix=".sqlite")
        # Without a buffer: SQLite writes beside it, and a buffer would show what was there before.
        self.file = cast(BinaryIO, os.fdopen(handle, "w+b", buffering=0))
        self._database: sqlite3.Connection | None = None

    def open(self) -> bool:
        """Use the content of `file`; what is not ours is thrown away, and then this is False."""
        try:
            self._connect()
            ours = True
        except sqlite3.Error:
            self._disconnect()
            self.file.seek(0)
            self.file.truncate()
            self._connect()
            ours = False
        os.unlink(self._path)  # noqa: PTH108 - both who have it open keep it; a killed process leaves nothing
        return ours

    def _connect(self) -> None:
        size = os.fstat(self.file.fileno()).st_size
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database = database
        database.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma trusted_schema=off;"
            "pragma cache_size=-4096; pragma temp_store=file;"
        )
        if size:
            found = [
                database.execute(f"pragma {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            ]
            if found != [APPLICATION, VERSION]:
                raise sqlite3.DatabaseError("not a catalog")
            database.execute(f"select {_COLUMNS} from documents limit 1").fetchone()  # noqa: S608
        else:
            database.executescript(
                f"pragma application_id={APPLICATION}; pragma user_version={VERSION}; {_TABLE};"
            )
        database.executescript(_SCRATCH)

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def close(self) -> None:
        """Close and remove the file."""
        self._disconnect()
        self.file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108

    @property
    def database(self) -> sqlite3.Connection:
        """The connection; ValueError before `open`."""
        if self._database is None:
            raise ValueError("the catalog is not open")
        return self._database

    def want(self, names: Iterable[str]) -> None:
        """Say which documents are needed."""
        with self._transaction() as database:
            database.execute("delete from wanted")
            database.executemany("insert or ignore into wanted values(?)", ((name,) for name in names))

    def list(self, found: Iterable[tuple[str, str]]) -> None:
        """Say that these blobs are there: names and ETags."""
        with self._transaction() as database:
            database.executemany("insert or replace into listed values(?, ?)", found)

    def forget_changed(self) -> bool:
        """Forget documents that are not listed with the ETag they were read under; True if there were any."""
        with self._transaction() as database:
            gone = database.execute(
                "delete from documents where not exists"
                " (select 1 from listed l where l.name = documents.name and l.etag = documents.etag)"
            )
            return gone.rowcount > 0

    def unread(self, *, listed: bool) -> int:
        """Find the documents that are needed and not known, of those `listed` only; returns how many."""
        only = " and exists (select 1 from listed l where l.name = w.name)" if listed else ""
        with self._transaction() as database:
            database.execute("delete from unread")
            database.execute(
                "insert into unread(name) select name from wanted w"  # noqa: S608 - both parts are ours
                f" where not exists (select 1 from documents d where d.name = w.name){only}"
            )
            return int(database.execute("select count(*) from unread").fetchone()[0])

    def names_unread(self) -> Iterator[str]:
        """The documents that `unread` found, by name."""
        last = 0
        while block := self.database.execute(
            "select number, name from unread where number > ? order by number limit 1000", (last,)
        ).fetchall():
            last = block[-1][0]
            yield from (name for _, name in block)

    def add(self, measures: Iterable[Measure]) -> None:
        """Remember measures."""
        with self._transaction() as database:
            database.executemany(
                f"insert or replace into documents({_COLUMNS}) values(?, ?, ?, ?, ?, ?, ?)",
                ((m.name, m.etag, m.utf16, m.codepoints, m.astral, m.sha256, m.invalid) for m in measures),
            )

    def get(self, document: str, /) -> Text | None:
        """The document's text, None if there is no such document; raises InvalidTextError."""
        found = self.database.execute(
            "select codepoints, astral, invalid from documents where name = ?", (document,)
        ).fetchone()
        if found is None:
            return None
        codepoints, astral, invalid = found
        if codepoints is None:
            raise InvalidTextError(invalid)
        return Text(codepoints, _little(array("I", astral)) if astral else ())

    def read_since(self) -> Iterator[Measure]:
        """The measures of the documents that `unread` found and that were read since."""
        cursor = self.database.execute(
            f"select {', '.join('d.' + c for c in _COLUMNS.split(', '))}"  # noqa: S608
            " from unread u join documents d on d.name = u.name order by d.name"
        )
        for row in cursor:
            yield Measure(*row)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self.database
        database.execute("begin")
        try:
            yield database
        finally:
            database.execute("commit")


def _little(points: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        points.byteswap()
    return points
