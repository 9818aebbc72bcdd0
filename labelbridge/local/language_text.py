"""Document text counted in UTF-16 code units, the unit of every Language offset.

Prevents the classic slip of counting Python characters: they differ from UTF-16 after the first
character above U+FFFF, so a label behind an emoji would be read one place off. Nothing is
normalised: a byte order mark and both halves of CRLF count.
"""

import re
from bisect import bisect_left, bisect_right

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class Utf16Text:
    """A text that can be measured and cut in UTF-16 code units."""

    def __init__(self, text: str) -> None:
        """`text` is the document as decoded, nothing stripped."""
        self.text = text
        self._astral = [] if text.isascii() else [found.start() for found in _ASTRAL.finditer(text)]
        """Code point indexes of the characters that take two units."""
        self.low_halves = [index + rank + 1 for rank, index in enumerate(self._astral)]
        """UTF-16 offsets that lie between the two halves of one character."""

    @classmethod
    def decode(cls, data: bytes) -> "Utf16Text":
        """Read a document's bytes as strict UTF-8.

        Raises:
            UnicodeDecodeError: the bytes are not UTF-8.
        """
        return cls(data.decode("utf-8"))

    @property
    def length(self) -> int:
        """Length in UTF-16 code units."""
        return len(self.text) + len(self._astral)

    def splits_pair(self, offset: int) -> bool:
        """True if a cut at `offset` (UTF-16) would part the two halves of one character."""
        place = bisect_left(self.low_halves, offset)
        return place < len(self.low_halves) and self.low_halves[place] == offset

    def to_utf16(self, index: int) -> int:
        """The UTF-16 offset of the code point at `index`."""
        return index + bisect_left(self._astral, index)

    def to_codepoint(self, offset: int) -> int:
        """The code point index at UTF-16 `offset`, which must not split a pair."""
        return offset - bisect_right(self.low_halves, offset)

    def cut(self, offset: int, length: int) -> str:
        """The text of a span given in UTF-16 units."""
        return self.text[self.to_codepoint(offset) : self.to_codepoint(offset + length)]
