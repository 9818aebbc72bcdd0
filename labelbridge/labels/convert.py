"""Converts labels from one format into another, with no server: the engine of `labelbridge convert`.

Prevents two failures: an output that is there although it is not whole (it is written beside its place
and moved there at the end), and a conversion that looks complete while rows or parts of labels are
missing (every row is counted, every loss is reported, and a lossy export is refused unless allowed).
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import checks, formats
from labelbridge.labels._readers import AzureMLReader, BatchReader, LanguageReader
from labelbridge.labels._writers import BatchWriter
from labelbridge.labels.batches import Batch
from labelbridge.labels.categories import CategoriesMap
from labelbridge.labels.contents import Contents, InlineContents, Measured
from labelbridge.labels.formats import Format, Reader, ReadOptions, Source, WriteOptions, Writer
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.loss import LossReport, refuse
from labelbridge.labels.offsets import InlineTexts, Texts
from labelbridge.labels.paths import UrlStyle
from labelbridge.labels.quarantine import Sieve, Totals
from labelbridge.labels.rows import LabeledDocument, Quarantined, categories_used
from labelbridge.model import OffsetUnit, ProjectKind

Progress = Callable[[int], None]
"""Called with the number of rows read so far, now and then."""
_EVERY = 1000
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Target:
    """What the output is to say besides labels; what is empty is taken from the input or assumed."""

    datastore: str = ""
    style: UrlStyle = "AmlDatastore"
    workspace: str | None = None
    project: str = ""
    container: str = ""
    language: str = ""
    template: LanguageProjectFile | None = None


@dataclass(frozen=True)
class Conversion:
    """What is to be done.

    Args:
        source: format of the input; None finds it out.
        target: format of the output.
        read: how the input is read; `texts` and `for_language` are set here.
        documents: where documents come from; None does without.
        inline: the input's rows carry their text in the field `text`.
        into: see `Target`.
        unit: what offsets in Azure ML's output count.
        categories_map: see `categories`.
        allow_lossy: go on although labels are lost in the output's format.
    """

    target: Format
    source: Format | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    documents: Contents | None = None
    inline: bool = False
    into: Target = field(default_factory=Target)
    unit: OffsetUnit = OffsetUnit.UTF16
    categories_map: CategoriesMap | None = None
    allow_lossy: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversion did."""

    source: str
    target: str
    kind: ProjectKind
    totals: Totals
    loss: LossReport
    vote: dict[str, int] | None
    """Votes by unit, if a vote was held."""
    settled: str | None
    """The unit that the vote decided for ambiguous documents, if it decided."""
    sha256: str
    """Of the output."""
    size: int
    """Bytes of the output."""
    assumed: tuple[str, ...]
    """What the output's format wants and nobody said."""


def convert(
    source: Source,
    out: BinaryIO,
    conversion: Conversion,
    *,
    quarantine: BinaryIO | None = None,
    progress: Progress | None = None,
) -> Report:
    """Convert `source` into `out`, in bounded memory.

    Args:
        source: the input.
        out: where the output is written, in order; throw it away if this raises.
        conversion: what is to be done.
        quarantine: side file for rows that cannot be used; None only counts them.
        progress: see `Progress`.

    Raises:
        LabelbridgeError: `lossy_export` once all is written, unless losses are allowed;
            `input_invalid` or `snapshot_unreadable` for an input that as a whole
            cannot be read, or options that do not fit.
    """
    found = conversion.source or formats.detect(source)
    texts, contents = _documents(conversion, found)
    to_language = conversion.target is Format.LANGUAGE and found is not Format.LANGUAGE
    options = replace(
        conversion.read,
        texts=texts,
        # With a map, names are checked after they were mapped.
        for_language=to_language and conversion.categories_map is None,
    )
    reader = formats.reader(source, found, options)
    mapping = _Mapping(conversion, found, reader, source.name)
    if contents is not None and hasattr(contents, "expect"):
        contents.expect(reader.documents())
    write_options, assumed = _write_options(conversion, reader, mapping, texts, contents)
    writer = formats.writer(conversion.target, write_options)
    sieve = Sieve(quarantine)
    digest, size = hashlib.sha256(), 0
    for block in _blocks(_written(writer, reader, mapping, sieve, texts, progress)):
        digest.update(block)
        size += len(block)
        out.write(block)
    loss = writer.losses.report()
    if not conversion.allow_lossy:
        refuse(loss)
    vote = reader.settled if isinstance(reader, AzureMLReader) else None
    decision = vote.decision if vote else None
    return Report(
        source=found.value,
        target=conversion.target.value,
        kind=reader.kind,
        totals=sieve.totals(),
        loss=loss,
        vote={"utf16": vote.utf16, "codepoint": vote.codepoint} if vote else None,
        settled=decision.value if decision else None,
        sha256=digest.hexdigest(),
        size=size,
        assumed=assumed,
    )


def _written(
    writer: Writer,
    reader: Reader,
    mapping: "_Mapping",
    sieve: Sieve,
    texts: Texts | None,
    progress: Progress | None,
) -> Iterator[bytes]:
    """The output: in batches where both sides can and nothing stands between them, else row by row."""
    if mapping.changes_nothing and hasattr(writer, "takes_batches") and hasattr(reader, "batches"):
        by_batch = cast(BatchWriter, writer)
        batches = cast(BatchReader, reader).batches()
        if by_batch.takes_batches():
            return by_batch.write_batches(sieve.batches(_told(batches, progress)))
    return writer.write(sieve.passing(_counted(mapping.rows(texts), progress)))


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: hashing and writing cost by the call."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > _BLOCK:
            yield b"".join(held)
            held.clear()
            size = 0
    yield b"".join(held)


def _documents(conversion: Conversion, found: Format) -> tuple[Texts | None, Contents | None]:
    if conversion.inline:
        if found not in (Format.AZUREML, Format.MLTABLE):
            raise LabelbridgeError("input_invalid", "Only Azure ML's rows can carry their text.")
        texts = InlineTexts()
        return texts, InlineContents(texts)
    if conversion.documents is None:
        return None, None
    return Measured(conversion.documents), conversion.documents


class _Mapping:
    """The reader's rows with their categories mapped, checked again where the names changed."""

    def __init__(self, conversion: Conversion, found: Format, reader: Reader, source: str) -> None:
        self._map = conversion.categories_map
        self._reader = reader
        self._source = source
        self._to_language = conversion.target is Format.LANGUAGE
        if self._map is not None and self._to_language == (found is Format.LANGUAGE):
            raise LabelbridgeError(
                "input_invalid",
                "A categories map is between Language's names and others: one side is Language.",
            )

    @property
    def categories(self) -> tuple[str, ...] | None:
        """The project's categories, mapped."""
        names = self._reader.categories
        if names is None or self._map is None:
            return names
        return self._map.names(names, to_language=self._to_language)

    @property
    def changes_nothing(self) -> bool:
        """True without a map."""
        return self._map is None

    def rows(self, texts: Texts | None) -> Iterator[LabeledDocument | Quarantined]:
        if self._map is None:
            return self._reader.rows()
        renamed = self._map.rename(self._reader.rows(), to_language=self._to_language, source=self._source)
        if not self._to_language:
            return renamed
        return checks.checked(
            renamed,
            kind=self._reader.kind,
            texts=texts,
            categories=None,
            source=self._source,
            for_language=True,
        )


def _write_options(
    conversion: Conversion,
    reader: Reader,
    mapping: _Mapping,
    texts: Texts | None,
    contents: Contents | None,
) -> tuple[WriteOptions, tuple[str, ...]]:
    into, target = conversion.into, conversion.target
    assumed: list[str] = []
    categories = mapping.categories
    if categories is None and _needs_categories(target, reader.kind):
        found = (row for row in mapping.rows(texts) if isinstance(row, LabeledDocument))
        categories = tuple(sorted(categories_used(found)))
        if contents is not None and hasattr(contents, "expect"):
            contents.expect(reader.documents())
    template = into.template
    project = reader.project if isinstance(reader, LanguageReader) else None
    if target is Format.LANGUAGE:
        template = template or project or _new_template(into, reader.kind, assumed)
    datastore = into.datastore
    if target is Format.AZUREML and not datastore:
        datastore = str(project.metadata.get("storageInputContainerName") or "") if project else ""
        datastore = datastore or "documents"
        assumed.append(f"datastore {datastore}")
    options = WriteOptions(
        kind=reader.kind,
        categories=categories or (),
        texts=texts,
        contents=contents,
        unit=conversion.unit,
        datastore=datastore,
        style=into.style,
        workspace=into.workspace,
        template=template,
        project=into.project or "labels",
        settings=_settings(template),
        vouched=texts is not None,
    )
    return options, tuple(assumed)


def _needs_categories(target: Format, kind: ProjectKind) -> bool:
    return target is Format.SNAPSHOT or (target is Format.SPACY and kind is not ProjectKind.ENTITIES)


def _settings(template: LanguageProjectFile | None) -> dict[str, object]:
    found = template.metadata.get("settings") if template else None
    return dict(found) if isinstance(found, dict) else {}


def _new_template(into: Target, kind: ProjectKind, assumed: list[str]) -> LanguageProjectFile:
    values = {"project": into.project, "container": into.container, "language": into.language}
    standing = {"project": "labels", "container": "documents", "language": "en-us"}
    for name, value in standing.items():
        if not values[name]:
            values[name] = value
            assumed.append(f"{name} {value}")
    return LanguageProjectFile.new(
        name=values["project"], kind=kind, container=values["container"], language=values["language"]
    )


def _counted(
    items: Iterator[LabeledDocument | Quarantined], progress: Progress | None
) -> Iterator[LabeledDocument | Quarantined]:
    if progress is None:
        return items
    return _reporting(items, progress)


def _reporting(
    items: Iterator[LabeledDocument | Quarantined], progress: Progress
) -> Iterator[LabeledDocument | Quarantined]:
    number = 0
    for number, item in enumerate(items, 1):
        if not number % _EVERY:
            progress(number)
        yield item
    progress(number)


def _told(batches: Iterator[Batch], progress: Progress | None) -> Iterator[Batch]:
    number = 0
    for batch in batches:
        yield batch
        number += len(batch.items)
        if progress is not None:
            progress(number)


def seekable(stream: BinaryIO) -> BinaryIO:
    """A pipe's content in a temporary file, which vanishes when it is closed: readers look twice."""
    file = tempfile.TemporaryFile(prefix="labelbridge-")  # noqa: SIM115 - the caller closes it
    while block := stream.read(_BLOCK):
        file.write(block)
    file.seek(0)
    return file
