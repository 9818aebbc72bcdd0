"""The project file of `:import`: what Language refuses in it.

Prevents a local Azure that is kinder than the real one: a file that the service would fail must
fail here too, with the limits that Azure publishes (service limits of custom text classification
and custom named entity recognition). Fields that we do not know are kept and exported again.
Which check fails the call and which fails the job is not published: here all of them fail the job.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labelbridge.local import language_labels
from labelbridge.local.config import LanguageConfig
from labelbridge.local.language_labels import Measured
from labelbridge.local.language_languages import supported
from labelbridge.model import ProjectKind

KIND_MISMATCH = "The project kind in the exported project's metadata must match the assets' project kind."
"""Azure's own words, as users have reported them."""
FORBIDDEN_IN_CATEGORY = frozenset(":$&%*()+~#/?")
"""No class or entity name may hold one of these (service limits)."""
METADATA = ("projectKind", "storageInputContainerName", "projectName", "language", "settings")


class InvalidFileError(Exception):
    """The project file cannot be imported; becomes the error of the failed job."""

    def __init__(self, message: str, code: str = "InvalidArgument") -> None:
        """`message` and `code` are what the job's `errors` say."""
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class ProjectFile:
    """A project file taken apart; `body` of each part keeps the fields that we do not know."""

    kind: ProjectKind
    container: str
    language: str
    settings: dict[str, Any]
    metadata: dict[str, Any]
    """Metadata without the fields above and without the name."""
    assets: dict[str, Any]
    """Assets without the documents."""
    documents: list[language_labels.Document]
    envelope: dict[str, Any] = field(default_factory=dict)
    """Top-level fields besides metadata and assets."""

    @property
    def categories(self) -> list[str]:
        """Names of the classes or entities, in the file's order."""
        return categories(self.kind, self.assets)


def categories(kind: ProjectKind, assets: Mapping[str, Any]) -> list[str]:
    """Names of the classes or entities that the assets define."""
    return [entry["category"] for entry in assets.get(category_field(kind)) or []]


def category_field(kind: ProjectKind) -> str:
    """Where the assets list their categories."""
    return "entities" if kind is ProjectKind.ENTITIES else "classes"


def parse(body: Mapping[str, Any], name: str, limits: LanguageConfig) -> ProjectFile:
    """Take a project file apart and check everything that needs no document.

    Raises:
        InvalidFileError: the file is not one for the project `name`, or breaks a limit.
    """
    metadata, assets = _part(body, "metadata"), _part(body, "assets")
    if body.get("stringIndexType") != "Utf16CodeUnit":
        raise InvalidFileError("stringIndexType is required and must be Utf16CodeUnit.")
    if not isinstance(body.get("projectFileVersion"), str):
        raise InvalidFileError("projectFileVersion is required.")
    if metadata.get("projectKind") != assets.get("projectKind"):
        raise InvalidFileError(KIND_MISMATCH)
    kind = project_kind(metadata.get("projectKind"))
    if metadata.get("projectName") != name:
        raise InvalidFileError("metadata.projectName must be the name of the project that is imported.")
    language = metadata.get("language")
    if not isinstance(language, str) or not supported(language):
        raise InvalidFileError(f"The language {language!r} is not supported.")
    container = metadata.get("storageInputContainerName")
    if not isinstance(container, str) or not container:
        raise InvalidFileError("metadata.storageInputContainerName is required.")
    settings = {} if metadata.get("settings") is None else metadata["settings"]
    if not isinstance(settings, dict):
        raise InvalidFileError("metadata.settings must be an object.")
    documents = assets.get("documents") or []
    if not isinstance(documents, list) or not all(isinstance(d, dict) for d in documents):
        raise InvalidFileError("assets.documents must be a list of objects.")
    file = ProjectFile(
        kind=kind,
        container=container,
        language=language,
        settings=settings,
        metadata={key: value for key, value in metadata.items() if key not in METADATA},
        assets={key: value for key, value in assets.items() if key not in ("documents", "projectKind")},
        documents=documents,
        envelope={key: value for key, value in body.items() if key not in ("metadata", "assets")},
    )
    _check_categories(file, limits)
    _check_locations(file, limits)
    return file


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    if not isinstance(part, dict):
        raise InvalidFileError(f"{name} is required.")
    return part


def project_kind(value: object) -> ProjectKind:
    """The kind of that name.

    Raises:
        InvalidFileError: not one of the three kinds of custom text projects.
    """
    try:
        return ProjectKind(str(value))
    except ValueError:
        raise InvalidFileError(f"The project kind {value!r} is not supported.") from None


def _check_categories(file: ProjectFile, limits: LanguageConfig) -> None:
    entries = file.assets.get(category_field(file.kind)) or []
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("category"), str) for entry in entries
    ):
        raise InvalidFileError(
            f"assets.{category_field(file.kind)} must be a list of objects with a category."
        )
    names = file.categories
    most = limits.max_entities if file.kind is ProjectKind.ENTITIES else limits.max_classes
    if len(names) > most:
        raise InvalidFileError(f"A project has at most {most} {category_field(file.kind)}.")
    if len(set(names)) != len(names):
        raise InvalidFileError("A category is defined twice.")
    for name in names:
        if not 1 <= len(name) <= limits.max_category_characters or FORBIDDEN_IN_CATEGORY & set(name):
            raise InvalidFileError(f"The category name {name!r} is too long or holds a forbidden character.")


def _check_locations(file: ProjectFile, limits: LanguageConfig) -> None:
    if len(file.documents) > limits.max_documents:
        raise InvalidFileError(f"A project has at most {limits.max_documents} documents.")
    seen: set[str] = set()
    for document in file.documents:
        location = document.get("location")
        if not isinstance(location, str) or not re.fullmatch(limits.document_name_pattern, location):
            raise InvalidFileError(
                f"The document location {location!r} is not allowed: it must be a .txt file at the container's"
                " root, named with letters and digits and without spaces."
            )
        if location in seen:
            raise InvalidFileError(f"The document {location} is listed twice.")
        seen.add(location)
        if document.get("dataset") not in (None, "Train", "Test"):
            raise InvalidFileError(f"The dataset of document {location} must be Train or Test.")
        language = document.get("language", file.language)
        if not isinstance(language, str) or not supported(language):
            raise InvalidFileError(f"The language {language!r} of document {location} is not supported.")


def needs_text(file: ProjectFile, sizes: Mapping[str, int], limits: LanguageConfig) -> set[str]:
    """Documents that must be read to be checked: all with spans, and those that may be too long.

    A text has no more characters than its UTF-8 form has bytes.
    """
    return {
        location
        for document in file.documents
        if (size := sizes.get(location := document["location"], 0)) > 0
        and (file.kind is ProjectKind.ENTITIES or size > limits.max_document_characters)
    }


def check_documents(
    file: ProjectFile,
    sizes: Mapping[str, int],
    texts: Mapping[str, Measured | None],
    limits: LanguageConfig,
) -> None:
    """Check each document against the container: it is there, within the limits, and its labels fit.

    Args:
        file: the parsed file.
        sizes: bytes of each blob in the container.
        texts: of the documents that `needs_text` names; None for one that is not UTF-8.
        limits: the service limits.

    Raises:
        InvalidFileError: naming the first document that cannot be taken.
    """
    known = frozenset(file.categories)
    for document in file.documents:
        location = document["location"]
        if location not in sizes:
            raise InvalidFileError(f"The document {location} does not exist in container {file.container}.")
        if sizes[location] == 0:
            raise InvalidFileError(f"The document {location} is empty.", "InvalidDocument")
        if location in texts:
            _check_text(location, texts[location], limits)
        try:
            labels = _shaped(file.kind, document)
            if file.kind is ProjectKind.ENTITIES:
                _check_regions(document, texts.get(location))
            if labels is not None:
                longest = limits.max_entity_characters
                language_labels.check(
                    file.kind, labels, known, texts.get(location), max_entity_length=longest
                )
        except language_labels.InvalidLabelsError as refused:
            raise InvalidFileError(f"Document {location}: {refused.message}") from None


def _check_regions(document: Mapping[str, Any], text: Measured | None) -> None:
    for region in document.get("entities") or []:
        offset, length = region.get("regionOffset"), region.get("regionLength")
        if type(offset) is not int or type(length) is not int or offset < 0 or length < 0:
            raise language_labels.InvalidLabelsError("regionOffset and regionLength must be whole numbers.")
        if text is not None and offset + length > text.length:
            raise language_labels.InvalidLabelsError(
                f"A region ends at {offset + length}, beyond the document's {text.length} characters."
            )


def _check_text(location: str, text: Measured | None, limits: LanguageConfig) -> None:
    if text is None:
        raise InvalidFileError(f"The document {location} is not UTF-8.", "InvalidDocument")
    most = limits.max_document_characters
    if text.length > most:
        raise InvalidFileError(
            f"The document {location} is longer than {most} characters.", "InvalidDocument"
        )


def _shaped(kind: ProjectKind, document: Mapping[str, Any]) -> language_labels.Labels:
    try:
        return language_labels.read(kind, document)
    except (KeyError, TypeError, AttributeError):
        raise language_labels.InvalidLabelsError(
            "Its labels do not have the shape of the project kind."
        ) from None
