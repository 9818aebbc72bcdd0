"""Documents of a real container (Azurite), with the identity that the product uses anywhere."""

import json
from pathlib import Path

import pytest

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.container import WINDOW, ContainerContents, container_of
from labelbridge.labels.contents import FolderContents, Measured
from labelbridge.labels.convert import Conversion, convert
from labelbridge.labels.formats import Format, Source
from labelbridge.local.seed import DATA_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import OffsetUnit
from tests.conftest import NewProject


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://acc.blob.core.windows.net/docs", ("acc", "docs")),
        ("https://acc.blob.core.windows.net/docs/", ("acc", "docs")),
        ("https://127.0.0.1:10000/acc/docs", ("acc", "docs")),
        ("https://localhost/acc/docs", ("acc", "docs")),
    ],
)
def test_an_address_names_account_and_container(url: str, expected: tuple[str, str]) -> None:
    assert container_of(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://acc.blob.core.windows.net/", "https://acc.blob.core.windows.net/a/b", "https://localhost/docs",
        "https://acc.blob.core.windows.net/docs?sv=1&sig=secret", "https://u:p@acc.blob.core.windows.net/docs",
        "http://acc.blob.core.windows.net/docs", "https://",
    ],
)  # fmt: skip
def test_an_address_without_a_container_or_with_a_key_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        container_of(url)
    assert caught.value.code == "input_invalid"
    assert "secret" not in str(caught.value)


def test_a_conversion_reads_the_documents_of_a_container(
    stack: Stack, new_project: NewProject, tmp_path: Path
) -> None:
    documents = 2 * WINDOW  # more than are fetched ahead at once
    project = new_project(documents=documents, labelled=documents)
    (folder,) = tmp_path.glob("project*")
    settings = stack.settings("operator")
    account = DATA_ACCOUNT
    url = settings.azure.storage_endpoint.replace("{account}", account) + f"/{project.container}"
    results = []
    with stack.acting_as("operator"), ContainerContents(url, settings) as remote:
        assert remote.read("none.txt") is None
        assert remote.read("../none.txt") is None
        for contents in (remote, FolderContents(folder)):
            out = tmp_path / "out.jsonl"
            with Source("labels.json", path=folder / "labels.json") as source, out.open("wb") as file:
                conversion = Conversion(target=Format.AZUREML, documents=contents, unit=OffsetUnit.CODEPOINT)
                report = convert(source, file, conversion)
            assert (report.totals.written, report.totals.quarantined) == (documents, 0)
            results.append(out.read_bytes())
        assert Measured(remote).get("d000.txt") == Measured(FolderContents(folder)).get("d000.txt")
    assert results[0] == results[1]
    assert len(json.loads(results[0].splitlines()[0])["label"]) > 0
