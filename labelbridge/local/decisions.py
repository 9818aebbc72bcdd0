"""What a scripted labeler decides about a document: plausible, varied, and the same for the same seed."""

import random
import re
from collections.abc import Mapping, Sequence

from labelbridge.local.studios import Span
from labelbridge.model import ProjectKind

_WORD = re.compile(r"\w[\w'\u2019\-]*")
KEEP = 0.9
"""Chance that a labeler marks a surface form that they know."""


def decide(
    kind: ProjectKind,
    text: str,
    categories: Sequence[str],
    known: Mapping[str, str],
    dice: random.Random,
) -> list[Span] | list[str]:
    """Labels for one document.

    Args:
        kind: the project's kind.
        text: the document.
        categories: the project's entities or classes.
        known: surface form -> entity, from labels seen before.
        dice: the source of variety.

    Returns:
        Spans in code points that do not overlap (entities), one class, or one or more classes.
    """
    if kind is ProjectKind.SINGLE_LABEL:
        return [dice.choice(categories)]
    if kind is ProjectKind.MULTI_LABEL:
        return sorted(dice.sample(list(categories), dice.randint(1, min(3, len(categories)))))
    return _spans(text, categories, known, dice)


def surfaces(text: str, spans: Sequence[Span]) -> dict[str, str]:
    """Surface form -> entity, of labels that somebody gave."""
    return {text[one.start : one.end]: one.category for one in spans if one.end > one.start}


def _spans(text: str, categories: Sequence[str], known: Mapping[str, str], dice: random.Random) -> list[Span]:
    """Known forms where they stand as whole words, and one or two words of the labeler's own choice."""
    found: list[Span] = []
    for surface in sorted(known, key=len, reverse=True):
        for match in re.finditer(rf"(?<!\w){re.escape(surface)}(?!\w)", text):
            if dice.random() < KEEP:
                _add(found, Span(match.start(), match.end(), known[surface]))
    words = list(_WORD.finditer(text))
    for match in dice.sample(words, min(len(words), dice.randint(1, 2))):
        _add(found, Span(match.start(), match.end(), dice.choice(categories)))
    return sorted(found, key=lambda one: one.start)


def _add(found: list[Span], span: Span) -> None:
    if all(span.end <= other.start or span.start >= other.end for other in found):
        found.append(span)
