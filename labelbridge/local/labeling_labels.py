"""Label decisions in Azure ML's own form: the shape that the kind of the labeling job asks for.

Prevents spans that mean other characters than the labeler saw: offsets are counted in the unit the
studio is configured for, must lie in the document and must not split a character.
"""

from typing import Any, Literal

from labelbridge.local.azure_error import AzureError
from labelbridge.local.labeling_store import Job

Unit = Literal["utf16", "codepoint"]
_SPAN_KEYS = {"label", "offsetStart", "offsetEnd"}


def checked_labels(job: Job, labels: Any, text: str, unit: Unit) -> Any:
    """The labels as they are stored.

    Args:
        job: says the kind and the categories.
        labels: a list of `{label, offsetStart, offsetEnd}`, a string, or a list of strings.
        text: the document, for entities.
        unit: what offsets count.

    Raises:
        AzureError: 400 for another kind's form, an unknown category or a span outside the text.
    """
    if job.is_ner:
        return _spans(job, labels, text, unit)
    if job.is_multi_label:
        if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
            raise _refused("A multi-label project takes a list of class names.")
        if len(set(labels)) != len(labels):
            raise _refused("A class is named twice.")
        for one in labels:
            _known(job, one)
        return labels
    if not isinstance(labels, str):
        raise _refused("A multi-class project takes one class name.")
    _known(job, labels)
    return labels


def boundaries(text: str, unit: Unit) -> set[int] | range:
    """Offsets at which a span may begin or end."""
    if unit == "codepoint" or text.isascii():
        return range(len(text) + 1)
    positions, at = {0}, 0
    for character in text:
        at += 2 if ord(character) > 0xFFFF else 1
        positions.add(at)
    return positions


def _spans(job: Job, labels: Any, text: str, unit: Unit) -> list[dict[str, Any]]:
    if not isinstance(labels, list):
        raise _refused("An entity project takes a list of spans.")
    allowed = boundaries(text, unit)
    spans: list[dict[str, Any]] = []
    for span in labels:
        if not isinstance(span, dict) or set(span) != _SPAN_KEYS:
            raise _refused("A span has exactly label, offsetStart and offsetEnd.")
        _known(job, span["label"])
        start, end = span["offsetStart"], span["offsetEnd"]
        if type(start) is not int or type(end) is not int or not start < end:
            raise _refused(f"A span from {start!r} to {end!r} is empty or no whole numbers.")
        if start not in allowed or end not in allowed:
            raise _refused(
                f"A span from {start} to {end} ({unit}) is outside the text or splits a character."
            )
        spans.append({"label": span["label"], "offsetStart": start, "offsetEnd": end})
    return spans


def _known(job: Job, category: Any) -> None:
    if category not in job.categories:
        raise _refused(f"The project has no label {category!r}.")


def _refused(message: str) -> AzureError:
    return AzureError(400, "InvalidLabels", message)
