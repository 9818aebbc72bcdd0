"""Finds the documents of a Language project file without holding the file.

Prevents two failures: a project of a million documents that must fit in memory to be read, and one
broken document that makes the whole file unreadable. Only strings and brackets are followed here;
what stands between them is parsed where it is used, one document at a time.

The documents are cut into blocks of whole elements. A block's end is guessed from how the first two
elements are parted, and proven: what parses as a JSON array when brackets are put around it ends
where an element ends. Where the guess fails, each element is found by itself.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

BLOCK = 1 << 17
"""Bytes of documents that are read at once."""
MAX_HEAD = 64 << 20
"""Bytes of everything but the documents; more is no project file."""

_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_AFTER_SCALAR = re.compile(rb"[,\]}\s]")
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_NAME = re.compile(rb'\s*"[^"\\]*"')
_elements = msgspec.json.Decoder(list[msgspec.Raw])


class Cursor:
    """A position in a file, with the bytes after it at hand; what was passed is let go."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin at the start of `file`, after a BOM if there is one."""
        file.seek(0)
        self._file = file
        self._base = 0
        self.buffer = b""
        self.at = 0
        self.more()
        if self.buffer.startswith(b"\xef\xbb\xbf"):
            self.at = 3

    @property
    def offset(self) -> int:
        """Where the cursor is, in bytes from the start of the file."""
        return self._base + self.at

    def more(self) -> bool:
        """Read on; False at the end of the file."""
        data = self._file.read(BLOCK)
        self._base += self.at
        self.buffer = self.buffer[self.at :] + data
        self.at = 0
        return bool(data)

    def peek(self) -> bytes:
        """The next byte that is no white space, and stand on it; ValueError at the end of the file."""
        while True:
            found = _NOT_BLANK.search(self.buffer, self.at)
            if found:
                self.at = found.start()
                return found.group()
            self.at = len(self.buffer)
            if not self.more():
                raise ValueError("it ends too early")

    def take(self, expected: bytes) -> None:
        """Pass the byte `expected`; ValueError if another stands there."""
        if self.peek() != expected:
            raise ValueError(f"{expected.decode()!r} is missing at byte {self.offset}")
        self.at += 1

    def skip(self) -> tuple[int, int]:
        """Pass one value; gives its range in the file."""
        first, start = self.peek(), self.offset
        if first == b'"':
            self.at += 1
            self._string()
        elif first in b"{[":
            self._brackets()
        else:
            self._scalar()
        return start, self.offset

    def value(self) -> bytes:
        """Pass one value and give its bytes; ValueError if it is larger than `MAX_HEAD`."""
        start, end = self.skip()
        if end - start > MAX_HEAD:
            raise ValueError(f"a field of {end - start} bytes")
        return self.read(start, end)

    def read(self, start: int, end: int) -> bytes:
        """The bytes of a range of the file; the position stays."""
        if start >= self._base and end <= self._base + len(self.buffer):
            return self.buffer[start - self._base : end - self._base]
        keep = self._file.tell()
        self._file.seek(start)
        data = self._file.read(end - start)
        self._file.seek(keep)
        return data

    def end(self) -> None:
        """ValueError unless nothing but white space follows."""
        try:
            self.peek()
        except ValueError:
            return
        raise ValueError(f"it goes on after its end, at byte {self.offset}")

    def fill(self, size: int) -> None:
        """Have `size` bytes at hand, if the file has that many."""
        while len(self.buffer) - self.at < size and self.more():
            pass

    def _string(self) -> None:
        while True:
            found = _IN_STRING.search(self.buffer, self.at)
            if found is None:
                self.at = len(self.buffer)
            elif found.group() == b'"':
                self.at = found.end()
                return
            elif found.end() < len(self.buffer):
                self.at = found.end() + 1
                continue
            else:
                self.at = found.start()
            if not self.more():
                raise ValueError("it ends inside a string")

    def _brackets(self) -> None:
        depth = 0
        while True:
            found = _STRUCTURE.search(self.buffer, self.at)
            if found is None:
                self.at = len(self.buffer)
                if not self.more():
                    raise ValueError("it ends too early")
                continue
            self.at = found.end()
            byte = found.group()
            if byte == b'"':
                self._string()
            elif byte in b"{[":
                depth += 1
            else:
                depth -= 1
                if not depth:
                    return

    def _scalar(self) -> None:
        while True:
            found = _AFTER_SCALAR.search(self.buffer, self.at)
            if found:
                self.at = found.start()
                return
            self.at = len(self.buffer)
            if not self.more():
                return


class Elements:
    """Where the elements of an array are: ranges of the file, each one element or a block of many."""

    def __init__(self) -> None:
        """Empty."""
        self._starts = array("Q")
        self._ends = array("Q")
        self._first = array("Q")
        self._whole = array("b")
        self.count = 0

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, end: int, count: int, *, block: bool) -> None:
        """Add a range with `count` elements; a `block` is known to parse as a list of values."""
        self._starts.append(start)
        self._ends.append(end)
        self._first.append(self.count)
        self._whole.append(block)
        self.count += count

    def place_of(self, element: int) -> int:
        """The range that holds an element, by its number."""
        return bisect_right(self._first, element) - 1

    def range(self, index: int) -> tuple[int, int, int, bool]:
        """Start, end, number of the first element (from 0), and whether it is a block."""
        return self._starts[index], self._ends[index], self._first[index], bool(self._whole[index])


def members(cursor: Cursor) -> Iterator[str]:
    """Names of an object's members; who asks must pass each value before asking for the next name."""
    cursor.take(b"{")
    if cursor.peek() == b"}":
        cursor.at += 1
        return
    while True:
        cursor.peek()
        yield msgspec.json.decode(cursor.value(), type=str)
        if cursor.peek() == b"}":
            cursor.at += 1
            return
        cursor.take(b",")


def elements(cursor: Cursor) -> Elements:
    """Pass an array and say where its elements are."""
    found = Elements()
    cursor.take(b"[")
    if cursor.peek() == b"]":
        cursor.at += 1
        return found
    marker: bytes | None = None
    alone = 0  # Up to here elements are found by themselves, because a block up to here did not parse.
    while True:
        cursor.peek()
        if marker is not None and cursor.offset >= alone:
            alone = _block(cursor, marker, found)
        if alone or marker is None:
            start, end = cursor.skip()
            found.add(start, end, 1, block=False)
        if cursor.peek() == b"]":
            cursor.at += 1
            return found
        cursor.take(b",")
        if marker is None:
            marker = _marker(cursor, end)


def _marker(cursor: Cursor, end: int) -> bytes:
    """How two elements are parted: the end of one, what stands between, the first name of the other."""
    cursor.peek()
    between = cursor.read(end - 1, cursor.offset + 1)
    cursor.fill(256)
    name = _NAME.match(cursor.buffer, cursor.at + 1)
    return between + name.group() if name else between


def _block(cursor: Cursor, marker: bytes, found: Elements) -> int:
    """Pass as many whole elements as are at hand and give 0; else where to try again, in the file."""
    cursor.fill(BLOCK)
    start = cursor.offset
    cut = cursor.buffer.rfind(marker, cursor.at)
    if cut <= cursor.at:
        return start + 1
    block = cursor.buffer[cursor.at : cut + 1]
    try:
        if not block.isascii():
            block.decode("utf-8")
        count = len(_elements.decode(b"[" + block + b"]"))
    except (ValueError, RecursionError):
        return start + cut + 1 - cursor.at
    cursor.at = cut + 1
    found.add(start, cursor.offset, count, block=True)
    return 0
