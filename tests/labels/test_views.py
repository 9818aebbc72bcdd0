"""Two looks at one file do not disturb each other."""

import io
import tempfile
from typing import BinaryIO

import pytest

from labelbridge.labels import LabeledDocument, snapshot
from labelbridge.labels._readers import SnapshotReader
from labelbridge.labels.formats import Format, ReadOptions, Source, reader
from labelbridge.labels.views import view
from labelbridge.model import ProjectKind

DATA = b"".join(b"%06d\n" % number for number in range(30_000))


@pytest.fixture(params=["on disk", "in memory"])
def file(request: pytest.FixtureRequest) -> BinaryIO:
    made: BinaryIO = io.BytesIO()
    if request.param == "on disk":
        made = tempfile.TemporaryFile()  # noqa: SIM115 - the test holds it
    made.write(DATA)
    return made


def test_views_and_the_file_each_have_their_place(file: BinaryIO) -> None:
    file.seek(0)
    one, two = view(file), view(file)
    for number in range(30_000):
        assert int(file.readline()) == int(one.readline()) == number
        if number % 3 == 0:
            assert int(two.readline()) == number // 3
    assert one.read() == file.read() == b""
    two.seek(-7, io.SEEK_END)
    assert two.read() == b"029999\n"


def _inputs() -> list[tuple[Format, bytes]]:
    rows = [LabeledDocument(document=f"d{n:05}.txt", classes=("A",)) for n in range(20_000)]
    made = snapshot.encode(rows, kind=ProjectKind.SINGLE_LABEL, project_key="p", categories=("A",))
    lines = [b'{"image_url":"AmlDatastore://s/%s","label":"A"}\n' % r.document.encode() for r in rows]
    table = [b"document,label\n", *(b"%s,A\n" % r.document.encode() for r in rows)]
    return [(Format.SNAPSHOT, made.content), (Format.AZUREML, b"".join(lines)), (Format.CSV, b"".join(table))]


@pytest.mark.parametrize(("found", "data"), _inputs(), ids=lambda one: str(one)[:8])
def test_no_row_is_passed_over_while_documents_are_looked_for_ahead(found: Format, data: bytes) -> None:
    options = ReadOptions(kind=ProjectKind.SINGLE_LABEL)
    read = reader(Source("labels", file=io.BytesIO(data)), found, options)
    rows, ahead = read.rows(), read.documents()
    seen = []
    for row in rows:
        next(ahead, None)
        next(ahead, None)
        assert isinstance(row, LabeledDocument)
        seen.append(row.document)
    assert seen == [f"d{n:05}.txt" for n in range(20_000)]


def test_a_snapshot_is_read_as_often_as_one_likes() -> None:
    found = SnapshotReader("s", io.BytesIO(_inputs()[0][1]), ReadOptions())
    assert len(list(found.rows())) == len(list(found.rows())) == 20_000
