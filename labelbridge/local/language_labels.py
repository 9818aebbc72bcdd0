"""Labels of one Language document: reading, writing and checking the three kinds' own forms.

Prevents three places from each knowing what a label looks like: the import's validation, the
studio's label endpoints and the training all read and write documents through this module.
Region offsets are kept as given; label offsets are read as counted from the start of the document
(Azure does not say whether from the document's or the region's, and they agree for region 0).
"""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from labelbridge.local.evaluation import Gold
from labelbridge.model import ProjectKind

Document = dict[str, Any]
"""One entry of `assets.documents`, unknown fields included."""
Labels = Any
"""A studio's form: NER `[{category, offset, length}]`, single `"Class"`, multi `["A", "B"]`; None: none."""


class Measured(Protocol):
    """What a check needs of a document's text, in UTF-16 units."""

    @property
    def length(self) -> int:
        """Length of the text."""

    def splits_pair(self, offset: int) -> bool:
        """True if a cut at `offset` would part the two halves of one character."""


class InvalidLabelsError(Exception):
    """Labels that Language would not take."""

    def __init__(self, message: str) -> None:
        """`message` names the label and what is wrong with it."""
        super().__init__(message)
        self.message = message


def read(kind: ProjectKind, document: Mapping[str, Any]) -> Labels:
    """The labels of a document in the studio's form; None if it carries no label decision."""
    if kind is ProjectKind.ENTITIES:
        regions = document.get("entities")
        if regions is None:
            return None
        return [
            {"category": label["category"], "offset": label["offset"], "length": label["length"]}
            for region in regions
            for label in region.get("labels") or []
        ]
    if kind is ProjectKind.MULTI_LABEL:
        classes = document.get("classes")
        return None if classes is None else [entry["category"] for entry in classes]
    entry = document.get("class")
    return None if entry is None else entry["category"]


def write(kind: ProjectKind, document: Mapping[str, Any], labels: Labels, length: int) -> Document:
    """The document with its labels replaced; `length` is that of the text in UTF-16 units."""
    if kind is ProjectKind.ENTITIES:
        return {**document, "entities": [{"regionOffset": 0, "regionLength": length, "labels": labels}]}
    if kind is ProjectKind.MULTI_LABEL:
        return {**document, "classes": [{"category": category} for category in labels]}
    return {**document, "class": {"category": labels}}


def plain(kind: ProjectKind, labels: Labels) -> Labels:
    """Checked labels without fields that Language does not know."""
    if kind is not ProjectKind.ENTITIES:
        return labels
    return [{name: label[name] for name in ("category", "offset", "length")} for label in labels]


def gold(kind: ProjectKind, labels: Labels) -> frozenset[Gold]:
    """Labels in the studio's form as the evaluation compares them."""
    if labels is None:
        return frozenset()
    if kind is ProjectKind.ENTITIES:
        return frozenset((label["category"], label["offset"], label["length"]) for label in labels)
    if kind is ProjectKind.MULTI_LABEL:
        return frozenset((category, 0, 0) for category in labels)
    return frozenset({(labels, 0, 0)})


def check(
    kind: ProjectKind,
    labels: Labels,
    categories: Collection[str],
    text: Measured | None,
    *,
    max_entity_length: int,
) -> None:
    """Refuse labels in the studio's form that the project or the text cannot hold.

    `text` is needed for entities only. `max_entity_length` is in UTF-16 units.

    Raises:
        InvalidLabelsError: wrong shape, unknown category, a repeated label, a span outside the text or
            through the middle of a character.
    """
    if kind is ProjectKind.SINGLE_LABEL:
        _known(labels, categories)
        return
    if not isinstance(labels, list):
        raise InvalidLabelsError("Labels must be a list.")
    for label in labels:
        if kind is ProjectKind.MULTI_LABEL:
            _known(label, categories)
        else:
            _check_span(label, categories, text, max_entity_length)
    if len(gold(kind, labels)) != len(labels):
        raise InvalidLabelsError("The same label is given twice.")


def _known(category: object, categories: Collection[str]) -> None:
    if not isinstance(category, str) or category not in categories:
        raise InvalidLabelsError(f"The category {category!r} is not defined in the project.")


def _check_span(label: Any, categories: Collection[str], text: Measured | None, longest: int) -> None:
    if not isinstance(label, dict):
        raise InvalidLabelsError("An entity label must be an object with category, offset and length.")
    _known(label.get("category"), categories)
    offset, length = label.get("offset"), label.get("length")
    if type(offset) is not int or type(length) is not int:
        raise InvalidLabelsError("Offset and length of an entity label must be integers.")
    span = f"The span at offset {offset} with length {length}"
    if not 1 <= length <= longest:
        raise InvalidLabelsError(f"{span} must be 1 to {longest} characters long.")
    if text is None:
        return
    if offset < 0 or offset + length > text.length:
        raise InvalidLabelsError(f"{span} lies outside the document, which has {text.length} characters.")
    if text.splits_pair(offset) or text.splits_pair(offset + length):
        raise InvalidLabelsError(f"{span} cuts a surrogate pair in two.")
