"""Whether labels fit their document and their project, in the one place that every reader asks.

Prevents an import that Language refuses as a whole because of one row, and labels that point into
the void: each bad row is rejected alone, with its code.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.contents import Measured
from labelbridge.labels.offsets import InvalidTextError, Text, Texts
from labelbridge.labels.paths import check_name
from labelbridge.labels.rows import LabeledDocument, Quarantined, quarantined
from labelbridge.model import OffsetUnit, ProjectKind

MAX_CATEGORY = 50
"""Characters in the name of a class or entity (Language service limits)."""
FORBIDDEN_IN_CATEGORY = frozenset(":$&%*()+~#/?")
"""Characters that the name of a class or entity may not have (Language service limits)."""
MAX_SPAN = 500
"""Characters in an entity (Language service limits). We count UTF-16 units; the unit is not published."""
MAX_DOCUMENT = 128_000
"""Characters in a document (Language service limits). We count UTF-16 units, as above."""

Bounds = tuple[int, int]
"""Start and end (exclusive)."""


class CategoryRules:
    """Which category names a row may use; remembers its verdicts, because rows repeat names."""

    def __init__(self, categories: Collection[str] | None, *, for_language: bool = True) -> None:
        """`categories` None allows any name, but with `for_language` only names that Language allows."""
        self._any = categories is None
        self._for_language = for_language
        self.known: set[str] = set(categories or ())
        self._with_comma = any("," in name for name in self.known)

    def check(self, name: str) -> None:
        """Raise RejectedRowError `unknown_category` or `forbidden_category` unless `name` may be used."""
        if name in self.known:
            return
        if self._for_language and not allowed_in_language(name):
            raise RejectedRowError(Code.FORBIDDEN_CATEGORY, f"Language does not allow the category {name!r}")
        if not self._any:
            raise RejectedRowError(Code.UNKNOWN_CATEGORY, f"the project has no category {name!r}")
        self.known.add(name)

    def split(self, joined: str) -> tuple[str, ...]:
        """Cut a comma-joined string into categories; a category may itself hold commas.

        Raises:
            RejectedRowError: `ambiguous_classes` if the project's categories allow two ways to cut.
        """
        if not joined:
            return ()
        if not self._with_comma or self._any:
            return tuple(joined.split(","))
        return self._cut(joined)

    def _cut(self, joined: str) -> tuple[str, ...]:
        longest = 1 + max(name.count(",") for name in self.known)
        parts = joined.split(",")
        # ways[i]: how many ways (2 stands for more) parts[i:] can be cut; step[i]: the first cut of one.
        ways = [0] * len(parts) + [1]
        step = [0] * len(parts)
        for i in range(len(parts) - 1, -1, -1):
            for j in range(i + 1, min(i + longest, len(parts)) + 1):
                if ways[j] and ",".join(parts[i:j]) in self.known:
                    ways[i] = min(2, ways[i] + ways[j])
                    step[i] = j
        if not ways[0]:
            raise RejectedRowError(Code.UNKNOWN_CATEGORY, f"{joined[:200]!r} is not made of known categories")
        if ways[0] > 1:
            raise RejectedRowError(Code.AMBIGUOUS_CLASSES, f"{joined[:200]!r} can be cut in several ways")
        names, i = [], 0
        while i < len(parts):
            names.append(",".join(parts[i : step[i]]))
            i = step[i]
        return tuple(names)


def allowed_in_language(name: str) -> bool:
    """True if Language allows a class or entity of this name."""
    return 0 < len(name) <= MAX_CATEGORY and FORBIDDEN_IN_CATEGORY.isdisjoint(name)


def check_class_count(kind: ProjectKind, classes: Sequence[str]) -> None:
    """Raise RejectedRowError unless a single-label document has exactly one class."""
    if kind is not ProjectKind.SINGLE_LABEL or len(classes) == 1:
        return
    if classes:
        raise RejectedRowError(Code.TOO_MANY_LABELS, f"{len(classes)} classes in a single-label project")
    raise RejectedRowError(Code.MISSING_LABEL, "no class in a single-label project")


def bounds_in_utf16(
    bounds: Iterable[Bounds], unit: OffsetUnit, text: Text, *, settle: OffsetUnit | None = None
) -> list[Bounds]:
    """Read spans of one document in `unit` and give them in UTF-16 units, in the same order.

    `auto` decides where exactly one reading is valid, or both mean the same; where both are valid and
    mean other text, `settle` decides if it is given.

    Raises:
        RejectedRowError: `span_out_of_range`, `empty_span`, `span_splits_pair`, `ambiguous_offset_unit`.
    """
    bounds = list(bounds)
    if unit is OffsetUnit.UTF16 or not text.has_astral:
        _check_utf16(bounds, text)
        return bounds
    if unit is OffsetUnit.CODEPOINT:
        return _from_codepoints(bounds, text)
    return _decide(bounds, text, settle)


def _decide(bounds: list[Bounds], text: Text, settle: OffsetUnit | None) -> list[Bounds]:
    try:
        converted = _from_codepoints(bounds, text)
    except RejectedRowError:
        # Not valid as code points: UTF-16 or nothing.
        _check_utf16(bounds, text)
        return bounds
    try:
        _check_utf16(bounds, text)
    except RejectedRowError:
        return converted
    if converted != bounds and settle is OffsetUnit.CODEPOINT:
        return converted
    if converted != bounds and settle is not OffsetUnit.UTF16:
        raise RejectedRowError(
            Code.AMBIGUOUS_OFFSET_UNIT,
            "the spans are valid as UTF-16 units and as code points, and mean other text",
        )
    return bounds


def unit_shown(bounds: Iterable[Bounds], text: Text) -> OffsetUnit | None:
    """The only unit in which these spans fit their document; None if both do or none does."""
    bounds = list(bounds)
    readings = []
    for unit, check in ((OffsetUnit.UTF16, _check_utf16), (OffsetUnit.CODEPOINT, _from_codepoints)):
        try:
            check(bounds, text)
        except RejectedRowError:
            continue
        readings.append(unit)
    return readings[0] if len(readings) == 1 else None


def _from_codepoints(bounds: list[Bounds], text: Text) -> list[Bounds]:
    _check_range(bounds, text.codepoint_length)
    return [(text.to_utf16(start), text.to_utf16(end)) for start, end in bounds]


def _check_utf16(bounds: list[Bounds], text: Text) -> None:
    _check_range(bounds, text.utf16_length)
    if text.has_astral:
        for start, end in bounds:
            if text.splits_pair(start) or text.splits_pair(end):
                raise RejectedRowError(Code.SPAN_SPLITS_PAIR, f"span {start}..{end} splits a surrogate pair")


def _check_range(bounds: list[Bounds], length: int) -> None:
    for start, end in bounds:
        if not 0 <= start < end <= length:
            code = Code.EMPTY_SPAN if 0 <= start == end <= length else Code.SPAN_OUT_OF_RANGE
            raise RejectedRowError(code, f"span {start}..{end} in a text of {length}")


def text_of(document: str, texts: Texts) -> Text:
    """The document's text.

    Raises:
        RejectedRowError: `document_missing`, `invalid_utf8`.
    """
    try:
        text = texts.get(document)
    except InvalidTextError as error:
        raise RejectedRowError(Code.INVALID_UTF8, f"the document's text: {error}") from error
    if text is None:
        raise RejectedRowError(Code.DOCUMENT_MISSING, f"there is no document {document!r}")
    return text


def texts_of(documents: list[str], texts: Texts) -> list[Text] | None:
    """The texts of all these documents, at once where `texts` can; None if `text_of` rejects one."""
    if isinstance(texts, Measured):
        return texts.get_all(documents)
    try:
        return [text_of(document, texts) for document in documents]
    except RejectedRowError:
        return None


def check_row(row: LabeledDocument, *, kind: ProjectKind, texts: Texts | None, rules: CategoryRules) -> None:
    """Raise RejectedRowError unless the row fits its document (if `texts` is given), kind and categories."""
    check_name(row.document)
    for name in row.classes:
        rules.check(name)
    for span in row.spans:
        if span.category not in rules.known:
            rules.check(span.category)
    if (row.spans and kind is not ProjectKind.ENTITIES) or (row.classes and kind is ProjectKind.ENTITIES):
        raise RejectedRowError(Code.ROW_SHAPE, f"labels of another kind than {kind.value}")
    check_class_count(kind, row.classes)
    if texts is not None:
        text = text_of(row.document, texts)
        length = text.codepoint_length
        for span in row.spans:
            start = span.start
            # Where the units agree the range is all there is to look at; anything else is looked at whole.
            if text.astral or start < 0 or span.length <= 0 or start + span.length > length:
                bounds = [(s.start, s.start + s.length) for s in row.spans]
                bounds_in_utf16(bounds, OffsetUnit.UTF16, text)
                return


def check_limits(row: LabeledDocument, texts: Texts | None) -> None:
    """Raise RejectedRowError `span_too_long` or `document_too_long` for what Language does not take."""
    for span in row.spans:
        if span.length > MAX_SPAN:
            raise RejectedRowError(Code.SPAN_TOO_LONG, f"a span of {span.length} UTF-16 units")
    if texts is None:
        return
    length = text_of(row.document, texts).utf16_length
    if length > MAX_DOCUMENT:
        raise RejectedRowError(Code.DOCUMENT_TOO_LONG, f"a text of {length} UTF-16 units")


def checked(
    rows: Iterable[LabeledDocument | Quarantined],
    *,
    kind: ProjectKind,
    texts: Texts | None,
    categories: Collection[str] | None,
    source: str,
    for_language: bool = False,
) -> Iterator[LabeledDocument | Quarantined]:
    """Pass rows through, and quarantine each that does not fit; what is quarantined already stays so.

    For rows that were read without their texts, such as those of a Language project file. With
    `for_language` also what Language would refuse is put aside: names, lengths of spans and documents.
    """
    return Checking(
        kind=kind, texts=texts, categories=categories, source=source, for_language=for_language
    ).rows(rows)


class Checking:
    """See `checked`, for rows that come in several parts."""

    def __init__(
        self,
        *,
        kind: ProjectKind,
        texts: Texts | None,
        categories: Collection[str] | None,
        source: str,
        for_language: bool = False,
    ) -> None:
        """`rules` remembers the categories that were found to be allowed."""
        self.rules = CategoryRules(categories, for_language=for_language)
        self._kind = kind
        self._texts = texts
        self._source = source
        self._for_language = for_language

    def rows(self, rows: Iterable[LabeledDocument | Quarantined]) -> Iterator[LabeledDocument | Quarantined]:
        """`checked` for some of the rows."""
        for row in rows:
            if isinstance(row, Quarantined):
                yield row
                continue
            try:
                check_row(row, kind=self._kind, texts=self._texts, rules=self.rules)
                if self._for_language:
                    check_limits(row, self._texts)
            except RejectedRowError as no:
                raw = msgspec.json.encode(row)
                yield quarantined(no.code, no.reason, raw, source=self._source, document=row.document)
            else:
                yield row
