"""Lines of a file of any size, with bounded memory.

Prevents the failure of reading a 1 GB "line" into memory: what is longer than any real row is cut,
and the reader, which sees that it was cut, puts it into quarantine.
"""

from collections.abc import Iterable, Iterator

MAX_LINE_BYTES = 16 << 20
"""No real row is longer: 128,000 characters (the longest document) with a span at each need less."""


def split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Cut a byte stream at `\n` only; a line longer than the limit comes cut at one byte more than it.

    Other line ends are none: they may stand inside a JSON string. The `\n` is not part of the line.
    """
    held = bytearray()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            _hold(held, part)
            yield bytes(held)
            held.clear()
        _hold(held, rest)
    if held:
        yield bytes(held)


def _hold(held: bytearray, part: bytes) -> None:
    room = MAX_LINE_BYTES + 1 - len(held)
    held += part if len(part) <= room else part[:room]
