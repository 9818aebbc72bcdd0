"""Train and Test: who decides which documents a model is tested on.

Prevents a score that means nothing: documents that move between Train and Test from one training to the
next make scores incomparable, so new documents are split by a hash of their name, which never moves.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Literal

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.rows import LabeledDocument

Dataset = Literal["Train", "Test"]


class Split(StrEnum):
    """How documents are split."""

    SERVICE = "service"
    """By the service, at random, in the given percentages."""
    KEEP = "keep"
    """As Language had it; documents that it did not know are split by `by_name`."""


def by_name(document: str, test_percentage: int) -> Dataset:
    """Train or Test by a hash of the name: the same today and tomorrow, on every machine.

    A document that is in Test at one percentage is in Test at every higher one.
    """
    value = int.from_bytes(hashlib.sha256(document.encode()).digest()[:8], "big")
    return "Test" if value * 100 < test_percentage << 64 else "Train"


def assign(
    rows: Iterable[LabeledDocument],
    split: Split,
    *,
    known: Callable[[str], str | None],
    test_percentage: int = 20,
) -> Iterator[LabeledDocument]:
    """Rows with their Train/Test assignment.

    For the service's split every document is put into Train, because Language splits only documents
    that are assigned to the Train set (its how-to on training, with `percentage`).

    Args:
        rows: labels.
        split: who decides.
        known: assignment of a document in the Language snapshot, None if it has none.
        test_percentage: for documents without an assignment.

    Raises:
        LabelbridgeError: `input_invalid` for a percentage outside 0..99.
    """
    _check(test_percentage)
    for row in rows:
        if split is Split.SERVICE:
            dataset: str = "Train"
        else:
            dataset = row.dataset or known(row.document) or by_name(row.document, test_percentage)
        yield row if row.dataset == dataset else msgspec.structs.replace(row, dataset=dataset)


def evaluation_options(split: Split, test_percentage: int = 20) -> dict[str, object]:
    """`evaluationOptions` of a training for this split (Language's training body).

    `manual` needs some document in Test, which is for the caller to see to.

    Raises:
        LabelbridgeError: `input_invalid` for a percentage outside 0..99.
    """
    _check(test_percentage)
    if split is Split.KEEP:
        return {"kind": "manual"}
    return {
        "kind": "percentage",
        "trainingSplitPercentage": 100 - test_percentage,
        "testingSplitPercentage": test_percentage,
    }


def _check(test_percentage: int) -> None:
    if not 0 <= test_percentage < 100:
        raise LabelbridgeError("input_invalid", f"{test_percentage} percent of the documents for Test.")
