"""A large JSONL cut into shards that are read apart and joined to what one reader would have given.

Prevents two failures: a project too large for one worker's patience, and a parallel run whose result
depends on who was first. A shard is a range of bytes; a line belongs to the shard in which it starts.
What needs the whole file is left to the join: line numbers, and which row of a document came first.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import msgspec

from labelbridge.labels.azureml_jsonl import BOM, RowReader
from labelbridge.labels.codes import Code
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.rows import LabeledDocument, Quarantined, quarantined
from labelbridge.labels.spill import Seen

_CHUNK = 1 << 17


class Shard(msgspec.Struct, frozen=True):
    """Bytes `start` (inclusive) to `end` (exclusive) of the input."""

    number: int
    start: int
    end: int


class _Record(msgspec.Struct, omit_defaults=True):
    """One line of a shard's result. Line numbers count from 1 within the shard."""

    line: int
    offset: int = 0
    length: int = 0
    row: LabeledDocument | None = None
    aside: Quarantined | None = None


def plan(size: int, shard_bytes: int) -> tuple[Shard, ...]:
    """Cut an input of `size` bytes; the same input and size of shard give the same cut.

    Raises:
        ValueError: `shard_bytes` is not positive.
    """
    if shard_bytes <= 0:
        raise ValueError("a shard has at least one byte")
    starts = range(0, max(size, 1), shard_bytes)
    return tuple([Shard(n, start, min(start + shard_bytes, size)) for n, start in enumerate(starts)])


def shard_lines(file: BinaryIO, shard: Shard) -> Iterator[tuple[int, bytes]]:
    r"""The lines that start in a shard, each with its offset in the file and without its `\n`.

    A line longer than the limit of `lines` comes cut, as there.
    """
    at = shard.start
    if at:
        file.seek(at - 1)
        at += _to_line_end(file) - 1
    file.seek(at)
    while at < shard.end:
        line = file.readline(MAX_LINE_BYTES + 2)
        if not line:
            return
        length = len(line)
        if not line.endswith(b"\n"):
            length += _to_line_end(file)
        yield at, line.removesuffix(b"\n")[: MAX_LINE_BYTES + 1]
        at += length


def _to_line_end(file: BinaryIO) -> int:
    """Pass the rest of a line, its end included; gives how many bytes that were."""
    passed = 0
    while part := file.readline(_CHUNK):
        passed += len(part)
        if part.endswith(b"\n"):
            break
    return passed


def read_shard(file: BinaryIO, shard: Shard, reader: RowReader, source: str) -> Iterator[bytes]:
    """Read one shard; gives its result as JSON lines, to be kept until the join.

    Args:
        file: the whole input.
        shard: the range to read.
        reader: a reader of its own, made with `repeats=True`: documents that are there twice are found
            by the join.
        source: name of the input, for the quarantine.
    """
    encode = msgspec.json.Encoder().encode
    number = 0
    for number, (offset, line) in enumerate(shard_lines(file, shard), 1):
        row = line.removeprefix(BOM)
        found = reader.one(row, number, source)
        if found is None:
            continue
        if isinstance(found, Quarantined):
            record = _Record(number, aside=found)
        else:
            record = _Record(number, offset + len(line) - len(row), len(row), row=found)
        yield encode(record) + b"\n"
    yield encode(_Record(number)) + b"\n"


def join(
    results: Iterable[Iterable[bytes]], *, raw: Callable[[int, int], bytes], source: str
) -> Iterator[LabeledDocument | Quarantined]:
    """Join shards' results, in the order of the shards: what one reader of the whole would have given.

    Args:
        results: lines of each shard's result.
        raw: gives bytes of the input by offset and length, for rows that are put aside only now.
        source: name of the input, for the quarantine.
    """
    decode = msgspec.json.Decoder(_Record).decode
    seen, before = Seen(), 0
    for result in results:
        record = _Record(0)
        for line in result:
            record = decode(line)
            number = before + record.line
            if record.aside is not None:
                yield msgspec.structs.replace(record.aside, line=number)
            elif record.row is not None:
                first = seen.first(record.row.document, number)
                if first == number:
                    yield record.row
                    continue
                yield quarantined(
                    Code.DUPLICATE_DOCUMENT,
                    f"line {first} was for this document",
                    raw(record.offset, record.length),
                    source=source,
                    line=number,
                    document=record.row.document,
                )
        before += record.line
