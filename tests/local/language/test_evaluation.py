"""The evaluation of a local training: computed by hand here, and compared."""

import hashlib

import pytest

from labelbridge.local import evaluation
from labelbridge.local.evaluation import Baseline, Example, NotTrainableError
from labelbridge.local.language_text import Utf16Text
from labelbridge.model import ProjectKind

SINGLE, MULTI, NER = ProjectKind.SINGLE_LABEL, ProjectKind.MULTI_LABEL, ProjectKind.ENTITIES
OPTIONS = {"kind": "percentage", "trainingSplitPercentage": 80, "testingSplitPercentage": 20}


def classes(location: str, *names: str, dataset: str | None = None) -> Example:
    return Example(location, frozenset((name, 0, 0) for name in names), "en-us", dataset)


def entities(location: str, text: str, *spans: tuple[str, str]) -> Example:
    """A document whose labels are given by surface form; the offset is that of its first place."""
    labels = set()
    for category, form in spans:
        before = text[: text.index(form)]
        offset = len(before.encode("utf-16-le")) // 2
        labels.add((category, offset, len(form.encode("utf-16-le")) // 2))
    return Example(location, frozenset(labels), "en-us", None, Utf16Text(text))


def test_a_percentage_split_is_the_same_whatever_the_order_of_the_documents() -> None:
    examples = [classes(f"{n}.txt", "A") for n in range(50)]
    train, test = evaluation.split(examples, manual=False, testing_percent=20)
    again_train, again_test = evaluation.split(examples[::-1], manual=False, testing_percent=20)
    assert {e.location for e in test} == {e.location for e in again_test}
    assert {e.location for e in train} == {e.location for e in again_train}
    assert len(test) == 10
    assert len(train) == 40
    hashes = sorted(hashlib.sha256(e.location.encode()).digest() for e in examples)
    assert {hashlib.sha256(e.location.encode()).digest() for e in test} == set(hashes[:10])


def test_a_percentage_split_leaves_documents_of_the_test_dataset_out() -> None:
    examples = [classes("a.txt", "A", dataset="Test"), *(classes(f"{n}.txt", "A") for n in range(9))]
    train, test = evaluation.split(examples, manual=False, testing_percent=20)
    assert "a.txt" not in {e.location for e in [*train, *test]}


def test_a_manual_split_uses_the_documents_own_datasets() -> None:
    examples = [
        classes("a.txt", "A", dataset="Test"),
        classes("b.txt", "A", dataset="Train"),
        classes("c.txt", "A"),
    ]
    train, test = evaluation.split(examples, manual=True, testing_percent=0)
    assert [e.location for e in test] == ["a.txt"]
    assert [e.location for e in train] == ["b.txt", "c.txt"]


def test_a_manual_split_without_test_documents_is_refused() -> None:
    with pytest.raises(NotTrainableError, match="Test dataset"):
        evaluation.split([classes("b.txt", "A")], manual=True, testing_percent=0)


def test_nothing_labelled_cannot_be_trained_on() -> None:
    with pytest.raises(NotTrainableError):
        evaluation.split([], manual=False, testing_percent=20)


def test_the_single_label_baseline_is_the_majority_class_and_its_figures_are_right() -> None:
    model = Baseline(SINGLE, [classes("1", "A"), classes("2", "A"), classes("3", "B")])
    test = [classes("4", "A"), classes("5", "B"), classes("6", "A"), classes("7", "A")]
    summary = evaluation.summarize(SINGLE, ["A", "B", "C"], [(e, model.predict(e)) for e in test], OPTIONS)
    part = summary["customSingleLabelClassificationEvaluation"]
    assert part["classes"]["A"] == {
        "precision": 0.75,
        "recall": 1.0,
        "f1": pytest.approx(6 / 7),
        "truePositiveCount": 3,
        "trueNegativeCount": 0,
        "falsePositiveCount": 1,
        "falseNegativeCount": 0,
    }
    assert part["classes"]["B"]["falseNegativeCount"] == 1
    assert part["classes"]["B"]["trueNegativeCount"] == 3
    assert part["classes"]["C"]["trueNegativeCount"] == 4
    assert part["microF1"] == part["microPrecision"] == part["microRecall"] == 0.75
    assert part["macroRecall"] == 0.5
    assert part["macroPrecision"] == 0.375
    assert part["confusionMatrix"]["A"]["A"] == {"normalizedValue": 100.0, "rawValue": 3}
    assert part["confusionMatrix"]["B"]["A"] == {"normalizedValue": 100.0, "rawValue": 1}
    assert part["confusionMatrix"]["C"]["C"] == {"normalizedValue": 0.0, "rawValue": 0}
    assert summary["evaluationOptions"] == OPTIONS


def test_the_multi_label_baseline_predicts_classes_that_half_of_the_documents_have() -> None:
    train = [classes("1", "A", "B"), classes("2", "A"), classes("3", "B"), classes("4", "C")]
    model = Baseline(MULTI, train)
    test = [classes("5", "A"), classes("6", "A", "C")]
    scored = [(e, model.predict(e)) for e in test]
    part = evaluation.summarize(MULTI, ["A", "B", "C"], scored, OPTIONS)[
        "customMultiLabelClassificationEvaluation"
    ]
    assert "confusionMatrix" not in part
    assert part["classes"]["A"]["truePositiveCount"] == 2
    assert part["classes"]["B"]["falsePositiveCount"] == 2
    assert part["classes"]["C"]["falseNegativeCount"] == 1
    assert part["microPrecision"] == 0.5
    assert part["microRecall"] == pytest.approx(2 / 3)
    result = evaluation.results(MULTI, scored)[1]["customMultiLabelClassificationResult"]
    assert result == {"expectedClasses": ["A", "C"], "predictedClasses": ["A", "B"]}


def test_the_entity_baseline_finds_seen_forms_longest_first_in_utf16_units() -> None:
    train = [
        entities("1", "Ann Lee of Rome", ("Who", "Ann Lee"), ("City", "Rome")),
        entities("2", "Ann", ("Who", "Ann")),
    ]
    model = Baseline(NER, train)
    unseen = entities("3", "\U0001f600 Ann Lee met Ann in Romeo", ("Who", "Ann Lee"))
    assert model.predict(unseen) == {("Who", 3, 7), ("Who", 15, 3)}


def test_entity_figures_and_confusion_matrix_count_exact_spans() -> None:
    expected = entities("1", "Ann met Bob in Rome", ("Who", "Ann"), ("Who", "Bob"), ("City", "Rome"))
    predicted = frozenset({("Who", 0, 3), ("City", 8, 3), ("Who", 4, 3)})
    part = evaluation.summarize(NER, ["Who", "City"], [(expected, predicted)], OPTIONS)[
        "customEntityRecognitionEvaluation"
    ]
    assert part["entities"]["Who"]["truePositiveCount"] == 1
    assert part["entities"]["Who"]["falsePositiveCount"] == 1
    assert part["entities"]["Who"]["falseNegativeCount"] == 1
    assert part["entities"]["City"]["falsePositiveCount"] == 1
    assert part["entities"]["City"]["falseNegativeCount"] == 1
    matrix = part["confusionMatrix"]
    assert matrix["Who"]["Who"] == {"normalizedValue": 50.0, "rawValue": 1}
    assert matrix["Who"]["City"] == {"normalizedValue": 50.0, "rawValue": 1}
    assert matrix["City"]["$none"] == {"normalizedValue": 100.0, "rawValue": 1}
    assert matrix["$none"]["Who"] == {"normalizedValue": 100.0, "rawValue": 1}
    assert matrix["$none"]["$none"]["rawValue"] == 0
    assert part["microF1"] == pytest.approx(1 / 3)


def test_an_evaluation_of_no_documents_is_zero_and_does_not_fail() -> None:
    part = evaluation.summarize(NER, ["Who"], [], OPTIONS)["customEntityRecognitionEvaluation"]
    assert part["macroF1"] == part["microF1"] == 0


def test_utf16_text_measures_cuts_and_knows_where_characters_would_be_split() -> None:
    text = Utf16Text("a\U0001f600b\r\n\U0001f601")
    assert text.length == 8
    assert [text.splits_pair(n) for n in range(9)] == [
        False,
        False,
        True,
        False,
        False,
        False,
        False,
        True,
        False,
    ]
    assert text.cut(1, 2) == "\U0001f600"
    assert text.cut(3, 3) == "b\r\n"
    assert [text.to_utf16(n) for n in range(7)] == [0, 1, 3, 4, 5, 6, 8]
