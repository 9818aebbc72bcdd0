"""One writer for each format, all alike to those who use them."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import _azureml_write, azureml_jsonl, class_table, snapshot, training
from labelbridge.labels.batches import Batch
from labelbridge.labels.contents import Contents
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.loss import Losses
from labelbridge.labels.offsets import Texts
from labelbridge.labels.paths import UrlStyle
from labelbridge.labels.rows import LabeledDocument
from labelbridge.model import OffsetUnit, ProjectKind

_BLOCK = 1 << 16


@dataclass(frozen=True)
class WriteOptions:
    """What a writer needs besides rows.

    `vouched` says that the rows were held against these very `texts`. `template` is a Language project
    file whose fields stay. `project` is the key that a snapshot carries.
    """

    kind: ProjectKind
    categories: tuple[str, ...] = ()
    texts: Texts | None = None
    contents: Contents | None = None
    unit: OffsetUnit = OffsetUnit.UTF16
    datastore: str = "documents"
    style: UrlStyle = "AmlDatastore"
    workspace: str | None = None
    template: LanguageProjectFile | None = None
    project: str = "labels"
    settings: Mapping[str, object] = field(default_factory=dict)
    vouched: bool = False


class Writer(Protocol):
    """Turns rows into the bytes of a file; `losses` says, once the last was taken, what was lost."""

    losses: Losses

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """The file, in pieces."""


class BatchWriter(Writer, Protocol):
    """A writer that can take whole batches, with the texts that their rows were held against."""

    def takes_batches(self) -> bool:
        """True if `write_batches` gives what `write` gives."""

    def write_batches(self, batches: Iterable[Batch]) -> Iterator[bytes]:
        """The file, in pieces."""


class AzureMLWriter:
    """Azure ML's JSONL."""

    def __init__(self, options: WriteOptions) -> None:
        """Raises LabelbridgeError `input_invalid` if code points are wanted without documents."""
        self.losses = Losses("azureml")
        self._options = options
        points = azureml_jsonl.unit_written(options.unit) is OffsetUnit.CODEPOINT
        if options.kind is ProjectKind.ENTITIES and options.texts is None and points:
            raise LabelbridgeError(
                "input_invalid", "Code points can only be written with the documents: give --documents."
            )

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """One line for each row."""
        options = self._options
        return azureml_jsonl.write(
            rows,
            kind=options.kind,
            unit=options.unit,
            texts=options.texts,
            datastore=options.datastore,
            style=options.style,
            workspace=options.workspace,
            vouched=options.vouched,
        )

    def takes_batches(self) -> bool:
        """True for entities that were checked."""
        return self._options.kind is ProjectKind.ENTITIES and self._options.vouched

    def write_batches(self, batches: Iterable[Batch]) -> Iterator[bytes]:
        """One line for each row."""
        options = self._options
        return _azureml_write.write_batches(
            batches,
            unit=options.unit,
            datastore=options.datastore,
            style=options.style,
            workspace=options.workspace,
        )


class LanguageWriter:
    """Language's project file."""

    def __init__(self, options: WriteOptions) -> None:
        """Raises LabelbridgeError `input_invalid` without documents: regions are as long as they are."""
        self.losses = Losses("language")
        self._options = options
        if options.texts is None and options.kind is ProjectKind.ENTITIES:
            raise LabelbridgeError(
                "input_invalid", "Language's file says how long each document is: give --documents."
            )
        if options.template is None:
            raise ValueError("a Language project file is written from a template")
        if options.template.kind is not options.kind:
            raise LabelbridgeError(
                "input_invalid", f"The template is a {options.template.kind.value}, the labels are not."
            )

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """The whole file, one document at a time."""
        options = self._options
        assert options.template is not None
        return options.template.stream(
            rows,
            texts=options.texts,
            settings=options.settings,
            categories=options.categories,
            vouched=options.vouched,
        )

    def takes_batches(self) -> bool:
        """True for entities that were checked, into a file that has no documents yet."""
        options = self._options
        assert options.template is not None
        return options.kind is ProjectKind.ENTITIES and options.vouched and not options.template.has_documents

    def write_batches(self, batches: Iterable[Batch]) -> Iterator[bytes]:
        """The whole file."""
        options = self._options
        assert options.template is not None
        return options.template.stream_batches(
            batches, settings=options.settings, categories=options.categories
        )


class SnapshotWriter:
    """Our own snapshot; sorted on disk if need be."""

    def __init__(self, options: WriteOptions) -> None:
        """The categories must be all that rows use or the project has."""
        self.losses = Losses("snapshot")
        self._options = options

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """The whole file, once all rows were taken."""
        options = self._options
        with tempfile.TemporaryFile(prefix="labelbridge-") as file:
            snapshot.write(
                rows, file, kind=options.kind, project_key=options.project, categories=options.categories
            )
            file.seek(0)
            while block := file.read(_BLOCK):
                yield block


class ClassTableWriter:
    """Classes as CSV."""

    def __init__(self, options: WriteOptions) -> None:
        """Raises LabelbridgeError `input_invalid` for entities."""
        self.losses = Losses("csv")
        self._kind = options.kind
        if options.kind is ProjectKind.ENTITIES:
            raise LabelbridgeError("input_invalid", "CSV holds classes, not entities: choose another format.")

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """One line for each class."""
        return class_table.write(rows, kind=self._kind, losses=self.losses)


class ConllWriter:
    """CoNLL with BIO tags."""

    def __init__(self, options: WriteOptions, columns: int = 4) -> None:
        """Raises LabelbridgeError `input_invalid` for classes, or without documents."""
        self.losses = Losses("conll")
        self._contents = _needed(options)
        self._columns = columns
        if options.kind is not ProjectKind.ENTITIES:
            raise LabelbridgeError(
                "input_invalid", "CoNLL holds entities, not classes: choose another format."
            )

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """One line for each token."""
        return training.write_conll(rows, contents=self._contents, losses=self.losses, columns=self._columns)


class SpacyWriter:
    """JSON lines for spaCy."""

    def __init__(self, options: WriteOptions) -> None:
        """Raises LabelbridgeError `input_invalid` without documents."""
        self.losses = Losses("spacy")
        self._contents = _needed(options)
        self._options = options

    def write(self, rows: Iterable[LabeledDocument]) -> Iterator[bytes]:
        """One line for each row."""
        return training.write_spacy(
            rows,
            kind=self._options.kind,
            categories=self._options.categories,
            contents=self._contents,
            losses=self.losses,
        )


def _needed(options: WriteOptions) -> Contents:
    if options.contents is None:
        raise LabelbridgeError("input_invalid", "This format holds the documents' texts: give --documents.")
    return options.contents
