"""The row: what one document is labelled with, in one unit, whatever format it came from.

Prevents the failure of two spellings for one thing: offsets in Labelbridge are UTF-16 units, and
"labelled with nothing" (a row without labels) is never confused with "not labelled" (no row).
"""

from collections.abc import Iterable, Iterator

import msgspec

from labelbridge.labels.codes import Code

LabelsKey = tuple[tuple["Span", ...], tuple[str, ...]]
"""Labels in canonical form: sorted, each once."""


class Span(msgspec.Struct, frozen=True, order=True, gc=False, rename={"start": "offset"}):
    """One labelled stretch of text; `start` and `length` are UTF-16 units from the document's start.

    In JSON it is what Language's project file calls a label, so it is written as it stands.
    """

    start: int
    length: int
    category: str

    @property
    def end(self) -> int:
        """First UTF-16 unit after the span."""
        return self.start + self.length


class LabeledDocument(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The labels of one document: `spans` for entities, `classes` for classification.

    `document` is the blob name in the project's container. `dataset` is Language's `Train` or
    `Test`. A row with neither spans nor classes says that somebody labelled the document with nothing.
    """

    document: str
    spans: tuple[Span, ...] = ()
    classes: tuple[str, ...] = ()
    dataset: str | None = None
    language: str | None = None

    @property
    def labels_key(self) -> LabelsKey:
        """What the document is labelled with, for comparison: without dataset, language and order.

        A label that is there twice counts once: it says nothing more, and a studio may drop it.
        """
        return tuple(sorted(set(self.spans))), tuple(sorted(set(self.classes)))


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    r"""A row that could not be used, with everything needed to mend it.

    `line` counts from 1 and is None where the source has no lines; `document` is None if the row
    does not even say that. `raw` is the row as found; bytes that are not UTF-8 stand as `\xNN`.
    """

    source: str
    line: int | None
    document: str | None
    code: str
    reason: str
    raw: str


RAW_LIMIT = 1 << 20
"""A quarantined row longer than this (bytes) is cut in the quarantine file; its line number leads to it."""


def quarantined(
    code: Code, reason: str, raw: bytes, *, source: str, line: int | None = None, document: str | None = None
) -> Quarantined:
    """Make a `Quarantined` from the raw bytes of a row, whatever they are."""
    if len(raw) > RAW_LIMIT:
        reason = f"{reason} (only the first {RAW_LIMIT} bytes of the row are kept here)"
        raw = raw[:RAW_LIMIT]
    text = raw.decode("utf-8", "backslashreplace")
    return Quarantined(source=source, line=line, document=document, code=code.value, reason=reason, raw=text)


def gather(
    items: Iterable[LabeledDocument | Quarantined],
) -> tuple[dict[str, LabeledDocument], list[Quarantined]]:
    """Part the output of a reader into rows by document and the quarantine."""
    rows: dict[str, LabeledDocument] = {}
    aside: list[Quarantined] = []
    for item in items:
        if isinstance(item, LabeledDocument):
            rows[item.document] = item
        else:
            aside.append(item)
    return rows, aside


def quarantine_lines(items: Iterable[Quarantined]) -> Iterator[bytes]:
    """The quarantine file: one JSON line each."""
    encoder = msgspec.json.Encoder()
    for item in items:
        yield encoder.encode(item) + b"\n"


def categories_used(rows: Iterable[LabeledDocument]) -> tuple[str, ...]:
    """Every category that a row uses, in the order of first use."""
    seen: dict[str, None] = {}
    for row in rows:
        for span in row.spans:
            seen[span.category] = None
        for name in row.classes:
            seen[name] = None
    return tuple(seen)
