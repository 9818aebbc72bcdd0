"""A file looked at twice at once: each view has a place of its own.

Prevents rows that are silently passed over because somebody else moved the file's place meanwhile, as
when documents are fetched ahead by a second look at the rows.
"""

import io
import os
from typing import Any, BinaryIO, cast


def view(file: BinaryIO) -> BinaryIO:
    """`file` again, from its start; `file` must be seekable and stay open, and nobody may write it."""
    file.flush()
    return cast(BinaryIO, io.BufferedReader(_View(file)))


class _View(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._at = 0
        try:
            self._descriptor: int | None = file.fileno()
        except (AttributeError, OSError):
            self._descriptor = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._size() if base is None else base)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._descriptor is not None:
            found = os.preadv(self._descriptor, [buffer], self._at)
        else:
            found = self._read_aside(buffer)
        self._at += found
        return found

    def _read_aside(self, buffer: Any) -> int:
        """For a file in memory: read elsewhere and go back."""
        before = self._file.tell()
        self._file.seek(self._at)
        data = self._file.read(len(buffer))
        self._file.seek(before)
        buffer[: len(data)] = data
        return len(data)

    def _size(self) -> int:
        if self._descriptor is not None:
            return os.fstat(self._descriptor).st_size
        before = self._file.tell()
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(before)
        return size
