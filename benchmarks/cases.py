"""The cases of the benchmark; each runs in a process of its own, so that its peak memory is its own."""

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


class _Span(msgspec.Struct, gc=False):
    label: str
    offsetStart: int  # noqa: N815
    offsetEnd: int  # noqa: N815


class _Row(msgspec.Struct, gc=False):
    image_url: str
    label: list[_Span]
    label_confidence: list[float]
    text: str


class _Label(msgspec.Struct, gc=False):
    category: str
    offset: int
    length: int


class _Region(msgspec.Struct, gc=False):
    regionOffset: int  # noqa: N815
    regionLength: int  # noqa: N815
    labels: list[_Label]


class _Entry(msgspec.Struct, gc=False):
    location: str
    language: str
    dataset: str
    entities: list[_Region]


class _TextRow(msgspec.Struct, gc=False):
    image_url: str
    text: str


_text = msgspec.json.Decoder(_TextRow)


def floor_rows(folder: Path) -> None:
    """Decode and encode Azure ML's rows with bare msgspec: no conversion can be faster in Python."""
    decode, encode = msgspec.json.Decoder(_Row).decode, msgspec.json.Encoder().encode
    with (folder / "labels.jsonl").open("rb") as file, Path("/dev/null").open("wb") as out:
        for line in file:
            out.write(encode(decode(line)) + b"\n")


def floor_entries(folder: Path) -> None:
    """The same for the documents of Language's file, which stand one in a line here, and their texts."""
    decode, encode = msgspec.json.Decoder(_Entry).decode, msgspec.json.Encoder().encode
    with (
        (folder / "language.json").open("rb") as file,
        (folder / "labels.jsonl").open("rb") as texts,
        Path("/dev/null").open("wb") as out,
    ):
        for line, beside in zip(file, texts, strict=True):
            start = line.index(b'{"location"')
            stop = line.index(b"]}]}", start) + 4
            _text.decode(beside)
            out.write(encode(decode(line[start:stop])) + b"\n")


def orjson_rows(folder: Path) -> None:
    """Loads and dumps of the same bytes with orjson."""
    import orjson

    with (folder / "labels.jsonl").open("rb") as file, Path("/dev/null").open("wb") as out:
        for line in file:
            out.write(orjson.dumps(orjson.loads(line)) + b"\n")


class _Beside:
    """The documents, read in order from the corpus while the rows pass: what a folder would give."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def expect(self, documents: object) -> None:
        """Begin anew."""
        self._lines = (self._folder / "labels.jsonl").open("rb")

    def read(self, document: str) -> bytes | None:
        """The document's bytes."""
        for line in self._lines:
            row = _text.decode(line)
            if row.image_url.endswith(document):
                return row.text.encode()
        return None


def _ours(folder: Path, name: str, target: str, **options: Any) -> None:
    from labelbridge.labels.convert import Conversion, convert
    from labelbridge.labels.formats import Format, Source

    conversion = Conversion(target=Format(target), **options)
    with (
        Source(name, path=folder / name) as source,
        Path("/dev/null").open("wb") as out,
        tempfile.TemporaryFile() as aside,
    ):
        report = convert(source, out, conversion, quarantine=aside)
    if report.totals.quarantined or not report.totals.written:
        raise AssertionError(report.totals)


def ours_to_language(folder: Path) -> None:
    """Azure ML to Language: validation, both hashes, quarantine, UTF-16 from code points."""
    from labelbridge.labels.formats import ReadOptions
    from labelbridge.model import OffsetUnit

    _ours(folder, "labels.jsonl", "language", inline=True, read=ReadOptions(unit=OffsetUnit.CODEPOINT))


def ours_to_azureml(folder: Path) -> None:
    """Language to Azure ML: the same, code points from UTF-16, each span held against its document."""
    from labelbridge.model import OffsetUnit

    _ours(folder, "language.json", "azureml", documents=_Beside(folder), unit=OffsetUnit.CODEPOINT)


def ours_to_snapshot(folder: Path) -> None:
    """Azure ML to a snapshot, sorted on disk."""
    from labelbridge.labels.formats import ReadOptions
    from labelbridge.model import OffsetUnit

    _ours(folder, "labels.jsonl", "snapshot", inline=True, read=ReadOptions(unit=OffsetUnit.CODEPOINT))


def ours_to_conll(folder: Path) -> None:
    """Azure ML to CoNLL-2003, for the comparison with label-studio-sdk."""
    from labelbridge.labels.formats import ReadOptions
    from labelbridge.model import OffsetUnit

    _ours(
        folder, "labels.jsonl", "conll",
        inline=True, allow_lossy=True, read=ReadOptions(unit=OffsetUnit.CODEPOINT),
    )  # fmt: skip


def label_studio_conll(folder: Path) -> None:
    """Label Studio's own JSON to CoNLL-2003 with label-studio-sdk."""
    from label_studio_sdk.converter import Converter

    from benchmarks.corpus import CATEGORIES

    labels = "".join(f'<Label value="{c}"/>' for c in CATEGORIES)
    config = (
        f'<View><Labels name="label" toName="text">{labels}</Labels><Text name="text" value="$text"/></View>'
    )
    with tempfile.TemporaryDirectory() as out:
        Converter(config, out).convert_to_conll2003(str(folder / "label-studio.json"), out, is_dir=False)


def datasets_map(folder: Path) -> None:
    """Offsets to UTF-16 and out again as JSON lines with Hugging Face datasets."""
    import datasets

    datasets.disable_progress_bars()

    def shift(row: dict[str, Any]) -> dict[str, Any]:
        text = row["text"]
        if not text.isascii():
            for span in row["label"]:
                for key in ("offsetStart", "offsetEnd"):
                    span[key] = len(text[: span[key]].encode("utf-16-le")) // 2
        return row

    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(
            "json", data_files=str(folder / "labels.jsonl"), split="train", cache_dir=cache
        )
        loaded.map(shift).to_json(io.BytesIO())


CASES: dict[str, Callable[[Path], None]] = {
    case.__name__: case
    for case in (
        floor_rows, floor_entries, orjson_rows, ours_to_language, ours_to_azureml, ours_to_snapshot,
        ours_to_conll, label_studio_conll, datasets_map,
    )
}  # fmt: skip


def peak() -> int:
    """Peak memory of this process in KiB; `ru_maxrss` would count the parent's before the exec."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def main() -> None:
    """`python -m benchmarks.cases CASE FOLDER WARM`: prints seconds and peak memory as JSON.

    The case runs on the small corpus in WARM before, so that imports do not count.
    """
    name, folder, warm = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    CASES[name](warm)
    wall, cpu = time.perf_counter(), time.process_time()
    CASES[name](folder)
    found = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": peak()}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
