"""One reader for each format, all alike to those who use them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import _language_blocks, azureml_jsonl, class_table, lines, snapshot, vote
from labelbridge.labels._azureml_blocks import BlockReader
from labelbridge.labels.batches import Batch, gathered
from labelbridge.labels.checks import Checking, checked
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.offsets import Texts
from labelbridge.labels.rows import LabeledDocument, Quarantined
from labelbridge.labels.views import view
from labelbridge.model import OffsetUnit, ProjectKind


@dataclass(frozen=True)
class ReadOptions:
    """What a reader cannot find in the file.

    `kind` None is found out from the content. `texts` None reads without documents, where that is
    possible. `categories` None allows those that the file says, or any. `vote` settles ambiguous
    offsets by the project's vote (see `vote`); `for_language` also quarantines what Language refuses.
    """

    kind: ProjectKind | None = None
    unit: OffsetUnit = OffsetUnit.AUTO
    vote: bool = False
    texts: Texts | None = None
    categories: tuple[str, ...] | None = None
    datastore: str | None = None
    for_language: bool = False


class Reader(Protocol):
    """A file of labels. Both iterators start anew with each call, so the file must be seekable."""

    kind: ProjectKind
    categories: tuple[str, ...] | None
    """Categories that the file says the project has; None if it does not say."""

    def rows(self) -> Iterator[LabeledDocument | Quarantined]:
        """Every row, in the file's order; what cannot be used is quarantined."""

    def documents(self) -> Iterator[str]:
        """Names of the documents that `rows` will ask for, in about that order; some may not exist."""


class BatchReader(Reader, Protocol):
    """A reader that can give its rows in blocks; see `Batch`."""

    def batches(self) -> Iterator[Batch]:
        """Every row, in blocks, with the texts of the rows where `texts` were given."""


class AzureMLReader:
    """Azure ML's JSONL, one file or those of an MLTable."""

    def __init__(self, files: Sequence[tuple[str, BinaryIO]], options: ReadOptions) -> None:
        """`files`: name and content of each.

        Raises:
            LabelbridgeError: `input_invalid` if entities are to be read without documents.
        """
        self._files = files
        self._options = options
        self.categories = options.categories
        self.kind = options.kind or self._find_kind()
        self.settled: vote.Vote | None = None
        """The vote, once `rows` has held one."""
        if self.kind is ProjectKind.ENTITIES and options.texts is None:
            raise LabelbridgeError(
                "input_invalid", "Azure ML's spans can only be read with their documents: give --documents."
            )

    def rows(self) -> Iterator[LabeledDocument | Quarantined]:
        """Every row."""
        for batch in self.batches():
            yield from batch.items

    def batches(self) -> Iterator[Batch]:
        """Every row, in blocks."""
        options = self._options
        reader = BlockReader(
            kind=self.kind,
            unit=options.unit,
            texts=options.texts,
            categories=options.categories,
            datastore=options.datastore,
            for_language=options.for_language,
            settle=self._settle(),
        )
        for name, file in self._files:
            yield from reader.batches(file, name)

    def documents(self) -> Iterator[str]:
        """Names of the documents."""
        for _, file in self._files:
            found = lines.read(view(file))  # `rows` may be under way
            yield from azureml_jsonl.documents_named(found, datastore=self._options.datastore)

    def _settle(self) -> OffsetUnit | None:
        texts = self._options.texts
        if not self._options.vote or self.kind is not ProjectKind.ENTITIES or texts is None:
            return None
        self.settled = vote.Vote()
        for _, file in self._files:
            self.settled += vote.tally(lines.read(file), texts=texts, datastore=self._options.datastore)
        return self.settled.decision

    def _find_kind(self) -> ProjectKind:
        decoder = msgspec.json.Decoder(_AnyRow)
        for _, file in self._files:
            for line in lines.read(file):
                if len(line) > lines.MAX_LINE_BYTES:
                    continue
                try:
                    found = decoder.decode(line.removeprefix(b"\xef\xbb\xbf")).kind()
                except (ValueError, RecursionError):
                    continue
                if found is not None:
                    return found
        raise LabelbridgeError("input_invalid", "The rows do not tell the project's kind: give --kind.")


class _AnyRow(msgspec.Struct):
    image_url: str
    label: object
    label_confidence: object = None

    def kind(self) -> ProjectKind | None:
        if isinstance(self.label, str):
            several = isinstance(self.label_confidence, list)
            return ProjectKind.MULTI_LABEL if several else ProjectKind.SINGLE_LABEL
        if not isinstance(self.label, list) or not self.label:
            return None
        return ProjectKind.MULTI_LABEL if isinstance(self.label[0], str) else ProjectKind.ENTITIES


class LanguageReader:
    """Language's project file; its spans are held against the documents if those are given."""

    def __init__(self, name: str, file: BinaryIO, options: ReadOptions) -> None:
        """`name` stands in the quarantine."""
        self.project = LanguageProjectFile.open(file, name)
        self.kind = self.project.kind
        self.categories: tuple[str, ...] | None = self.project.categories
        self._name = name
        self._options = options

    def rows(self) -> Iterator[LabeledDocument | Quarantined]:
        """Every row."""
        return _held_against(self.project.rows(), self, self._options, self._name)

    def batches(self) -> Iterator[Batch]:
        """Every row, in blocks."""
        options = self._options
        if options.texts is None or options.for_language:
            return gathered(self.rows())
        checking = Checking(
            kind=self.kind, texts=options.texts, categories=self.categories, source=self._name
        )
        return _language_blocks.batches(self.project, options.texts, checking)

    def documents(self) -> Iterator[str]:
        """Names of the documents."""
        return (row.document for row in self.project.rows() if isinstance(row, LabeledDocument))


class SnapshotReader:
    """Our own snapshot."""

    def __init__(self, name: str, file: BinaryIO, options: ReadOptions) -> None:
        """Raises LabelbridgeError `snapshot_unreadable` unless the whole file is a snapshot."""
        self._file = file
        self.header = snapshot.verify(file).header
        self.kind = self.header.kind
        self.categories: tuple[str, ...] | None = self.header.categories
        self._name = name
        self._options = options

    def rows(self) -> Iterator[LabeledDocument | Quarantined]:
        """Every row."""
        return _held_against(snapshot.stored_rows(self._file), self, self._options, self._name)

    def documents(self) -> Iterator[str]:
        """Names of the documents."""
        return (row.document for row in snapshot.stored_rows(view(self._file)))


class ClassTableReader:
    """Classes as CSV."""

    def __init__(self, name: str, file: BinaryIO, options: ReadOptions) -> None:
        """Without a kind it is multi-label if a document has no class or several, else single-label."""
        self._name = name
        self._file = file
        self._options = options
        self.categories = options.categories
        self.kind = options.kind or self._find_kind()
        if self.kind is ProjectKind.ENTITIES:
            raise LabelbridgeError("input_invalid", "CSV holds classes, not entities.")

    def rows(self) -> Iterator[LabeledDocument | Quarantined]:
        """Every row."""
        options = self._options
        found = self._read(self.kind)
        if options.texts is None:
            return found
        return _held_against(found, self, replace(options, categories=None), self._name)

    def documents(self) -> Iterator[str]:
        """Names of the documents."""
        return (row.document for row in self._read(self.kind) if isinstance(row, LabeledDocument))

    def _read(self, kind: ProjectKind) -> Iterator[LabeledDocument | Quarantined]:
        return class_table.read(
            lines.read(view(self._file)),
            kind=kind,
            categories=self._options.categories,
            source=self._name,
            for_language=self._options.for_language,
        )

    def _find_kind(self) -> ProjectKind:
        for row in self._read(ProjectKind.MULTI_LABEL):
            if isinstance(row, LabeledDocument) and len(row.classes) != 1:
                return ProjectKind.MULTI_LABEL
        return ProjectKind.SINGLE_LABEL


def _held_against(
    rows: Iterator[LabeledDocument | Quarantined], reader: Reader, options: ReadOptions, source: str
) -> Iterator[LabeledDocument | Quarantined]:
    """Rows held against the documents and, if so wanted, against what Language takes."""
    if options.texts is None and not options.for_language:
        return rows
    return checked(
        rows,
        kind=reader.kind,
        texts=options.texts,
        categories=None if options.for_language else reader.categories,
        source=source,
        for_language=options.for_language,
    )
