"""What a local training "learns", and its evaluation, computed from the labels it was given.

Prevents invented figures: the models are the plainest baselines (majority class, frequent
classes, a dictionary of seen surface forms), but precision, recall and F1 are really scored on
documents that the baseline did not see. Pure: no storage, no clock.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labelbridge.local.language_text import Utf16Text
from labelbridge.model import ProjectKind

NONE = "$none"
"""The row and column of a confusion matrix for "no label here"."""

Gold = tuple[str, int, int]
"""One label: category, offset, length (UTF-16 units); offset and length are 0 for a class."""

RESULT_KEYS = {
    ProjectKind.SINGLE_LABEL: "customSingleLabelClassification",
    ProjectKind.MULTI_LABEL: "customMultiLabelClassification",
    ProjectKind.ENTITIES: "customEntityRecognition",
}
"""How the authoring API names the kind-specific part: `<key>Evaluation` and `<key>Result`."""


class NotTrainableError(Exception):
    """The labels do not allow the training that was asked for."""

    def __init__(self, message: str) -> None:
        """`message` is what the failed job says."""
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Example:
    """One labelled document. `text` is needed for entities only."""

    location: str
    labels: frozenset[Gold]
    language: str = ""
    dataset: str | None = None
    text: Utf16Text = field(default_factory=lambda: Utf16Text(""))


def split(
    examples: Sequence[Example], *, manual: bool, testing_percent: int
) -> tuple[list[Example], list[Example]]:
    """Part the documents into (train, test).

    `manual` takes the documents' own `dataset` and needs some that say Test. A percentage split
    takes only documents whose dataset is Train or absent, as Azure documents it, and is
    deterministic: documents are ranked by a hash of their name.

    Raises:
        NotTrainableError: a manual split without Test documents, or nothing left to train on.
    """
    if manual:
        test = [e for e in examples if e.dataset == "Test"]
        train = [e for e in examples if e.dataset != "Test"]
        if not test:
            raise NotTrainableError("A manual split needs documents that are assigned to the Test dataset.")
    else:
        ranked = sorted(
            (e for e in examples if e.dataset != "Test"),
            key=lambda e: hashlib.sha256(e.location.encode()).digest(),
        )
        count = round(len(ranked) * testing_percent / 100)
        if testing_percent and len(ranked) > 1:
            count = max(1, count)
        test, train = ranked[:count], ranked[count:]
    if not train:
        raise NotTrainableError("There are no labelled documents to train on.")
    return train, test


class Baseline:
    """The simplest model of a project kind, trained on `train`."""

    def __init__(self, kind: ProjectKind, train: Sequence[Example]) -> None:
        """Learn from the labels of `train`."""
        self._kind = kind
        self._forms: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._always: frozenset[Gold] = frozenset()
        if kind is ProjectKind.ENTITIES:
            self._learn_forms(train)
            return
        counts = Counter(category for e in train for category, _, _ in e.labels)
        if kind is ProjectKind.SINGLE_LABEL:
            ranked = sorted(counts, key=lambda category: (-counts[category], category))
            chosen = ranked[:1]
        else:
            chosen = [category for category, count in counts.items() if 2 * count >= len(train)]
        self._always = frozenset((category, 0, 0) for category in chosen)

    def _learn_forms(self, train: Sequence[Example]) -> None:
        seen: dict[str, Counter[str]] = {}
        for example in train:
            for category, offset, length in example.labels:
                form = example.text.cut(offset, length)
                if form.strip():
                    seen.setdefault(form, Counter())[category] += 1
        for form, counts in seen.items():
            self._forms[form] = min(counts, key=lambda category: (-counts[category], category))
        if self._forms:
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")

    def predict(self, example: Example) -> frozenset[Gold]:
        """The labels that the baseline would give to a document."""
        if self._kind is not ProjectKind.ENTITIES:
            return self._always
        if self._pattern is None:
            return frozenset()
        text = example.text
        found = set()
        for match in self._pattern.finditer(text.text):
            start, end = text.to_utf16(match.start()), text.to_utf16(match.end())
            found.add((self._forms[match.group()], start, end - start))
        return frozenset(found)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _f1(precision: float, recall: float) -> float:
    return _ratio(2 * precision * recall, precision + recall)


@dataclass
class _Counts:
    tp: int = 0
    tn: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return _f1(self.precision, self.recall)

    def wire(self) -> dict[str, Any]:
        return {
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "truePositiveCount": self.tp,
            "trueNegativeCount": self.tn,
            "falsePositiveCount": self.fp,
            "falseNegativeCount": self.fn,
        }


Scored = tuple[Example, frozenset[Gold]]
"""A test document with what was predicted for it."""


def summarize(
    kind: ProjectKind, categories: Sequence[str], scored: Sequence[Scored], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of `evaluation/summary-result`.

    Micro figures pool all categories; macro figures are the mean over the categories that occur
    among the expected or the predicted labels.
    """
    counts = {category: _Counts() for category in categories}
    for example, predicted in scored:
        _count(kind, counts, example.labels, predicted)
    present = [c for c in counts.values() if c.tp + c.fp + c.fn] or [_Counts()]
    pooled = _Counts(
        tp=sum(c.tp for c in present), fp=sum(c.fp for c in present), fn=sum(c.fn for c in present)
    )
    part: dict[str, Any] = {
        "entities" if kind is ProjectKind.ENTITIES else "classes": {n: c.wire() for n, c in counts.items()},
        "microF1": pooled.f1,
        "microPrecision": pooled.precision,
        "microRecall": pooled.recall,
        "macroF1": sum(c.f1 for c in present) / len(present),
        "macroPrecision": sum(c.precision for c in present) / len(present),
        "macroRecall": sum(c.recall for c in present) / len(present),
    }
    if kind is not ProjectKind.MULTI_LABEL:
        part = {"confusionMatrix": confusion_matrix(categories, scored), **part}
    return {"projectKind": kind, "evaluationOptions": dict(options), f"{RESULT_KEYS[kind]}Evaluation": part}


def _count(
    kind: ProjectKind, counts: Mapping[str, _Counts], expected: frozenset[Gold], predicted: frozenset[Gold]
) -> None:
    for category, _, _ in expected & predicted:
        counts[category].tp += 1
    for category, _, _ in predicted - expected:
        counts[category].fp += 1
    for category, _, _ in expected - predicted:
        counts[category].fn += 1
    if kind is not ProjectKind.ENTITIES:
        mentioned = {category for category, _, _ in expected | predicted}
        for category, count in counts.items():
            count.tn += category not in mentioned


def confusion_matrix(
    categories: Sequence[str], scored: Sequence[Scored]
) -> dict[str, dict[str, dict[str, float]]]:
    """Rows are expected, columns predicted categories, `$none` for nothing; spans must match exactly.

    `normalizedValue` is the percentage (0 to 100) of the row.
    """
    names = [*categories, NONE]
    raw = {row: dict.fromkeys(names, 0) for row in names}
    for example, predicted in scored:
        expected_at, predicted_at = _by_span(example.labels), _by_span(predicted)
        for span in expected_at.keys() | predicted_at.keys():
            for row, column in _pairs(expected_at.get(span, []), predicted_at.get(span, [])):
                raw[row][column] += 1
    return {
        row: {
            column: {"normalizedValue": 100 * _ratio(value, sum(cells.values())), "rawValue": value}
            for column, value in cells.items()
        }
        for row, cells in raw.items()
    }


def _by_span(labels: frozenset[Gold]) -> dict[tuple[int, int], list[str]]:
    spans: dict[tuple[int, int], list[str]] = {}
    for category, offset, length in sorted(labels):
        spans.setdefault((offset, length), []).append(category)
    return spans


def _pairs(expected: list[str], predicted: list[str]) -> list[tuple[str, str]]:
    """Pair what stands at one span: equal categories first, then one to one, the rest with `$none`."""
    pairs = [(category, category) for category in expected if category in predicted]
    missed = [category for category in expected if category not in predicted]
    wrong = [category for category in predicted if category not in expected]
    longer = max(len(missed), len(wrong))
    missed += [NONE] * (longer - len(missed))
    wrong += [NONE] * (longer - len(wrong))
    return pairs + list(zip(missed, wrong, strict=True))


def results(kind: ProjectKind, scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """The rows of `evaluation/result`: what was expected of, and predicted for, each test document."""
    rows = []
    for example, predicted in scored:
        row = {"projectKind": kind, "location": example.location, "language": example.language}
        row[f"{RESULT_KEYS[kind]}Result"] = _result(kind, example, predicted)
        rows.append(row)
    return rows


def _result(kind: ProjectKind, example: Example, predicted: frozenset[Gold]) -> Any:
    if kind is ProjectKind.ENTITIES:
        region = {
            "regionOffset": 0,
            "regionLength": example.text.length,
            "expectedEntities": _entities(example.labels),
            "predictedEntities": _entities(predicted),
        }
        return {"entities": [region]}
    expected_names = sorted(category for category, _, _ in example.labels)
    predicted_names = sorted(category for category, _, _ in predicted)
    if kind is ProjectKind.MULTI_LABEL:
        return {"expectedClasses": expected_names, "predictedClasses": predicted_names}
    return {
        "expectedClass": expected_names[0] if expected_names else None,
        "predictedClass": predicted_names[0] if predicted_names else None,
    }


def _entities(labels: frozenset[Gold]) -> list[dict[str, Any]]:
    ordered = sorted(labels, key=lambda label: (label[1], label[2], label[0]))
    return [
        {"category": category, "offset": offset, "length": length} for category, offset, length in ordered
    ]
