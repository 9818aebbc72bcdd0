"""What the local Language service refuses in a project file, and what it keeps."""

import copy
from typing import Any

import pytest

from labelbridge.local import language_files, language_labels, language_store
from labelbridge.local.config import LanguageConfig
from labelbridge.local.language_files import InvalidFileError
from labelbridge.local.language_languages import LANGUAGES, supported
from labelbridge.local.language_text import Utf16Text
from labelbridge.model import ProjectKind

LIMITS = LanguageConfig()
TEXT = "\U0001f600 Ann lives in Rome\r\n"


def project_file(kind: str = "CustomEntityRecognition", **assets: Any) -> dict[str, Any]:
    own: dict[str, Any] = {"projectKind": kind, **assets}
    if kind == "CustomEntityRecognition":
        own.setdefault("entities", [{"category": "Who"}])
    else:
        own.setdefault("classes", [{"category": "A"}, {"category": "B"}])
    own.setdefault("documents", [])
    return {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {
            "projectName": "p",
            "projectKind": kind,
            "storageInputContainerName": "c",
            "language": "en-us",
            "settings": {},
        },
        "assets": own,
    }


def spans(*labels: dict[str, Any], location: str = "a.txt") -> dict[str, Any]:
    region = {"regionOffset": 0, "regionLength": 22, "labels": list(labels)}
    return {"location": location, "language": "en-us", "entities": [region]}


def check(body: dict[str, Any], text: str | None = TEXT, sizes: dict[str, int] | None = None) -> None:
    file = language_files.parse(body, "p", LIMITS)
    found = {"a.txt": 25} if sizes is None else sizes
    texts = {
        name: None if text is None else Utf16Text(text)
        for name in language_files.needs_text(file, found, LIMITS)
    }
    language_files.check_documents(file, found, texts, LIMITS)


def refused(body: dict[str, Any], **found: Any) -> str:
    with pytest.raises(InvalidFileError) as caught:
        check(body, **found)
    return caught.value.message


def test_a_good_file_of_each_kind_is_taken() -> None:
    check(project_file(documents=[spans({"category": "Who", "offset": 3, "length": 3})]))
    single = [{"location": "a.txt", "class": {"category": "A"}, "dataset": "Test"}]
    check(project_file("CustomSingleLabelClassification", documents=single))
    multi = [{"location": "a.txt", "classes": [{"category": "A"}, {"category": "B"}]}]
    check(project_file("CustomMultiLabelClassification", documents=multi))


def test_kinds_that_differ_are_refused_in_azures_own_words() -> None:
    body = project_file()
    body["assets"]["projectKind"] = "CustomSingleLabelClassification"
    assert refused(body) == (
        "The project kind in the exported project's metadata must match the assets' project kind."
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stringIndexType": "UnicodeCodePoint"}, "stringIndexType"),
        ({"projectFileVersion": None}, "projectFileVersion"),
        ({"metadata": None}, "metadata"),
        ({"assets": []}, "assets"),
    ],
)
def test_a_file_without_its_required_parts_is_refused(change: dict[str, Any], message: str) -> None:
    assert message in refused({**project_file(), **change})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("projectName", "other", "projectName"),
        ("language", "tlh", "language"),
        ("storageInputContainerName", "", "storageInputContainerName"),
        ("settings", 3, "settings"),
    ],
)
def test_wrong_metadata_is_refused(field: str, value: object, message: str) -> None:
    body = project_file()
    body["metadata"][field] = value
    assert message in refused(body)


@pytest.mark.parametrize(
    "name", ["with:colon", "a$", "a&b", "50%", "*", "(", ")", "+", "~", "#", "a/b", "?", "", "x" * 51]
)
def test_forbidden_category_names_are_refused(name: str) -> None:
    assert "category name" in refused(project_file(entities=[{"category": name}]))


def test_more_than_two_hundred_categories_are_refused() -> None:
    many = [{"category": f"c{n}"} for n in range(201)]
    assert "at most 200" in refused(project_file(entities=many))
    language_files.parse(project_file(entities=many[:200]), "p", LIMITS)


@pytest.mark.parametrize("location", ["a b.txt", "sub/a.txt", "a.pdf", "../a.txt", "", None, "a.txt\n"])
def test_document_names_that_language_forbids_are_refused(location: object) -> None:
    assert "location" in refused(project_file(documents=[{"location": location}]))


def test_a_document_must_be_there_be_listed_once_and_not_be_empty() -> None:
    body = project_file(documents=[spans()])
    assert "does not exist" in refused(body, sizes={})
    assert "empty" in refused(body, sizes={"a.txt": 0})
    assert "listed twice" in refused(project_file(documents=[spans(), spans()]))


def test_a_document_that_is_too_long_or_not_utf8_is_refused() -> None:
    body = project_file(documents=[spans()])
    assert "longer than 128000" in refused(body, text="x" * 128_001, sizes={"a.txt": 128_001})
    assert "UTF-8" in refused(body, text=None)
    check(body, text="\u00e9" * 128_000, sizes={"a.txt": 256_000})


@pytest.mark.parametrize(
    ("offset", "length", "message"),
    [
        (1, 2, "surrogate"),
        (0, 1, "surrogate"),
        (-1, 2, "outside"),
        (21, 2, "outside"),
        (3, 0, "1 to 500"),
        (0, 501, "1 to 500"),
        (True, 2, "integers"),
        (1.0, 2, "integers"),
    ],
)
def test_spans_that_do_not_fit_the_document_are_refused(offset: Any, length: Any, message: str) -> None:
    body = project_file(documents=[spans({"category": "Who", "offset": offset, "length": length})])
    assert message in refused(body)


def test_unknown_categories_repeated_labels_and_wrong_shapes_are_refused() -> None:
    label = {"category": "Who", "offset": 3, "length": 3}
    assert "not defined" in refused(project_file(documents=[spans({**label, "category": "X"})]))
    assert "twice" in refused(project_file(documents=[spans(label, dict(label))]))
    assert "shape" in refused(project_file(documents=[{"location": "a.txt", "entities": [3]}]))
    single = "CustomSingleLabelClassification"
    wrong = [{"location": "a.txt", "class": {"category": "C"}}]
    assert "not defined" in refused(project_file(single, documents=wrong))


def test_fields_that_we_do_not_know_survive_parsing_and_export() -> None:
    body = project_file(documents=[{**spans(), "mine": {"x": 1}}])
    body["vendor"] = {"y": 2}
    body["metadata"]["newField"] = [3]
    body["assets"]["prebuilt"] = "z"
    body["assets"]["entities"][0]["description"] = "people"
    before = copy.deepcopy(body)
    file = language_files.parse(body, "p", LIMITS)
    project = language_store.from_file(file, "account", "p", 0.0, None)
    exported = {
        **project.envelope,
        "metadata": project.body(),
        "assets": {"projectKind": project.kind, **project.assets, "documents": file.documents},
    }
    assert exported == before


def test_labels_are_written_back_in_the_form_of_each_kind() -> None:
    document = {"location": "a.txt", "dataset": "Test", "mine": 1}
    written = language_labels.write(
        ProjectKind.ENTITIES, document, [{"category": "Who", "offset": 0, "length": 1}], 22
    )
    assert written["entities"][0]["regionLength"] == 22
    assert written["mine"] == 1
    for kind, labels in ((ProjectKind.SINGLE_LABEL, "A"), (ProjectKind.MULTI_LABEL, ["A", "B"])):
        assert language_labels.read(kind, language_labels.write(kind, document, labels, 22)) == labels
    assert language_labels.read(ProjectKind.SINGLE_LABEL, document) is None


def test_region_variants_count_as_their_base_language() -> None:
    assert supported("fr-fr")
    assert supported("EN-US")
    assert not supported("tlh")
    assert len(LANGUAGES) == 95
