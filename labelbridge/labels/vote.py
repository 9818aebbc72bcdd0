"""A project's vote on what its offsets count, for those documents that could mean either.

Prevents a guess: without a vote an ambiguous document is quarantined, and a vote is held only when the
user asks for it. The rule is our choice, because Azure does not publish the unit:

1. A document votes if its spans fit it in exactly one unit. Documents without characters beyond the
   BMP, documents that fit both ways and documents that fit neither way have no vote.
2. The vote decides if at least `QUORUM` documents voted and all voted for the same unit. One vote
   against means that the file mixes units, and then nothing about the rest may be concluded.
3. A decision settles only documents that fit both ways and mean other text. A document that voted is
   read in its own unit, so nothing that `auto` reads changes.
"""

from collections.abc import Iterable

import msgspec

from labelbridge.labels._azureml_wire import SpanRow, span_row
from labelbridge.labels.azureml_jsonl import find_text
from labelbridge.labels.checks import unit_shown
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.offsets import Texts
from labelbridge.model import OffsetUnit

QUORUM = 3
"""Fewer votes may be the doing of a few damaged rows."""
_BOM = b"\xef\xbb\xbf"


class Vote(msgspec.Struct, frozen=True):
    """How the documents voted; votes of parts of a project add up."""

    utf16: int = 0
    codepoint: int = 0

    def __add__(self, other: "Vote") -> "Vote":
        """The vote of both parts together."""
        return Vote(self.utf16 + other.utf16, self.codepoint + other.codepoint)

    @property
    def decision(self) -> OffsetUnit | None:
        """The unit that settles ambiguous documents, None if the vote does not decide."""
        if self.utf16 >= QUORUM and not self.codepoint:
            return OffsetUnit.UTF16
        if self.codepoint >= QUORUM and not self.utf16:
            return OffsetUnit.CODEPOINT
        return None


def tally(lines: Iterable[bytes], *, texts: Texts, datastore: str | None) -> Vote:
    """Count the votes of the rows of an entity project; rows that cannot be read have none."""
    counts = {OffsetUnit.UTF16: 0, OffsetUnit.CODEPOINT: 0}
    for line in lines:
        found = _vote(line.removeprefix(_BOM), texts, datastore)
        if found is not None:
            counts[found] += 1
    return Vote(counts[OffsetUnit.UTF16], counts[OffsetUnit.CODEPOINT])


def _vote(line: bytes, texts: Texts, datastore: str | None) -> OffsetUnit | None:
    if not line or len(line) > MAX_LINE_BYTES:
        return None
    try:
        row: SpanRow = span_row.decode(line)
        text = find_text(row, line, texts, datastore)
    except (ValueError, RecursionError, RejectedRowError):
        return None
    if not text.has_astral:
        return None
    return unit_shown([(span.start, span.end) for span in row.label], text)
