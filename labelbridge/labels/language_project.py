"""Language's project file (the JSON of export and import): tolerant to read, strict to write.

Prevents two failures users know: a file that Azure refuses because `assets.projectKind` and
`metadata.projectKind` differ, and a round trip that drops fields which this version does not know.
Shape and units: Language's data-format pages and its authoring API (`projectFileVersion` 2022-05-01
and later). Offsets are UTF-16 units.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import _language_json as wire
from labelbridge.labels._language_write import document_writer, encoded
from labelbridge.labels.batches import Batch
from labelbridge.labels.checks import CategoryRules, check_class_count, check_row, text_of
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.offsets import Texts
from labelbridge.labels.paths import check_name
from labelbridge.labels.rows import LabeledDocument, Quarantined, Span, categories_used, quarantined
from labelbridge.labels.spill import Seen
from labelbridge.model import ProjectKind

FILE_VERSION = "2022-05-01"
_BATCH = 512
"""New documents that are encoded at once."""
STRING_INDEX = "Utf16CodeUnit"
"""The only `stringIndexType` of the authoring API."""


class Reading(NamedTuple):
    """What one reading of a file has learnt so far."""

    rules: CategoryRules
    seen: Seen


class LanguageProjectFile:
    """One project file, with every field that it came with; immutable."""

    def __init__(self, parts: wire.Parts, kind: ProjectKind, source: str) -> None:
        """Use `parse` or `new`."""
        self._parts = parts
        self._source = source
        self.kind = kind

    @classmethod
    def parse(cls, data: bytes, source: str) -> "LanguageProjectFile":
        """Read a project file from memory; see `open`."""
        return cls.open(io.BytesIO(data), source)

    @classmethod
    def open(cls, file: BinaryIO, source: str) -> "LanguageProjectFile":
        """Read a project file that may be of any size; `source` names it in the quarantine.

        `file` must be seekable and stay open; its documents are read one block at a time whenever
        rows are asked for. Only one thread may use the result.

        Tolerates a BOM, any case of `projectKind` and of its value, `projectKind` in one place only,
        and absent `metadata.settings`, categories, documents and datasets. Where both kinds are given and differ, the
        one of the assets counts, since it says what shape the documents have.

        Raises:
            LabelbridgeError: `input_invalid` if it is no project file of a kind known here.
        """
        try:
            parts = wire.parse(file)
        except (ValueError, TypeError, RecursionError) as error:
            raise LabelbridgeError("input_invalid", f"{source} is no project file: {error}") from error
        found = parts.assets_kind or parts.metadata_kind
        kind = next((k for k in ProjectKind if k.value.casefold() == (found or "").casefold()), None)
        if kind is None:
            raise LabelbridgeError("input_invalid", f"{source} is no project file: projectKind is {found!r}")
        return cls(parts, kind, source)

    @classmethod
    def new(
        cls,
        *,
        name: str,
        kind: ProjectKind,
        container: str,
        language: str,
        description: str = "",
        categories: Sequence[str] = (),
    ) -> "LanguageProjectFile":
        """A project file without documents, for a project that does not exist yet."""
        metadata: dict[str, object] = {
            "projectName": name,
            "storageInputContainerName": container,
            "projectKind": kind.value,
            "description": description,
            "language": language,
            "multilingual": False,
            "settings": {},
        }
        assets = {
            "projectKind": kind.value,
            wire.categories_field(kind): [{"category": c} for c in categories],
        }
        top = {
            "projectFileVersion": FILE_VERSION,
            "stringIndexType": STRING_INDEX,
            "metadata": metadata,
            "assets": assets,
        }
        return cls.parse(msgspec.json.encode(top), name)

    @property
    def metadata(self) -> dict[str, object]:
        """The project's metadata, as it stands in the file (a copy)."""
        return dict(self._parts.metadata)

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the project's classes or entities, in the file's order."""
        return tuple(name for name, _ in self._parts.categories(self.kind))

    def rows(self) -> Iterator[LabeledDocument | Quarantined]:
        """The labelled documents, in the file's order, and those that cannot be read.

        A document whose labels are an empty list is labelled with nothing; one that has no such
        field is not labelled and gives no row. Spans are not held against the documents' texts
        here: `checks.checked` does that.
        """
        known = self.reading()
        for first, entries, raws in self._parts.documents.decoded_blocks(self.kind):
            yield from self.rows_of(first, entries, raws, known)

    def reading(self) -> "Reading":
        """What is known at the start of a reading of all documents."""
        return Reading(CategoryRules(self.categories or None, for_language=False), Seen())

    def blocks(self) -> Iterator[tuple[int, Sequence[wire.Document], Sequence[msgspec.Raw]]]:
        """The documents in blocks, for `rows_of`: the first one's number, all decoded, or all as found."""
        return self._parts.documents.decoded_blocks(self.kind)

    @property
    def counts_utf16(self) -> bool:
        """True if the file says that its offsets are UTF-16 units, or nothing."""
        return self._parts.counts_utf16

    def rows_of(
        self,
        first: int,
        entries: Sequence[wire.Document],
        raws: Sequence[msgspec.Raw],
        reading: "Reading",
    ) -> Iterator[LabeledDocument | Quarantined]:
        """The rows of one block."""
        for index, (raw, decoded) in enumerate(
            [*((None, entry) for entry in entries), *((raw, None) for raw in raws)], first
        ):
            document = None
            try:
                entry = decoded if raw is None else wire.decode_document(raw, self.kind)
                assert entry is not None
                document = entry.location
                row = self._row(entry, reading.rules)
                if row is None:
                    continue
                if reading.seen.first(document, index) != index:
                    raise RejectedRowError(Code.DUPLICATE_DOCUMENT, "an earlier entry was for this document")
            except RejectedRowError as no:
                reason = f"documents[{index}]: {no.reason}"
                found = bytes(self._parts.documents.raw(index) if raw is None else raw)
                yield quarantined(no.code, reason, found, source=self._source, document=document)
            else:
                yield row

    def _row(self, entry: wire.Document, rules: CategoryRules) -> LabeledDocument | None:
        check_name(entry.location)
        spans: tuple[Span, ...] = ()
        classes: tuple[str, ...] = ()
        if isinstance(entry, wire.EntityDocument):
            if entry.entities is None:
                return None
            spans = self._spans(entry.entities)
        else:
            found = entry.named()
            if found is None:
                return None
            classes = found
        for name in classes:
            rules.check(name)
        known = rules.known
        for span in spans:
            if span.category not in known:
                rules.check(span.category)
        check_class_count(self.kind, classes)
        return LabeledDocument(
            document=entry.location,
            spans=spans,
            classes=classes,
            dataset=entry.dataset,
            language=entry.language,
        )

    def _spans(self, regions: list[wire.Region]) -> tuple[Span, ...]:
        spans = regions[0].labels if len(regions) == 1 else tuple([s for r in regions for s in r.labels])
        for region in regions:
            if region.labels and region.offset:
                raise RejectedRowError(Code.AMBIGUOUS_REGION, f"labels in a region from {region.offset} on")
        if spans and not self._parts.counts_utf16:
            raise RejectedRowError(Code.UNSUPPORTED_STRING_INDEX, "stringIndexType is not Utf16CodeUnit")
        for span in spans:
            if span.start < 0 or span.length <= 0:
                code = Code.EMPTY_SPAN if span.start >= 0 == span.length else Code.SPAN_OUT_OF_RANGE
                raise RejectedRowError(code, f"a span from {span.start} of length {span.length}")
        return spans

    def with_labels(
        self,
        rows: Iterable[LabeledDocument],
        *,
        texts: Texts,
        settings: Mapping[str, object],
        categories: Sequence[str] | None = None,
    ) -> bytes:
        """The file to import so that the project has exactly these labels.

        Unknown fields stay, those of documents and labels that remain included. Documents come in the
        order of `rows`; entries of the old file that were not labelled follow as they were, and
        entries that were labelled (or unreadable) and have no row are gone. Regions start at 0 and are
        as long as the document. An import replaces the project, its gate included, so `settings`
        says what the gate shall be.

        Args:
            rows: the labels.
            texts: the documents, for their length.
            settings: the whole of `metadata.settings`.
            categories: more categories than the file has; those that rows use are added too.

        Raises:
            LabelbridgeError: `labels_quarantined` for a row that does not fit its document or kind.
        """
        return b"".join(self.stream(rows, texts=texts, settings=settings, categories=categories))

    def stream(
        self,
        rows: Iterable[LabeledDocument],
        *,
        texts: Texts | None,
        settings: Mapping[str, object],
        categories: Sequence[str] | None = None,
        vouched: bool = False,
    ) -> Iterator[bytes]:
        """`with_labels` in pieces, one document at a time, in bounded memory.

        `texts` may be None for classes. `vouched`: rows were held against these texts and this kind.
        """
        yield self._parts.head(self.kind, settings)
        names = dict.fromkeys((*self.categories, *(categories or ())))
        rules = None if vouched else CategoryRules(None, for_language=False)
        if not self.has_documents:
            yield from self._new_documents(rows, names, texts, rules)
        else:
            yield from self._documents(rows, names, texts, rules)
        yield self._parts.tail(self.kind, names)

    def _new_documents(
        self,
        rows: Iterable[LabeledDocument],
        names: dict[str, None],
        texts: Texts | None,
        rules: CategoryRules | None,
    ) -> Iterator[bytes]:
        """Entries for a file that has none; vouched-for rows are known to be one for each document."""
        written = None if rules is None else Seen()
        held: list[LabeledDocument] = []
        lengths: list[int] = []
        separator = b""
        for number, row in enumerate(rows, 1):
            if written is not None and written.first(row.document, number) != number:
                raise _twice(row)
            held.append(row)
            lengths.append(self._length(row, texts, rules))  # at once: a text may be known for a while only
            if len(held) == _BATCH:
                yield separator + self._encoded(Batch.clean(held, None), lengths, names)
                separator, held, lengths = b",", [], []
        if held:
            yield separator + self._encoded(Batch.clean(held, None), lengths, names)

    def stream_batches(
        self, batches: Iterable[Batch], *, settings: Mapping[str, object], categories: Sequence[str] | None
    ) -> Iterator[bytes]:
        """`stream` for a file without documents, of rows that were held against the texts they come with."""
        yield self._parts.head(self.kind, settings)
        names = dict.fromkeys((*self.categories, *(categories or ())))
        separator = b""
        for batch in batches:
            if batch.rows:
                assert batch.texts is not None
                lengths = [text.codepoint_length + len(text.astral) for text in batch.texts]
                yield separator + self._encoded(batch, lengths, names)
                separator = b","
        yield self._parts.tail(self.kind, names)

    def _encoded(self, batch: Batch, lengths: Sequence[int], names: dict[str, None]) -> bytes:
        for name in batch.counts:
            names.setdefault(name)
        return encoded(self.kind, self._parts.language, batch.rows, lengths)

    @property
    def has_documents(self) -> bool:
        """True if the file has entries of documents."""
        return len(self._parts.documents) > 0

    def _documents(
        self,
        rows: Iterable[LabeledDocument],
        names: dict[str, None],
        texts: Texts | None,
        rules: CategoryRules | None,
    ) -> Iterator[bytes]:
        """Entries over those that the file has; the ones without labels and without a row follow."""
        documents, old = self._parts.documents, wire.Entries(self._parts.documents, self.kind)
        write = document_writer(self.kind, self._parts.language)
        written = Seen()
        separator = b""
        for number, row in enumerate(rows):
            if written.first(row.document, number) != number:
                raise _twice(row)
            names.update(dict.fromkeys(categories_used((row,))))
            found = old.get(row.document)
            raw = None if found is None else documents.raw(found[0])
            yield separator + write(row, self._length(row, texts, rules), raw)
            separator = b","
        for name, index in old.unlabelled():
            if name not in written:
                yield separator + bytes(documents.raw(index))
                separator = b","

    def _length(self, row: LabeledDocument, texts: Texts | None, rules: CategoryRules | None) -> int:
        """Length of the row's document in UTF-16 units; 0 for classes, which have no regions."""
        try:
            if rules is not None:
                check_row(row, kind=self.kind, texts=texts, rules=rules)
            elif texts is not None and (text := texts.get(row.document)) is not None:
                return text.codepoint_length + len(text.astral)
            if self.kind is not ProjectKind.ENTITIES:
                return 0
            if texts is None:
                raise ValueError("entities cannot be written without their texts")
            return text_of(row.document, texts).utf16_length
        except RejectedRowError as no:
            raise LabelbridgeError(
                "labels_quarantined", f"{row.document}: {no.reason} ({no.code.value})"
            ) from no


def _twice(row: LabeledDocument) -> LabelbridgeError:
    return LabelbridgeError("labels_quarantined", f"two rows for the document {row.document!r}")
