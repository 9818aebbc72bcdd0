"""Bounded memory: what goes to disk comes back as if it had stayed."""

import json
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from labelbridge.labels import LabeledDocument, LanguageProjectFile, Quarantined
from labelbridge.labels import _json_scan as scan
from labelbridge.labels.spill import Seen, in_order
from tests.labels.strategies import CATEGORIES, Case, cases

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@given(st.lists(words), st.integers(1, 4))
def test_the_first_of_each_name_is_known_however_little_is_held(names: list[str], held: int) -> None:
    seen, expected = Seen(held), dict[str, int]()
    for number, name in enumerate(names):
        assert (name in seen) == (name in expected)
        assert seen.first(name, number) == expected.setdefault(name, number)


@given(
    st.lists(st.tuples(words, st.binary(max_size=4).map(lambda b: b.replace(b"\n", b"")))), st.integers(1, 4)
)
def test_sorting_on_disk_is_sorting(items: list[tuple[str, bytes]], held: int) -> None:
    assert list(in_order(items, held)) == sorted(items)


@given(cases(language_fields=True), st.sampled_from([None, 1, "\t"]), st.integers(1, 80))
def test_a_project_file_reads_the_same_in_blocks_of_any_size(
    case: Case, indent: int | str | None, size: int
) -> None:
    new = LanguageProjectFile.new(
        name="p", kind=case.kind, container="c", language="fr", categories=CATEGORIES
    )
    data = new.with_labels(case.rows, texts=case.texts, settings={})
    data = json.dumps(json.loads(data), indent=indent, ensure_ascii=bool(size % 2)).encode()
    before = scan.BLOCK
    scan.BLOCK = size
    try:
        file = LanguageProjectFile.parse(data, "x")
        assert tuple(file.rows()) == case.rows
        again = file.with_labels(case.rows, texts=case.texts, settings={})
    finally:
        scan.BLOCK = before
    assert json.loads(again) == json.loads(data)


def test_one_broken_entry_among_thousands_costs_itself_only() -> None:
    entries = [json.dumps({"location": f"{n:05}.txt", "class": {"category": "A"}}) for n in range(20_000)]
    entries[7000] = '{"location": "x", "class": {"category": NaN}}'
    entries[7001] = '{"location": "]}},{\\"location\\"", "class": {"category": "A"}}'
    entries[15_000] = '{"location": "y", "x": ' + "[" * 50_000 + "]" * 50_000 + "}"
    data = (
        '{"assets": {"projectKind": "CustomSingleLabelClassification", "documents": ['
        + ",\n".join(entries)
        + '], "classes": [{"category": "A"}]}}'
    )
    rows = list(LanguageProjectFile.parse(data.encode(), "x").rows())
    assert len(rows) == 20_000
    aside = {n: row.code for n, row in enumerate(rows) if isinstance(row, Quarantined)}
    assert aside == {7000: "broken_json", 15_000: "nested_too_deep"}
    assert rows[7001] == LabeledDocument(document=']}},{"location"', classes=("A",))


def test_an_entry_larger_than_any_document_is_put_aside_unparsed() -> None:
    huge = '{"location": "x", "note": "' + "x" * (17 << 20) + '"}'
    good = '{"location": "a", "class": {"category": "A"}}'
    data = (
        f'{{"assets": {{"projectKind": "CustomSingleLabelClassification", "documents": [{huge}, {good}]}}}}'
    )
    first, second = LanguageProjectFile.parse(data.encode(), "x").rows()
    assert isinstance(first, Quarantined)
    assert first.code == "line_too_long"
    assert isinstance(second, LabeledDocument)


_MEMORY = """
import resource, sys
from labelbridge.labels import LabeledDocument, LanguageProjectFile, Span, snapshot
from labelbridge.labels.azureml_jsonl import read, write
from labelbridge.labels.offsets import Text
from labelbridge.labels.lines import split
from labelbridge.model import OffsetUnit, ProjectKind
import tempfile
NER, U16 = ProjectKind.ENTITIES, OffsetUnit.UTF16
class All:
    def get(self, document): return Text(100)
def rows(n):
    for i in range(n):
        name = f"{(i * 7919) % n:07}.txt"  # out of order, so that nothing is spared by luck
        yield LabeledDocument(document=name, spans=tuple(Span(10 * k, 5, "ABC"[k % 3]) for k in range(5)))
def read_back(n):
    return read(split(write(rows(n), kind=NER, unit=U16, texts=All(), datastore="d")), kind=NER, unit=U16,
        texts=All(), categories=None, datastore=None, source="x")
n = int(sys.argv[1])
file, out = tempfile.TemporaryFile(), tempfile.TemporaryFile()
new = LanguageProjectFile.new(name="p", kind=NER, container="c", language="en")
for piece in new.stream(read_back(n), texts=All(), settings={}): file.write(piece)
project = LanguageProjectFile.open(file, "x")
for piece in project.stream(project.rows(), texts=All(), settings={}): out.write(piece)
assert snapshot.write(project.rows(), out, kind=NER, project_key="k", categories="ABC").documents == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak(documents: int) -> int:
    command = [sys.executable, "-c", _MEMORY, str(documents)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return int(done.stdout)


def test_peak_memory_does_not_grow_with_the_project() -> None:
    # 1.1 as promised; both are past the point at which names and rows go to disk.
    assert _peak(80_000) < 1.1 * _peak(20_000)
