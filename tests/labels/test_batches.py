"""Converting in batches gives what converting row by row gives: the same bytes, quarantine and report."""

import io
import json
import random
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import lines
from labelbridge.labels._azureml_blocks import BlockReader
from labelbridge.labels.azureml_jsonl import RowReader
from labelbridge.labels.contents import MappingContents
from labelbridge.labels.convert import Conversion, convert
from labelbridge.labels.formats import Format, ReadOptions, Source
from labelbridge.labels.offsets import InlineTexts
from labelbridge.labels.spill import Seen
from labelbridge.model import OffsetUnit, ProjectKind

NER = ProjectKind.ENTITIES
PIECES = ["a", "Zoë ", "\r\n", "😀", "👩‍🚒", "\ufeff", "𝒳", "x" * 600]
TEXTS = [b"", b"\xff", b"plain text of a document", "\ufeff😀 naïve 👩‍🚒 x\r\n".encode()]


def _rows(seed: int) -> tuple[bytes, dict[str, bytes]]:
    """Rows that are mostly right, about documents some of which are odd or missing."""
    chance = random.Random(seed)
    found: list[bytes] = []
    documents: dict[str, bytes] = {}
    odd = chance.random() < 0.7
    for number in range(chance.randrange(13)):
        name = f"d{number:03}.txt"
        if odd and chance.random() < 0.2:
            name = chance.choice(["d000.txt", "../x", "a%20b"])
        text = "".join(chance.choices(PIECES, k=chance.randrange(9)))
        if chance.random() < 0.95:
            documents.setdefault(name, chance.choice([text.encode()] * 9 + TEXTS))
        spans = [
            {
                "label": chance.choice("AAABBC:" if odd else "ABC"),
                "offsetStart": start,
                "offsetEnd": start + size,
            }
            for start, size in [
                (chance.randrange(-odd, 9), chance.randrange(5)) for _ in range(chance.randrange(4))
            ]
        ]
        row: dict[str, Any] = {"image_url": f"AmlDatastore://docs/{name}", "label": spans}
        if not odd or chance.random() < 0.95:
            row["text"] = text
        line = json.dumps(row, ensure_ascii=chance.random() < 0.5).encode()
        if odd and chance.random() < 0.08:
            line = chance.choice([b"", b"{", b"\xff", line[:-1], b" " + line, b"\xef\xbb\xbf" + line, b"[]"])
        found.append(line)
    return b"\n".join(found), documents


rows_of = st.integers(0, 2**32).map(_rows)


def by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read or written in batches."""

    def no(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr("labelbridge.labels._writers.AzureMLWriter.takes_batches", no)
    monkeypatch.setattr("labelbridge.labels._writers.LanguageWriter.takes_batches", no)

    def file(self: RowReader, file: io.BytesIO, source: str) -> Any:
        return self.read(lines.read(file), source)

    monkeypatch.setattr(BlockReader, "read_file", file)
    monkeypatch.setattr(
        BlockReader, "batches", lambda self, file, source: gathered_one_by_one(self.read_file(file, source))
    )


def gathered_one_by_one(items: Any) -> Any:
    from labelbridge.labels.batches import gathered

    return gathered(items, 1)


def outcome(data: bytes, source: Format, conversion: Conversion) -> tuple[object, ...]:
    out, aside = io.BytesIO(), io.BytesIO()
    try:
        report = convert(Source("x", file=io.BytesIO(data)), out, conversion, quarantine=aside)
    except LabelbridgeError as error:
        return error.code, str(error)
    return out.getvalue(), aside.getvalue(), report


def both_ways(make: Callable[[], tuple[object, ...]]) -> None:
    quick = make()
    with pytest.MonkeyPatch.context() as patch:
        by_rows(patch)
        slow = make()
    assert quick == slow


UNITS = st.sampled_from(list(OffsetUnit))


@given(rows_of, UNITS, st.booleans(), st.sampled_from([Format.LANGUAGE, Format.AZUREML, Format.SNAPSHOT]))
def test_azureml_in_batches_is_azureml_row_by_row(
    given_: tuple[bytes, dict[str, bytes]], unit: OffsetUnit, inline: bool, target: Format
) -> None:
    data, documents = given_
    conversion = Conversion(
        target=target,
        source=Format.AZUREML,
        read=ReadOptions(kind=NER, unit=unit),
        inline=inline,
        documents=None if inline else MappingContents(documents),
        unit=OffsetUnit.CODEPOINT,
    )
    both_ways(lambda: outcome(data, Format.AZUREML, conversion))


@given(rows_of, UNITS, st.booleans())
def test_language_in_batches_is_language_row_by_row(
    given_: tuple[bytes, dict[str, bytes]], unit: OffsetUnit, spoil: bool
) -> None:
    data, documents = given_
    entries = []
    for line in data.split(b"\n"):
        try:
            row = json.loads(line)
            labels = [
                {
                    "category": s["label"],
                    "offset": s["offsetStart"],
                    "length": s["offsetEnd"] - s["offsetStart"],
                }
                for s in row["label"]
            ]
            entries.append(
                {"location": row["image_url"][20:], "entities": [{"regionOffset": 0, "labels": labels}]}
            )
        except (ValueError, TypeError):
            entries.append({"location": "d001.txt"} if not spoil else {"locations": 1})
    file = {
        "metadata": {"projectKind": NER.value, "language": "en"},
        "assets": {
            "projectKind": NER.value,
            "entities": [{"category": c} for c in "ABC"],
            "documents": entries,
        },
    }
    conversion = Conversion(
        target=Format.AZUREML, documents=MappingContents(documents), unit=unit, source=Format.LANGUAGE
    )
    both_ways(lambda: outcome(json.dumps(file).encode(), Format.LANGUAGE, conversion))


@given(st.lists(st.lists(st.text(string.ascii_lowercase, max_size=2), max_size=5), max_size=8))
def test_names_given_in_blocks_are_seen_as_names_given_one_by_one(blocks: list[list[str]]) -> None:
    one, many, number = Seen(held=3), Seen(held=3), 0
    for names in blocks:
        expected = [one.first(name, number + index) == number + index for index, name in enumerate(names)]
        if many.all_first(names, number):
            assert all(expected)
        else:
            found = [many.first(name, number + index) == number + index for index, name in enumerate(names)]
            assert found == expected
        number += len(names)


def test_texts_of_a_block_are_known_by_name_until_the_next() -> None:
    texts = InlineTexts(kept=2)
    for block in range(4):
        texts.begin()
        names = [f"{block}{index}" for index in range(3)]
        texts.put_all(names, ["ab", "😀", ""])
        assert texts.string(names[1]) == "😀"
        found = texts.get(names[1])
        assert found is not None
        assert found.utf16_length == 2
    assert texts.string("01") is None
