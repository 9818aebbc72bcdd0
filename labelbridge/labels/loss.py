"""What an export could not carry, by document and reason.

Prevents the converter that drops labels and says nothing: a lossy export refuses unless it is allowed,
and either way the report says what was lost and where.
"""

from collections import Counter
from enum import StrEnum

import msgspec

from labelbridge.errors import LabelbridgeError

LISTED = 1000
"""Documents that a report names; its counts are whole."""
NAMED = 10
"""Those of them that a message names."""


class Loss(StrEnum):
    """Why a label, or a part of one, is not in the export."""

    OVERLAP = "span_overlaps"
    """Another span covers some of the same text, and the format has one label for each stretch."""
    DUPLICATE = "span_repeated"
    """The same span with the same category is there twice."""
    TRIMMED = "span_trimmed"
    """White space at the edges of a span is no part of it any more."""
    BLANK = "span_without_text"
    """The span holds nothing but white space."""
    RENAMED = "category_renamed"
    """The format allows no white space in a category."""
    NAMELESS = "label_without_name"
    """The label's category is the empty string, which here means "no label"."""
    SPLIT = "split_dropped"
    """The document's Train/Test assignment has no place in the format."""


class LossEntry(msgspec.Struct, frozen=True):
    """One document, one reason."""

    document: str
    reason: str
    count: int


class LossReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export lost. `documents` counts those that lost something; `listed` holds the first ones."""

    format: str
    documents: int
    counts: dict[str, int]
    listed: tuple[LossEntry, ...]

    @property
    def lossless(self) -> bool:
        """True if nothing was lost."""
        return not self.documents

    def __str__(self) -> str:
        """One line for people, with the first documents."""
        parts = ", ".join(f"{reason} {count}" for reason, count in self.counts.items())
        names = list(dict.fromkeys(entry.document for entry in self.listed))[:NAMED]
        more = f" and {self.documents - len(names)} more" if self.documents > len(names) else ""
        return f"{self.format}: {self.documents} documents lose something ({parts}): {', '.join(names)}{more}"


class Losses:
    """Collects losses while an export runs."""

    def __init__(self, name: str) -> None:
        """`name` of the format, for the report."""
        self._format = name
        self._counts: Counter[str] = Counter()
        self._documents = 0
        self._listed: list[LossEntry] = []

    def note(self, document: str, found: Counter[Loss]) -> None:
        """Note what one document lost; an empty counter is no loss."""
        if not found:
            return
        self._documents += 1
        for reason, count in sorted(found.items()):
            self._counts[reason.value] += count
            if len(self._listed) < LISTED:
                self._listed.append(LossEntry(document, reason.value, count))

    def report(self) -> LossReport:
        """What was lost so far."""
        return LossReport(
            format=self._format,
            documents=self._documents,
            counts=dict(sorted(self._counts.items())),
            listed=tuple(self._listed),
        )


def refuse(report: LossReport) -> None:
    """Raise LabelbridgeError `lossy_export` if something was lost."""
    if report.lossless:
        return
    raise LabelbridgeError(
        "lossy_export",
        str(report),
        data={"documents": str(report.documents)} | {k: str(v) for k, v in report.counts.items()},
    )
