"""The JSON of Language's project file: its known fields typed, everything else carried as found.

Documents stay undecoded until somebody asks for one, so a broken document is one broken document,
and fields that this version does not know leave as the bytes they came as.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import msgspec

from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.rows import LabeledDocument, Span
from labelbridge.model import ProjectKind

Fields = dict[str, msgspec.Raw]
_BOM = b"\xef\xbb\xbf"
_fields = msgspec.json.Decoder(Fields)
_items = msgspec.json.Decoder(list[msgspec.Raw])


class Label(msgspec.Struct, gc=False):
    """A span; UTF-16 units."""

    category: str
    offset: int
    length: int


class Region(msgspec.Struct, gc=False):
    """A stretch of the document that is used in training, and the labels in it."""

    labels: list[Label] = []
    offset: int = msgspec.field(name="regionOffset", default=0)


class EntityDocument(msgspec.Struct, gc=False):
    """A document of an entity project."""

    location: str
    entities: list[Region] | None = None
    dataset: str | None = None
    language: str | None = None


class _Category(msgspec.Struct, gc=False):
    category: str


class ClassDocument(msgspec.Struct, gc=False):
    """A document of a single-label project."""

    location: str
    one: _Category | None = msgspec.field(name="class", default=None)
    dataset: str | None = None
    language: str | None = None

    def named(self) -> tuple[str, ...] | None:
        """Its class, None if it has none."""
        return None if self.one is None else (self.one.category,)


class ClassesDocument(msgspec.Struct, gc=False):
    """A document of a multi-label project."""

    location: str
    classes: list[_Category] | None = None
    dataset: str | None = None
    language: str | None = None

    def named(self) -> tuple[str, ...] | None:
        """Its classes, None if it was not labelled."""
        return None if self.classes is None else tuple([c.category for c in self.classes])


Document = EntityDocument | ClassDocument | ClassesDocument

_documents: dict[ProjectKind, msgspec.json.Decoder[Any]] = {
    ProjectKind.ENTITIES: msgspec.json.Decoder(EntityDocument),
    ProjectKind.SINGLE_LABEL: msgspec.json.Decoder(ClassDocument),
    ProjectKind.MULTI_LABEL: msgspec.json.Decoder(ClassesDocument),
}
_label = msgspec.json.Encoder()
_labels_field = {
    ProjectKind.ENTITIES: "entities",
    ProjectKind.SINGLE_LABEL: "class",
    ProjectKind.MULTI_LABEL: "classes",
}


def categories_field(kind: ProjectKind) -> str:
    """Name of the list of categories in the assets."""
    return "entities" if kind is ProjectKind.ENTITIES else "classes"


def decode_document(raw: msgspec.Raw, kind: ProjectKind) -> Document:
    """One entry of `assets.documents`; RejectedRowError if it is none."""
    try:
        entry: Document = _documents[kind].decode(raw)
    except msgspec.ValidationError as error:
        raise RejectedRowError(Code.ROW_SHAPE, str(error)) from error
    except UnicodeDecodeError as error:
        raise RejectedRowError(Code.INVALID_UTF8, f"the entry: {error.reason}") from error
    except RecursionError as error:
        raise RejectedRowError(Code.NESTED_TOO_DEEP, "the entry is nested too deep") from error
    except ValueError as error:
        raise RejectedRowError(Code.BROKEN_JSON, str(error)) from error
    return entry


@dataclass(frozen=True)
class Entry:
    """What the old file has for a document."""

    raw: msgspec.Raw | None
    labelled: bool
    taken: bool = False


TAKEN = Entry(None, labelled=True, taken=True)
"""Stands for a document that was written already."""


@dataclass(frozen=True)
class Parts:
    """A project file taken apart: known fields, and the rest as found, in its order."""

    metadata: dict[str, object]
    metadata_kind: str | None
    assets_kind: str | None
    documents: list[msgspec.Raw]
    counts_utf16: bool
    _top: Fields = field(repr=False)
    _assets: Fields = field(repr=False)

    @property
    def language(self) -> str | None:
        """The project's language, for documents that have none of their own."""
        language = self.metadata.get("language")
        return language if isinstance(language, str) else None

    def categories(self, kind: ProjectKind) -> list[tuple[str, msgspec.Raw]]:
        """Name and whole entry of each category, each name once; what is no category is passed over."""
        found: dict[str, msgspec.Raw] = {}
        raw = self._assets.get(categories_field(kind))
        try:
            entries = [] if raw is None else _items.decode(raw)
        except ValueError:
            return []
        for entry in entries:
            try:
                found.setdefault(msgspec.json.decode(entry, type=_Category).category, entry)
            except (ValueError, RecursionError):
                continue
        return list(found.items())

    def entries(self, kind: ProjectKind) -> dict[str, Entry]:
        """What the file has for each document; of two entries for one document the first."""
        found: dict[str, Entry] = {}
        for raw in self.documents:
            try:
                document = decode_document(raw, kind)
            except RejectedRowError:
                continue
            labels = document.entities if isinstance(document, EntityDocument) else document.named()
            found.setdefault(document.location, Entry(raw, labelled=labels is not None))
        return found

    def head(self, kind: ProjectKind, settings: Mapping[str, object]) -> bytes:
        """Everything up to the first document."""
        metadata = {k: v for k, v in self.metadata.items() if k.casefold() != "projectkind"}
        metadata |= {"projectKind": kind.value, "settings": dict(settings)}
        top = self._top | {"metadata": _raw(metadata)}
        top.setdefault("projectFileVersion", _raw("2022-05-01"))
        top.setdefault("stringIndexType", _raw("Utf16CodeUnit"))
        named = categories_field(kind)
        assets = {k: v for k, v in self._assets.items() if k != named and k.casefold() != "projectkind"}
        assets = {"projectKind": _raw(kind.value)} | assets
        return b"{" + _members(top) + b',"assets":{' + _members(assets) + b',"documents":['

    def tail(self, kind: ProjectKind, categories: Iterable[str]) -> bytes:
        """Everything after the last document: the categories stand there, when all are known."""
        old = dict(self.categories(kind))
        entries = [old.get(name) or _raw({"category": name}) for name in categories]
        named = categories_field(kind).encode()
        return b'],"' + named + b'":[' + b",".join(bytes(entry) for entry in entries) + b"]}}"


def parse(data: bytes) -> Parts:
    """Take a project file apart.

    Raises:
        ValueError, TypeError, RecursionError: it is not an object with assets or metadata in it.
    """
    data = data.removeprefix(_BOM)
    try:
        data.decode("utf-8")
        top = _fields.decode(data)
        assets = _fields.decode(top.pop("assets", b"{}"))
        documents = _documents_of(assets)
    except (ValueError, RecursionError):
        top, assets, documents = _mend(data)
    if not ("metadata" in top or assets):
        raise ValueError("it has neither metadata nor assets")
    found = top.pop("metadata", None)
    metadata = msgspec.json.decode(found, type=dict[str, object]) if _given(found) else {}
    index = top.get("stringIndexType")
    return Parts(
        metadata=metadata,
        metadata_kind=_kind(metadata),
        assets_kind=_kind({k: msgspec.json.decode(v) for k, v in assets.items() if _is_kind(k)}),
        documents=documents,
        counts_utf16=index is None or str(msgspec.json.decode(index)).casefold() == "utf16codeunit",
        _top=top,
        _assets=assets,
    )


def _documents_of(assets: Fields) -> list[msgspec.Raw]:
    return _list_of(assets.pop("documents", None))


def _mend(data: bytes) -> tuple[Fields, Fields, list[msgspec.Raw]]:
    """Take apart a file that is not quite JSON or not quite UTF-8, so that only its bad documents are lost.

    Python's own parser lets NaN and lone surrogates pass; written again they are still what they
    were, and the typed decoder rejects just the documents that have them.
    """
    value = json.loads(data.decode("utf-8", "surrogateescape"))
    if not isinstance(value, dict):
        raise TypeError("it is not a JSON object")
    assets = value.pop("assets", None)
    assets = {} if assets is None else assets
    if not isinstance(assets, dict):
        raise TypeError("assets is not a JSON object")
    documents = assets.pop("documents", None)
    documents = [] if documents is None else documents
    if not isinstance(documents, list):
        raise TypeError("assets.documents is not a list")
    top = {k: msgspec.Raw(json.dumps(v, allow_nan=False).encode()) for k, v in value.items()}
    rest = {k: msgspec.Raw(json.dumps(v, allow_nan=False).encode()) for k, v in assets.items()}
    return top, rest, [msgspec.Raw(json.dumps(d).encode()) for d in documents]


def encode_document(
    row: LabeledDocument, kind: ProjectKind, old: msgspec.Raw | None, length: int, language: str | None
) -> bytes:
    """One entry of `assets.documents`: the row, over what the old entry has besides, byte for byte.

    `length` is the document's, in UTF-16 units; `language` is for a document that has none.
    """
    entry: Fields = {} if old is None else _fields.decode(old)
    before = entry.get(_labels_field[kind])
    entry["location"] = _raw(row.document)
    language = row.language or (None if _given(entry.get("language")) else language)
    if language is not None:
        entry["language"] = _raw(language)
    if row.dataset is not None:
        entry["dataset"] = _raw(row.dataset)
    match kind:
        case ProjectKind.ENTITIES:
            entry["entities"] = _list([_region(row.spans, before, length)])
        case ProjectKind.SINGLE_LABEL:
            entry["class"] = msgspec.Raw(_classes(row.classes, [before] if _given(before) else [])[0])
        case ProjectKind.MULTI_LABEL:
            entry["classes"] = _list(_classes(row.classes, _list_of(before)))
    return b"{" + _members(entry) + b"}"


def _region(spans: tuple[Span, ...], before: msgspec.Raw | None, length: int) -> bytes:
    """One region over the whole document; labels that were there before keep their other fields."""
    regions = [_fields.decode(raw) for raw in _list_of(before)]
    known: dict[Span, bytes] = {}
    for region in regions:
        for raw in _list_of(region.get("labels")):
            label = msgspec.json.decode(raw, type=Label)
            known[Span(label.offset, label.length, label.category)] = bytes(raw)
    labels = [known.get(s) or _label.encode(Label(s.category, s.start, s.length)) for s in spans]
    first: Fields = regions[0] if regions else {}
    first |= {"regionOffset": _raw(0), "regionLength": _raw(length), "labels": _list(labels)}
    return b"{" + _members(first) + b"}"


def _classes(classes: tuple[str, ...], before: list[msgspec.Raw]) -> list[bytes]:
    known = {msgspec.json.decode(raw, type=_Category).category: bytes(raw) for raw in before}
    return [known.get(name) or bytes(_raw({"category": name})) for name in classes]


def _given(raw: msgspec.Raw | None) -> TypeGuard[msgspec.Raw]:
    return raw is not None and bytes(raw) != b"null"


def _list_of(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    return _items.decode(raw) if _given(raw) else []


def _list(items: list[bytes]) -> msgspec.Raw:
    return msgspec.Raw(b"[" + b",".join(items) + b"]")


def _is_kind(name: str) -> bool:
    return name.casefold() == "projectkind"


def _kind(fields: Mapping[str, object]) -> str | None:
    return next((v for k, v in fields.items() if _is_kind(k) and isinstance(v, str)), None)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _members(fields: Fields) -> bytes:
    return b",".join(msgspec.json.encode(name) + b":" + bytes(value) for name, value in fields.items())
