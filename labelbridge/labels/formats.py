"""The formats by name: how each is told from the others, read and written.

Prevents the failure of a caller that knows formats one by one: a format has one reader and one writer
of the same shape, and what a file is can be found out from its content, not from its name.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from labelbridge.errors import LabelbridgeError
from labelbridge.labels import _readers, _writers, mltable, snapshot
from labelbridge.labels._readers import Reader, ReadOptions
from labelbridge.labels._writers import WriteOptions, Writer

__all__ = [
    "Format",
    "ReadOptions",
    "Reader",
    "Source",
    "WriteOptions",
    "Writer",
    "detect",
    "reader",
    "writer",
]

_HEAD = 1 << 16
"""Bytes of a file that are looked at to tell its format."""
_BOM = b"\xef\xbb\xbf"
_ROW = re.compile(rb'"image_url"\s*:')
_PROJECT = re.compile(rb'"(projectFileVersion|stringIndexType|metadata|assets)"\s*:', re.IGNORECASE)


class Format(StrEnum):
    """A format's name on the command line."""

    AZUREML = "azureml"
    """Azure ML's JSON lines."""
    MLTABLE = "mltable"
    """A folder whose `MLTable` points at such files; read only."""
    LANGUAGE = "language"
    """Language's project file."""
    SNAPSHOT = "snapshot"
    """Our own: all labels of one side, sorted."""
    CSV = "csv"
    """Classes, one row each."""
    CONLL = "conll"
    """CoNLL-2003 with BIO tags; written only."""
    CONLL_PAIRS = "conll-pairs"
    """`token TAG`, the form that AutoML reads; written only."""
    SPACY = "spacy"
    """JSON lines for spaCy; written only."""

    @property
    def readable(self) -> bool:
        """True if it can be read."""
        return self is Format.MLTABLE or self in _READERS

    @property
    def writable(self) -> bool:
        """True if it can be written."""
        return self in _WRITERS


_READERS: dict[Format, Callable[[str, BinaryIO, ReadOptions], Reader]] = {
    Format.AZUREML: lambda name, file, options: _readers.AzureMLReader([(name, file)], options),
    Format.LANGUAGE: _readers.LanguageReader,
    Format.SNAPSHOT: _readers.SnapshotReader,
    Format.CSV: _readers.ClassTableReader,
}
_WRITERS: dict[Format, Callable[[WriteOptions], Writer]] = {
    Format.AZUREML: _writers.AzureMLWriter,
    Format.LANGUAGE: _writers.LanguageWriter,
    Format.SNAPSHOT: _writers.SnapshotWriter,
    Format.CSV: _writers.ClassTableWriter,
    Format.CONLL: _writers.ConllWriter,
    Format.CONLL_PAIRS: lambda options: _writers.ConllWriter(options, columns=2),
    Format.SPACY: _writers.SpacyWriter,
}
_SUFFIXES = {".jsonl": Format.AZUREML, ".json": Format.LANGUAGE, ".csv": Format.CSV, ".conll": Format.CONLL}


class Source:
    """A file or folder to be read: a context manager that closes what was opened."""

    def __init__(self, name: str, *, path: Path | None = None, file: BinaryIO | None = None) -> None:
        """Give a `path`, or a seekable `file`; `name` stands in the quarantine."""
        self.name = name
        self._path = path
        self._file = file
        self._stack = ExitStack()

    def __enter__(self) -> "Source":
        """Nothing is opened until it is read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def file(self) -> BinaryIO:
        """The file.

        Raises:
            LabelbridgeError: `input_invalid` if it cannot be opened.
        """
        if self._file is None:
            assert self._path is not None
            self._file = self.open(self._path)
        return self._file

    @property
    def folder(self) -> Path | None:
        """The folder of an MLTable, None for anything else."""
        if self._path is None:
            return None
        if self._path.is_dir():
            return self._path
        return self._path.parent if self._path.name == mltable.NAME else None

    def open(self, path: Path) -> BinaryIO:
        """Open a file that is closed with this source."""
        try:
            return self._stack.enter_context(path.open("rb"))
        except OSError as error:
            raise LabelbridgeError("input_invalid", f"{path} cannot be read: {error.strerror}") from error


def detect(source: Source) -> Format:
    """Find out from its content what a file is.

    Raises:
        LabelbridgeError: `input_invalid` if it is none of the formats that can be read.
    """
    if source.folder is not None:
        return Format.MLTABLE
    file = source.file
    file.seek(0)
    head = file.read(_HEAD).removeprefix(_BOM).lstrip()
    first = head.split(b"\n", 1)[0]
    if snapshot.FORMAT.encode() in first[:200]:
        return Format.SNAPSHOT
    if head.startswith(b"{"):
        row, project = _ROW.search(first), _PROJECT.search(head)
        if project is None or (row is not None and row.start() < project.start()):
            row = row or _ROW.search(head)
            if row is not None:
                return Format.AZUREML
        if project is not None:
            return Format.LANGUAGE
    elif _ROW.search(head):  # the first row is broken, not the file
        return Format.AZUREML
    if {b"document", b"label"} <= {cell.strip(b' "\r') for cell in first.split(b",")}:
        return Format.CSV
    raise LabelbridgeError("input_invalid", f"{source.name} is none of our formats: give --from.")


def by_suffix(name: str) -> Format | None:
    """The format that a file to be written has by its name; None if the name does not say."""
    return _SUFFIXES.get(Path(name).suffix.lower())


def reader(source: Source, found: Format, options: ReadOptions) -> Reader:
    """The reader of a file.

    Raises:
        LabelbridgeError: `input_invalid` for a format that is only written, or options that it needs;
            `input_invalid` or `snapshot_unreadable` if the file as a whole is not of the format.
    """
    if found is Format.MLTABLE:
        folder = source.folder
        if folder is None:
            raise LabelbridgeError("input_invalid", f"{source.name} is no folder with an MLTable in it.")
        files = [(path.name, source.open(path)) for path in mltable.folder_members(folder)]
        return _readers.AzureMLReader(files, options)
    make = _READERS.get(found)
    if make is None:
        raise LabelbridgeError("input_invalid", f"{found.value} is only written, never read.")
    return make(source.name, source.file, options)


def writer(wanted: Format, options: WriteOptions) -> Writer:
    """The writer of a format.

    Raises:
        LabelbridgeError: `input_invalid` for a format that is only read, or options that it needs.
    """
    make = _WRITERS.get(wanted)
    if make is None:
        raise LabelbridgeError("input_invalid", f"{wanted.value} is only read, never written.")
    return make(options)
