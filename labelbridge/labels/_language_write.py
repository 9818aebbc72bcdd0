"""Writes the documents of Language's project file: new ones fast, old ones with all that they had.

Prevents the loss of fields that a tool put into an entry: what an old entry, region or label has
besides the fields that we know is written again, byte for byte.
"""

from collections.abc import Callable, Sequence

import msgspec

from labelbridge.labels._language_json import (
    Fields,
    decode_fields,
    given,
    list_of,
    members_of,
    name_of,
    raw_of,
)
from labelbridge.labels.rows import LabeledDocument, Span
from labelbridge.model import ProjectKind

_labels_field = {
    ProjectKind.ENTITIES: "entities",
    ProjectKind.SINGLE_LABEL: "class",
    ProjectKind.MULTI_LABEL: "classes",
}
_encode = msgspec.json.Encoder().encode


class _Region(msgspec.Struct, gc=False):
    length: int = msgspec.field(name="regionLength")
    labels: tuple[Span, ...]
    offset: int = msgspec.field(name="regionOffset", default=0)


class _Category(msgspec.Struct, gc=False):
    category: str


class _EntitiesOut(msgspec.Struct, gc=False):
    location: str
    entities: tuple[_Region]
    language: str | msgspec.UnsetType = msgspec.UNSET
    dataset: str | msgspec.UnsetType = msgspec.UNSET


class _ClassOut(msgspec.Struct, gc=False):
    location: str
    one: _Category = msgspec.field(name="class")
    language: str | msgspec.UnsetType = msgspec.UNSET
    dataset: str | msgspec.UnsetType = msgspec.UNSET


class _ClassesOut(msgspec.Struct, gc=False):
    location: str
    classes: list[_Category]
    language: str | msgspec.UnsetType = msgspec.UNSET
    dataset: str | msgspec.UnsetType = msgspec.UNSET


NewDocument = _EntitiesOut | _ClassOut | _ClassesOut


def new_document(
    kind: ProjectKind, project_language: str | None
) -> Callable[[LabeledDocument, int], NewDocument]:
    """What makes the entry of a document that the file does not have.

    Takes the row and the document's length in UTF-16 units; `project_language` is for rows without.
    """
    unset = msgspec.UNSET
    standing = unset if project_language is None else project_language

    def entities(row: LabeledDocument, length: int) -> NewDocument:
        return _EntitiesOut(
            row.document,
            (_Region(length, row.spans),),
            standing if row.language is None else row.language,
            unset if row.dataset is None else row.dataset,
        )

    def classes(row: LabeledDocument, length: int) -> NewDocument:
        named = [_Category(name) for name in row.classes]
        language = standing if row.language is None else row.language
        dataset = unset if row.dataset is None else row.dataset
        if kind is ProjectKind.SINGLE_LABEL:
            return _ClassOut(row.document, named[0], language, dataset)
        return _ClassesOut(row.document, named, language, dataset)

    return entities if kind is ProjectKind.ENTITIES else classes


def encoded(
    kind: ProjectKind, project_language: str | None, rows: Sequence[LabeledDocument], lengths: Sequence[int]
) -> bytes:
    """The entries of documents that the file does not have, as in a JSON list without its brackets."""
    make = new_document(kind, project_language)
    return _encode(list(map(make, rows, lengths)))[1:-1]


def document_writer(
    kind: ProjectKind, project_language: str | None
) -> Callable[[LabeledDocument, int, msgspec.Raw | None], bytes]:
    """As `new_document`, as JSON, over the entry that the file has, if any."""
    new = new_document(kind, project_language)

    def write(row: LabeledDocument, length: int, old: msgspec.Raw | None) -> bytes:
        if old is not None:
            try:
                if kind is ProjectKind.ENTITIES and (plain := _plain(old)) is not None:
                    return _encode(new(_with_defaults(row, plain), length))
                return _over(row, kind, old, length, project_language)
            except ValueError:
                # A field that we do not know holds half a surrogate pair: no JSON, so nothing to carry.
                pass
        return _encode(new(row, length))

    return write


class _PlainSpan(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    offset: int
    length: int
    category: str


class _PlainRegion(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    labels: list[_PlainSpan]
    regionOffset: int  # noqa: N815
    regionLength: int  # noqa: N815


class _PlainEntry(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An entry that has nothing but what is written anew."""

    location: str
    entities: list[_PlainRegion] = []
    language: str | None = None
    dataset: str | None = None


_plain_entry = msgspec.json.Decoder(_PlainEntry)


def _plain(old: msgspec.Raw) -> _PlainEntry | None:
    """The old entry if it has no field that would have to be carried: then a new one says as much."""
    try:
        entry = _plain_entry.decode(old)
    except ValueError:
        return None
    return entry if len(entry.entities) < 2 else None


def _with_defaults(row: LabeledDocument, old: _PlainEntry) -> LabeledDocument:
    """The row, with the old entry's language and dataset where it has none."""
    if row.language is not None and row.dataset is not None:
        return row
    return LabeledDocument(
        document=row.document,
        spans=row.spans,
        classes=row.classes,
        dataset=row.dataset or old.dataset,
        language=row.language or old.language,
    )


def _over(
    row: LabeledDocument, kind: ProjectKind, old: msgspec.Raw, length: int, language: str | None
) -> bytes:
    """The row, over what the old entry has besides."""
    entry: Fields = decode_fields(old)
    before = entry.get(_labels_field[kind])
    entry["location"] = raw_of(row.document)
    language = row.language or (None if given(entry.get("language")) else language)
    if language is not None:
        entry["language"] = raw_of(language)
    if row.dataset is not None:
        entry["dataset"] = raw_of(row.dataset)
    match kind:
        case ProjectKind.ENTITIES:
            entry["entities"] = _list([_region(row.spans, before, length)])
        case ProjectKind.SINGLE_LABEL:
            entry["class"] = msgspec.Raw(_classes(row.classes, [before] if given(before) else [])[0])
        case ProjectKind.MULTI_LABEL:
            entry["classes"] = _list(_classes(row.classes, list_of(before)))
    return b"{" + members_of(entry) + b"}"


def _region(spans: tuple[Span, ...], before: msgspec.Raw | None, length: int) -> bytes:
    """One region over the whole document; labels that were there before keep their other fields."""
    regions = [decode_fields(raw) for raw in list_of(before)]
    known: dict[Span, bytes] = {}
    for region in regions:
        for raw in list_of(region.get("labels")):
            known[msgspec.json.decode(raw, type=Span)] = bytes(raw)
    labels = [known.get(s) or _encode(s) for s in spans]
    first: Fields = regions[0] if regions else {}
    first |= {"regionOffset": raw_of(0), "regionLength": raw_of(length), "labels": _list(labels)}
    return b"{" + members_of(first) + b"}"


def _classes(classes: tuple[str, ...], before: list[msgspec.Raw]) -> list[bytes]:
    known = {name_of(raw): bytes(raw) for raw in before}
    return [known.get(name) or bytes(raw_of({"category": name})) for name in classes]


def _list(items: list[bytes]) -> msgspec.Raw:
    return msgspec.Raw(b"[" + b",".join(items) + b"]")
