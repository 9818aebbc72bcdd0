"""Lines of a file of any size, with bounded memory.

Prevents the failure of reading a 1 GB "line" into memory: what is longer than any real row is cut,
and the reader, which sees that it was cut, puts it into quarantine.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

MAX_LINE_BYTES = 16 << 20
"""No real row is longer: 128,000 characters (the longest document) with a span at each need less."""

_CHUNK = 1 << 17


def split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Cut a byte stream at `\n` only; a line longer than the limit comes cut at one byte more than it.

    Other line ends are none: they may stand inside a JSON string. The `\n` is not part of the line.
    """
    held = bytearray()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        if ended:
            _hold(held, ended[0])
            yield bytes(held)
            held.clear()
            del ended[0]
            if len(chunk) <= MAX_LINE_BYTES:
                yield from ended
            else:
                yield from (part[: MAX_LINE_BYTES + 1] for part in ended)
        _hold(held, rest)
    if held:
        yield bytes(held)


def read(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file from its start, as `split` gives them."""
    file.seek(0)
    return split(iter(lambda: file.read(_CHUNK), b""))


def blocks(file: BinaryIO) -> Iterator[bytes]:
    r"""The same lines, many at once: each block ends with `\n`, and is one line only if that was cut."""
    file.seek(0)
    rest = b""
    while chunk := file.read(_CHUNK):
        rest += chunk
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > MAX_LINE_BYTES:
            yield rest[: MAX_LINE_BYTES + 1] + b"\n"
            rest = _after_line(file)
    if rest:
        yield rest + b"\n"


def _after_line(file: BinaryIO) -> bytes:
    while chunk := file.read(_CHUNK):
        _, end, rest = chunk.partition(b"\n")
        if end:
            return rest
    return b""


def _hold(held: bytearray, part: bytes) -> None:
    room = MAX_LINE_BYTES + 1 - len(held)
    held += part if len(part) <= room else part[:room]
