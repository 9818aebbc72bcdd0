"""Where a large JSONL is cut, so that each part can be fetched by itself.

Prevents a part that has to be fetched to its unknown end: parts end with a line. `shards` reads them.
"""

import itertools
from typing import BinaryIO

_BLOCK = 1 << 20


def by_lines(file: BinaryIO, lines_each: int) -> tuple[tuple[int, int], ...]:
    """First byte and end (exclusive) of parts of `lines_each` lines; the last part may have fewer.

    Raises:
        ValueError: `lines_each` is not positive.
    """
    if lines_each <= 0:
        raise ValueError("a part has at least one line")
    ends: list[int] = []
    at = lines = 0
    file.seek(0)
    while block := file.read(_BLOCK):
        found = block.count(b"\n")
        place = -1
        while lines + found >= lines_each:
            for _ in range(lines_each - lines):
                place = block.index(b"\n", place + 1)
            found -= lines_each - lines
            lines = 0
            ends.append(at + place + 1)
        lines += found
        at += len(block)
    if at and (not ends or ends[-1] != at):
        ends.append(at)
    return tuple(itertools.pairwise((0, *ends)))
