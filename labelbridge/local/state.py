"""State of the local Azure in SQLite.

Prevents the failure of a fake that forgets: what a response acknowledged was committed to the
database file before the response was sent, so a `kill -9` of the server loses nothing that it
acknowledged. WAL with synchronous=NORMAL survives the death of the process (not of the machine,
which a rehearsal need not).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class State:
    """One SQLite file, shared by every part of the local Azure; each part brings its own tables."""

    def __init__(self, path: Path | str, *schemas: str) -> None:
        """Open (or create) the file and run each schema, which must be `CREATE ... IF NOT EXISTS`."""
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA foreign_keys=ON")
        for schema in schemas:
            self._db.executescript(schema)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed when the block ends and rolled back when it raises."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent look at the tables."""
        with self._lock:
            yield self._db

    def close(self) -> None:
        """Close the file; unfinished transactions are rolled back."""
        with self._lock:
            self._db.close()
