"""Where documents come from when their bytes are needed, and their measures when only those are.

Prevents holding a project's texts: a document is read when a row asks for it, measured, and let go.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.labels.offsets import InlineTexts, InvalidTextError, Text
from labelbridge.labels.paths import check_name

_REMEMBERED = 512
"""Measures kept at hand: a row is asked for when it is read, and again when it is written."""


class Contents(Protocol):
    """Bytes of documents by name."""

    def read(self, document: str, /) -> bytes | None:
        """The document's bytes, None if there is no such document."""


class MappingContents:
    """Documents in memory."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        """`contents`: name to bytes."""
        self._contents = contents

    def read(self, document: str, /) -> bytes | None:
        """The document's bytes."""
        return self._contents.get(document)


class FolderContents:
    """Documents in a folder; names may have subfolders in them, but none leads out of the folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` must exist when a document is asked for."""
        self._folder = folder.resolve()

    def read(self, document: str, /) -> bytes | None:
        """The document's bytes; a link that leads out of the folder is no document."""
        try:
            check_name(document)
            path = (self._folder / document).resolve()
            # A pipe or a device would be waited for, for ever.
            if not path.is_relative_to(self._folder) or not path.is_file():
                return None
            return path.read_bytes()
        except (RejectedRowError, OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
            return None


class InlineContents:
    """Documents whose rows carry their text: only those that have just been read can be asked for."""

    def __init__(self, texts: InlineTexts) -> None:
        """`texts` is what the reader fills."""
        self._texts = texts

    def read(self, document: str, /) -> bytes | None:
        """The document's bytes if its row has just been read."""
        text = self._texts.string(document)
        return None if text is None else text.encode()


class Measured:
    """Texts over contents: measures a document when it is asked for and remembers the last few."""

    def __init__(self, contents: Contents) -> None:
        """`contents` gives the bytes."""
        self._contents = contents
        self._recent: dict[str, Text | InvalidTextError] = {}
        self._before: dict[str, Text | InvalidTextError] = {}

    def get(self, document: str, /) -> Text | None:
        """The document's text, None if there is none; raises InvalidTextError if it is not UTF-8."""
        found = self._recent.get(document) or self._before.get(document) or self._measure(document)
        if isinstance(found, InvalidTextError):
            raise found
        return found

    def get_all(self, documents: list[str]) -> list[Text] | None:
        """The texts of all these documents, or None if one is missing or is not UTF-8: then ask one by one."""
        found: list[Text] = []
        for number, data in enumerate(map(self._contents.read, documents)):
            try:
                if data is not None:
                    found.append(Text(len(data)) if data.isascii() else Text.of(data.decode("utf-8")))
                    continue
            except UnicodeDecodeError:
                pass
            self._recent.update(zip(documents, found, strict=False))
            self._remember(documents[number], data)
            return None
        return found

    def _measure(self, document: str) -> Text | InvalidTextError | None:
        return self._remember(document, self._contents.read(document))

    def _remember(self, document: str, data: bytes | None) -> Text | InvalidTextError | None:
        if data is None:
            return None
        if len(self._recent) >= _REMEMBERED:
            self._before, self._recent = self._recent, {}
        found: Text | InvalidTextError
        try:
            found = Text.decode(data)
        except InvalidTextError as error:
            found = error
        self._recent[document] = found
        return found


def string_of(document: str, contents: Contents) -> str:
    """The document's text as a string, nothing normalised.

    Raises:
        RejectedRowError: `document_missing`, `invalid_utf8`.
    """
    data = contents.read(document)
    if data is None:
        raise RejectedRowError(Code.DOCUMENT_MISSING, f"there is no document {document!r}")
    try:
        return data.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise RejectedRowError(Code.INVALID_UTF8, f"the document's text: {error.reason}") from error
