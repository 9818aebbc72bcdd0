"""Offsets: UTF-16 units, code points, and what a document's text says about them.

Prevents the failure that most label tools share: an offset counted in one unit and used in another
shifts every label after the first character beyond the Basic Multilingual Plane (emoji, some CJK).
Nothing is normalised here: a BOM is a character, CRLF is two, combining marks stay apart.
"""

import re
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from labelbridge.model import OffsetUnit

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class InvalidTextError(ValueError):
    """The document's bytes are not UTF-8."""


InvalidText = InvalidTextError
"""Short name."""


class Text(msgspec.Struct, gc=False):
    """What a document's text says about offsets; the text itself is not kept.

    A document without characters beyond the BMP costs one number, so a million of them fit in memory.
    """

    codepoint_length: int
    """Length in code points."""
    astral: Sequence[int] = ()
    """Code-point indexes of the characters beyond the BMP, ascending."""
    _units: Sequence[int] | None = None
    """See `pairs`; made once somebody asked."""

    @classmethod
    def decode(cls, data: bytes) -> "Text":
        """Measure a document's bytes as strict UTF-8, the BOM counted.

        Raises:
            InvalidTextError: the bytes are not UTF-8.
        """
        try:
            text = data.decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            raise InvalidTextError(f"byte {error.start} is not UTF-8: {error.reason}") from error
        return cls.of(text)

    @classmethod
    def of(cls, text: str) -> "Text":
        """Measure a string."""
        # Encoding is a copy for what the BMP holds, and several times faster than looking at each character.
        length = len(text)
        if text.isascii() or len(text.encode("utf-16-le", "surrogatepass")) == 2 * length:
            return cls(length)
        return cls(length, array("Q", [match.start() for match in _ASTRAL.finditer(text)]))

    @classmethod
    def of_all(cls, texts: Iterable[str]) -> list["Text"]:
        """`of` for many strings, which must be what UTF-8 can hold."""
        return [
            cls(len(text))
            if text.isascii() or len(text.encode("utf-16-le")) == 2 * len(text)
            else cls(len(text), array("Q", [match.start() for match in _ASTRAL.finditer(text)]))
            for text in texts
        ]

    @property
    def utf16_length(self) -> int:
        """Length in UTF-16 units."""
        return self.codepoint_length + len(self.astral)

    @property
    def has_astral(self) -> bool:
        """True if a character beyond the BMP is there, so that the two units differ somewhere."""
        return len(self.astral) > 0

    def splits_pair(self, offset: int) -> bool:
        """True if the UTF-16 offset lies between the two units of one character."""
        units = self.pairs()
        index = bisect_left(units, offset) - 1
        return index >= 0 and units[index] == offset - 1

    def pairs(self) -> Sequence[int]:
        """UTF-16 index of the first unit of each surrogate pair, ascending."""
        if self._units is None:
            self._units = array("Q", [p + i for i, p in enumerate(self.astral)])
        return self._units

    def to_utf16(self, offset: int) -> int:
        """Turn a code-point offset into UTF-16 units; ValueError outside 0..codepoint_length."""
        if not 0 <= offset <= self.codepoint_length:
            raise ValueError(f"offset {offset} is outside the text of {self.codepoint_length} code points")
        return offset + bisect_left(self.astral, offset)

    def to_codepoint(self, offset: int) -> int:
        """Turn a UTF-16 offset into code points; ValueError outside the text or inside a pair."""
        if not 0 <= offset <= self.utf16_length:
            raise ValueError(f"offset {offset} is outside the text of {self.utf16_length} UTF-16 units")
        if self.splits_pair(offset):
            raise ValueError(f"offset {offset} splits a surrogate pair")
        return offset - bisect_left(self.pairs(), offset)

    def convert(self, offset: int, source: OffsetUnit, target: OffsetUnit) -> int:
        """Turn an offset of one unit into the other; `auto` is not a unit (ValueError)."""
        if OffsetUnit.AUTO in (source, target):
            raise ValueError("auto is not a unit")
        if source is target:
            return offset
        return self.to_utf16(offset) if target is OffsetUnit.UTF16 else self.to_codepoint(offset)


class Texts(Protocol):
    """Where readers and writers get a document's `Text`: any `dict[str, Text]` will do, or `Documents`."""

    def get(self, document: str, /) -> Text | None:
        """The document's text, None if there is no such document; raises InvalidTextError."""


class Documents:
    """Texts by document, where some may not be UTF-8: `get` raises for those, and only for those."""

    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        """Measure `contents` (document name to bytes), if any."""
        self._texts: dict[str, Text | InvalidTextError] = {}
        for document, data in (contents or {}).items():
            self.add(document, data)

    def add(self, document: str, data: bytes) -> None:
        """Measure one document; the bytes are not kept."""
        try:
            self._texts[document] = Text.decode(data)
        except InvalidTextError as error:
            self._texts[document] = error

    def get(self, document: str, /) -> Text | None:
        """The document's text, None if there is none; raises InvalidTextError if it is not UTF-8."""
        found = self._texts.get(document)
        if isinstance(found, InvalidTextError):
            raise found
        return found

    def __contains__(self, document: object) -> bool:
        return document in self._texts

    def __len__(self) -> int:
        return len(self._texts)


class InlineTexts:
    """Texts of a file whose rows carry them; a reader puts each in, whoever comes after asks for it.

    Only the last `kept` are remembered: rows pass one after the other, from reader to writer.
    """

    def __init__(self, kept: int = 1024) -> None:
        """`kept`: of how many texts the measures are remembered at least."""
        self._kept = kept
        self._texts: dict[str, Text] = {}
        self._before: dict[str, Text] = {}
        self._strings: dict[str, str] = {}
        self._blocks: deque[tuple[list[str], list[Text]]] = deque()
        """Documents and measures of the last blocks, as long as nobody asks: most never do."""
        self._newest: tuple[list[str], list[str]] | None = None
        """Documents and texts of the last block, as long as nobody asks."""
        self.last: tuple[str, Text] | None = None
        """The text that was put alone last, and its measure."""

    def begin(self) -> None:
        """A reader begins with another block of rows, or with another row that stands alone."""
        self._newest, self._strings = None, {}
        if len(self._texts) >= self._kept:
            self._before, self._texts = self._texts, {}

    def put(self, document: str, text: str) -> Text:
        """Measure and remember a document's text."""
        self._strings[document] = text
        found = self._texts[document] = Text.of(text)
        self.last = text, found
        return found

    def put_all(self, documents: list[str], texts: list[str]) -> list[Text]:
        """`put` for the rows of a block."""
        found = Text.of_all(texts)
        self.settle(documents, texts, found)
        return found

    def settle(self, documents: list[str], texts: list[str], found: list[Text]) -> None:
        """Say which texts belong to the block's rows: of two rows for a document only one may be used."""
        if self._newest is not None:
            self._blocks.pop()
        self._newest = documents, texts
        self._strings = {}
        self._blocks.append((documents, found))
        while sum(len(names) for names, _ in self._blocks) - len(self._blocks[0][0]) >= self._kept:
            self._blocks.popleft()

    def get(self, document: str, /) -> Text | None:
        """The document's text if its row has just come by, else None."""
        if self._blocks:
            self.string(document)
        while self._blocks:
            self._texts.update(zip(*self._blocks.popleft(), strict=True))
        return self._texts.get(document) or self._before.get(document)

    def string(self, document: str) -> str | None:
        """The text itself, of a row of the block that is being read."""
        if self._newest is not None:
            self._strings.update(zip(*self._newest, strict=True))
            self._newest = None
        return self._strings.get(document)
