"""Rows a block at a time, for conversions in which nobody asks for one row after the other.

Prevents a conversion that spends more on passing rows from hand to hand than on reading them: what
can be done for a block at once (counting, measuring, encoding) is done once for some hundred rows.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import cast

from labelbridge.labels.offsets import Text
from labelbridge.labels.rows import LabeledDocument, Quarantined

Item = LabeledDocument | Quarantined


class Batch:
    """What a reader found in one block of a file, in its order."""

    def __init__(self, items: list[Item], texts: Sequence[Text] | None = None) -> None:
        """`texts`: those of the rows among `items`, one for each, if they were held against them."""
        self.items = items
        self.texts = texts
        self.aside = [item for item in items if isinstance(item, Quarantined)]
        rows = [item for item in items if isinstance(item, LabeledDocument)] if self.aside else items
        self.rows = cast("list[LabeledDocument]", rows)

    @classmethod
    def clean(
        cls, rows: list[LabeledDocument], texts: Sequence[Text] | None, categories: list[str] | None = None
    ) -> "Batch":
        """A batch from which nothing was put aside; `categories`: those of all labels in it, if at hand."""
        batch = cls([], texts)
        if categories is not None:
            batch.counts = Counter(categories)
        batch.rows = rows
        batch.items = cast("list[Item]", rows)
        return batch

    @cached_property
    def counts(self) -> Counter[str]:
        """Labels by category, in the order of first use."""
        found = Counter([span.category for row in self.rows for span in row.spans])
        found.update([name for row in self.rows if row.classes for name in row.classes])
        return found


def gathered(items: Iterable[Item], size: int = 512) -> Iterator[Batch]:
    """Batches of what comes one by one."""
    source = iter(items)
    while found := list(itertools.islice(source, size)):
        yield Batch(found)
