"""A table between category names of Azure ML and those that Language allows, there and back.

Prevents two losses: labels quarantined only because Language forbids a character in their category, and
a mapping that cannot be undone because two categories became one. The user gives the table; nothing
is renamed by itself.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.checks import allowed_in_language
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.rows import LabeledDocument, Quarantined, quarantined


class CategoriesMap:
    """Names outside Language to names in Language; each name stands for one other."""

    def __init__(self, table: Mapping[str, str]) -> None:
        """Check the table.

        Raises:
            LabelbridgeError: `input_invalid` if it cannot be undone, or Language forbids a target.
        """
        self.table = dict(table)
        self.back = {target: name for name, target in self.table.items()}
        if len(self.back) < len(self.table):
            twice = sorted({t for t in self.table.values() if list(self.table.values()).count(t) > 1})
            raise _no(f"two categories become {twice[0]!r}")
        for target in self.back:
            if not allowed_in_language(target):
                raise _no(f"Language does not allow the category {target!r}")

    @classmethod
    def parse(cls, data: bytes) -> "CategoriesMap":
        """Read a table from JSON: one object, name outside Language to name in Language."""
        try:
            table = msgspec.json.decode(data, type=dict[str, str])
        except (ValueError, RecursionError) as error:
            raise _no(str(error)) from error
        return cls(table)

    def names(self, names: Iterable[str], *, to_language: bool) -> tuple[str, ...]:
        """Categories renamed; one that another one is renamed to is left out, as its rows are."""
        table, other = self._tables(to_language)
        return tuple(dict.fromkeys(table.get(n, n) for n in names if n in table or n not in other))

    def rename(
        self, items: Iterable[LabeledDocument | Quarantined], *, to_language: bool, source: str
    ) -> Iterator[LabeledDocument | Quarantined]:
        """Rename the categories of rows; what is quarantined stays so.

        A row whose category, unmapped, has the name that another category is mapped to is quarantined
        (`category_collision`): on the way back it would become that other one.
        """
        table, other = self._tables(to_language)
        for item in items:
            if isinstance(item, Quarantined):
                yield item
                continue
            try:
                yield _renamed(item, table, other)
            except RejectedRowError as no:
                raw = msgspec.json.encode(item)
                yield quarantined(no.code, no.reason, raw, source=source, document=item.document)

    def _tables(self, to_language: bool) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return (self.table, self.back) if to_language else (self.back, self.table)


def _renamed(row: LabeledDocument, table: Mapping[str, str], other: Mapping[str, str]) -> LabeledDocument:
    for name in (*row.classes, *(span.category for span in row.spans)):
        if name in other and name not in table:
            raise RejectedRowError(Code.CATEGORY_COLLISION, f"{name!r} is what {other[name]!r} is mapped to")
    return msgspec.structs.replace(
        row,
        classes=tuple([table.get(name, name) for name in row.classes]),
        spans=tuple(
            [msgspec.structs.replace(s, category=table.get(s.category, s.category)) for s in row.spans]
        ),
    )


def _no(why: str) -> LabelbridgeError:
    return LabelbridgeError("input_invalid", f"The categories map cannot be used: {why}.")
