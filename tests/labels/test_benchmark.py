"""The benchmark measures real conversions of a corpus that says the same in both formats."""

import io
from pathlib import Path

import pytest

from benchmarks import corpus
from benchmarks.cases import CASES
from labelbridge.labels import LanguageProjectFile, same_labels
from labelbridge.labels.azureml_jsonl import read
from labelbridge.labels.offsets import InlineTexts
from labelbridge.labels.rows import LabeledDocument
from labelbridge.model import OffsetUnit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench")
    corpus.write(path, 200)
    return path


def test_both_formats_of_the_corpus_say_the_same(folder: Path) -> None:
    file = LanguageProjectFile.open(io.BytesIO((folder / "language.json").read_bytes()), "x")
    rows = read(
        (folder / "labels.jsonl").read_bytes().split(b"\n"),
        kind=file.kind, unit=OffsetUnit.CODEPOINT, texts=InlineTexts(), categories=corpus.CATEGORIES,
        datastore=None, source="y",
    )  # fmt: skip
    found = [row for row in rows if isinstance(row, LabeledDocument)]
    assert len(found) == 200
    assert same_labels(found, [row for row in file.rows() if isinstance(row, LabeledDocument)]) == []


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith(("ours", "floor"))])
def test_a_case_of_the_benchmark_runs(case: str, folder: Path) -> None:
    CASES[case](folder)
