"""The JSON of Language's project file: its known fields typed, everything else carried as found.

Documents stay in the file until somebody asks for one, so a broken document is one broken document, a
project of any size is read in bounded memory, and fields that this version does not know leave as the
bytes they came as.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeGuard

import msgspec

from labelbridge.labels import _json_scan as scan
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.lines import MAX_LINE_BYTES
from labelbridge.labels.rows import Span
from labelbridge.labels.spill import HELD, scratch
from labelbridge.model import ProjectKind

Fields = dict[str, msgspec.Raw]
_fields = msgspec.json.Decoder(Fields)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_CACHED = 16
"""Blocks of documents kept at hand while documents are looked up by name."""


class Region(msgspec.Struct, gc=False):
    """A stretch of the document that is used in training, and the labels in it."""

    labels: tuple[Span, ...] = ()
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
_document_lists: dict[ProjectKind, msgspec.json.Decoder[Any]] = {
    ProjectKind.ENTITIES: msgspec.json.Decoder(list[EntityDocument]),
    ProjectKind.SINGLE_LABEL: msgspec.json.Decoder(list[ClassDocument]),
    ProjectKind.MULTI_LABEL: msgspec.json.Decoder(list[ClassesDocument]),
}


def categories_field(kind: ProjectKind) -> str:
    """Name of the list of categories in the assets."""
    return "entities" if kind is ProjectKind.ENTITIES else "classes"


def decode_document(raw: msgspec.Raw, kind: ProjectKind) -> Document:
    """One entry of `assets.documents`; RejectedRowError if it is none."""
    if memoryview(raw).nbytes > MAX_LINE_BYTES:
        raise RejectedRowError(Code.LINE_TOO_LONG, f"an entry of more than {MAX_LINE_BYTES} bytes")
    try:
        bytes(raw).decode("utf-8")  # the parser does not look into fields that it passes over
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


class Documents:
    """The entries of `assets.documents`, read from the file as they are asked for."""

    def __init__(self, file: BinaryIO, places: scan.Elements) -> None:
        """`places` says where in `file` they are."""
        self._file = file
        self._places = places
        self._recent: OrderedDict[int, list[msgspec.Raw]] = OrderedDict()

    def __len__(self) -> int:
        return self._places.count

    def block(self, number: int) -> list[msgspec.Raw]:
        """The entries of one place; one that is longer than any real document comes cut."""
        start, end, _, whole = self._places.range(number)
        if whole:
            return _items.decode(b"[" + self._read(start, end) + b"]")
        return [msgspec.Raw(self._read(start, min(end, start + MAX_LINE_BYTES + 1)))]

    def recent(self, number: int) -> list[msgspec.Raw]:
        """`block`, where the last few are remembered."""
        found = self._recent.get(number)
        if found is None:
            found = self._recent[number] = self.block(number)
            if len(self._recent) > _CACHED:
                self._recent.popitem(last=False)
        return found

    def decoded(self, kind: ProjectKind) -> Iterator[tuple[int, msgspec.Raw | None, Document | None]]:
        """Number, entry as found, entry decoded; one of the two is None.

        What can be decoded is given decoded, what cannot, as found.
        """
        for first, entries, raws in self.decoded_blocks(kind):
            yield from ((index, None, entry) for index, entry in enumerate(entries, first))
            yield from ((index, raw, None) for index, raw in enumerate(raws, first))

    def decoded_blocks(
        self, kind: ProjectKind
    ) -> Iterator[tuple[int, Sequence[Document], Sequence[msgspec.Raw]]]:
        """Number of the first entry of a block, its entries decoded, or as found if one cannot be decoded."""
        decoder = _document_lists[kind]
        for number in range(len(self._places)):
            start, end, first, whole = self._places.range(number)
            try:
                if not whole:
                    raise ValueError("to be looked at by itself")
                entries = decoder.decode(b"[" + self._read(start, end) + b"]")
            except (ValueError, RecursionError):
                yield first, (), self.block(number)
            else:
                yield first, entries, ()

    def raw(self, index: int) -> msgspec.Raw:
        """The entry of a number, as found."""
        number = self._places.place_of(index)
        return self.recent(number)[index - self._places.range(number)[2]]

    def _read(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        return self._file.read(end - start)


class Entries:
    """Number of the entry of each document, by name; of two for one document the first. On disk if many."""

    def __init__(self, documents: Documents, kind: ProjectKind) -> None:
        """Look at all `documents` once."""
        self._held: dict[str, tuple[int, bool]] | None = {} if len(documents) <= HELD else None
        self._database = None
        if self._held is None:
            self._database = scratch()
            self._database.execute(
                "create table old(name text primary key, number int, labelled int) without rowid"
            )
            self._database.executemany("insert or ignore into old values(?, ?, ?)", _named(documents, kind))
            return
        for name, index, labelled in _named(documents, kind):
            self._held.setdefault(name, (index, labelled))

    def get(self, name: str) -> tuple[int, bool] | None:
        """Number of the document's entry and whether it is labelled; None if there is none."""
        if self._held is not None:
            return self._held.get(name)
        assert self._database is not None
        found = self._database.execute("select number, labelled from old where name = ?", (name,)).fetchone()
        return None if found is None else (int(found[0]), bool(found[1]))

    def unlabelled(self) -> Iterator[tuple[str, int]]:
        """Name and number of the documents without labels, in the file's order."""
        if self._held is not None:
            yield from ((name, index) for name, (index, labelled) in self._held.items() if not labelled)
            return
        assert self._database is not None
        yield from self._database.execute("select name, number from old where not labelled order by number")


def _named(documents: Documents, kind: ProjectKind) -> Iterator[tuple[str, int, bool]]:
    for index, raw, decoded in documents.decoded(kind):
        entry = decoded
        if raw is not None:
            try:
                entry = decode_document(raw, kind)
            except RejectedRowError:
                continue
        assert entry is not None
        labels = entry.entities if isinstance(entry, EntityDocument) else entry.named()
        yield entry.location, index, labels is not None


@dataclass(frozen=True)
class Parts:
    """A project file taken apart: known fields, and the rest as found, in its order."""

    metadata: dict[str, object]
    metadata_kind: str | None
    assets_kind: str | None
    documents: Documents
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

    def head(self, kind: ProjectKind, settings: Mapping[str, object]) -> bytes:
        """Everything up to the first document."""
        metadata = {k: v for k, v in self.metadata.items() if k.casefold() != "projectkind"}
        metadata |= {"projectKind": kind.value, "settings": dict(settings)}
        top = self._top | {"metadata": raw_of(metadata)}
        top.setdefault("projectFileVersion", raw_of("2022-05-01"))
        top.setdefault("stringIndexType", raw_of("Utf16CodeUnit"))
        named = categories_field(kind)
        assets = {k: v for k, v in self._assets.items() if k != named and k.casefold() != "projectkind"}
        assets = {"projectKind": raw_of(kind.value)} | assets
        return b"{" + members_of(top) + b',"assets":{' + members_of(assets) + b',"documents":['

    def tail(self, kind: ProjectKind, categories: Iterable[str]) -> bytes:
        """Everything after the last document: the categories stand there, when all are known."""
        old = dict(self.categories(kind))
        entries = [old.get(name) or raw_of({"category": name}) for name in categories]
        named = categories_field(kind).encode()
        return b'],"' + named + b'":[' + b",".join(bytes(entry) for entry in entries) + b"]}}"


def parse(file: BinaryIO) -> Parts:
    """Take a project file apart; the file must stay open as long as its documents are asked for.

    Raises:
        ValueError, TypeError, RecursionError: it is not an object with assets or metadata in it.
    """
    cursor = scan.Cursor(file)
    top, assets = Fields(), Fields()
    places = scan.Elements()
    if cursor.peek() != b"{":
        raise TypeError("it is not a JSON object")
    for name in scan.members(cursor):
        cursor.take(b":")
        if name != "assets":
            top[name] = _checked(cursor.value())
            continue
        if cursor.peek() == b"{":
            if assets:
                raise ValueError("it has assets twice")
            assets, places = _assets(cursor)
        elif given(_checked(cursor.value())):
            raise TypeError("assets is not a JSON object")
    cursor.end()
    if not ("metadata" in top or assets):
        raise ValueError("it has neither metadata nor assets")
    found = top.pop("metadata", None)
    metadata = msgspec.json.decode(found, type=dict[str, object]) if given(found) else {}
    index = top.get("stringIndexType")
    return Parts(
        metadata=metadata,
        metadata_kind=_kind(metadata),
        assets_kind=_kind({k: msgspec.json.decode(v) for k, v in assets.items() if _is_kind(k)}),
        documents=Documents(file, places),
        counts_utf16=index is None or str(msgspec.json.decode(index)).casefold() == "utf16codeunit",
        _top=top,
        _assets=assets,
    )


def _assets(cursor: scan.Cursor) -> tuple[Fields, scan.Elements]:
    assets, places = Fields(), scan.Elements()
    for name in scan.members(cursor):
        cursor.take(b":")
        if name != "documents":
            assets[name] = _checked(cursor.value())
        elif cursor.peek() == b"[":
            if len(places):
                raise ValueError("it has documents twice")
            places = scan.elements(cursor)
        elif given(_checked(cursor.value())):
            raise TypeError("assets.documents is not a list")
    return assets, places


def _checked(value: bytes) -> msgspec.Raw:
    value.decode("utf-8")
    msgspec.json.decode(value, type=msgspec.Raw)
    return msgspec.Raw(value)


def given(raw: msgspec.Raw | None) -> TypeGuard[msgspec.Raw]:
    """True if a field is there and not null."""
    return raw is not None and bytes(raw) != b"null"


def list_of(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """The items of a list; none if it is not there or null."""
    return _items.decode(raw) if given(raw) else []


def _is_kind(name: str) -> bool:
    return name.casefold() == "projectkind"


def _kind(fields: Mapping[str, object]) -> str | None:
    return next((v for k, v in fields.items() if _is_kind(k) and isinstance(v, str)), None)


def raw_of(value: object) -> msgspec.Raw:
    """A value as JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def members_of(fields: Fields) -> bytes:
    """The members of an object, without its braces."""
    return b",".join(msgspec.json.encode(name) + b":" + bytes(value) for name, value in fields.items())


def decode_fields(raw: msgspec.Raw) -> Fields:
    """The members of an object, each as found."""
    return _fields.decode(raw)


def name_of(raw: msgspec.Raw) -> str:
    """The name in an entry that holds a category."""
    return msgspec.json.decode(raw, type=_Category).category
