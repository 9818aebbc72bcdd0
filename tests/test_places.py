"""Whatever projects, operations, subscribers, documents and snapshots are called, their blobs and files stay put."""

import asyncio
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labelbridge import stored
from labelbridge.events.subscribers import Subscribers, SubscriberState
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.container import container_of
from labelbridge.labels.contents import FolderContents
from labelbridge.labels.mltable import members
from labelbridge.labels.paths import candidates, check_name
from labelbridge.model import JobRef, ProjectRef
from labelbridge.registry import Registry
from tests.azure.nasty import NASTY, taken

ACCOUNT = "/subscriptions/0-0/resourceGroups/labeling/providers/Microsoft.CognitiveServices/accounts/contoso"
PROJECT = ProjectRef(language_resource=ACCOUNT, name="tickets")
HEX = "9f" * 32


class Names:
    """Stands for the blobs of an account: notes each name and has none of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def read(self, _: str, name: str) -> None:
        self.asked.append(name)

    async def download(self, _: str, name: str, *__: Any, **___: Any) -> None:
        self.asked.append(name)

    async def create(self, _: str, name: str, *__: Any, **___: Any) -> str:
        self.asked.append(name)
        return "etag"

    async def replace(self, _: str, name: str, *__: Any) -> str:
        self.asked.append(name)
        return "etag"

    async def exists(self, _: str, name: str) -> bool:
        self.asked.append(name)
        return False

    async def list(self, _: str, prefix: str) -> tuple[()]:
        self.asked.append(prefix)
        return ()


Ask = Callable[[Any, str], Any]
ASKS: dict[str, tuple[str, Ask]] = {
    "an operation": (
        f"audit/{PROJECT.key}/",
        lambda names, text: Registry(names, "records").audit_entry(PROJECT, text),
    ),
    "a snapshot": (
        f"snapshots/{PROJECT.key}/",
        lambda names, text: Registry(names, "records").open_snapshot(PROJECT, text),
    ),
    "how a snapshot begins": (
        f"snapshots/{PROJECT.key}/",
        lambda names, text: Registry(names, "records").snapshot_id(PROJECT, text),
    ),
    "a project file": ("raw/", lambda names, text: Registry(names, "records").open_raw(text)),
    "a quarantine file": (
        "quarantine/",
        lambda names, text: Registry(names, "records").open_quarantine(text),
    ),
    "a merge report": ("reports/", lambda names, text: Registry(names, "records").open_report(text)),
    "a part": ("shards/", lambda names, text: Registry(names, "records").open_shard(text)),
    "parts": ("shards/", lambda names, text: Registry(names, "records").drop_shards(text)),
    "a subscriber": ("events/subscribers/", lambda names, text: Subscribers(names, "records").load(text)),
    "a new subscriber": (
        "events/subscribers/",
        lambda names, text: Subscribers(names, "records").save(SubscriberState(name=text, cursor=0), "etag"),
    ),
    "dead letters": ("events/dead/", lambda names, text: Subscribers(names, "records").dead_letters(text)),
}


@pytest.mark.parametrize("what", ASKS)
@given(
    text=NASTY | st.sampled_from([f"../{HEX}", f"raw/{HEX}.json/../../x", f"{HEX}\n", f"raw/{HEX}.json\n"])
)
@example(text="..")
@example(text="../../projects/x/record.json")
@example(text=f"raw/../reports/{HEX}.json")
def test_a_blob_of_the_registry_stays_below_its_folder(what: str, text: str) -> None:
    folder, ask = ASKS[what]
    names = Names()
    taken(lambda: asyncio.run(ask(names, text)), "snapshot_unknown", "invalid_request")
    for name in names.asked:
        assert name.startswith(folder)
        assert (posixpath.normpath(name.replace("\\", "/")) + "/").startswith(folder)
        assert "?" not in name
        assert "#" not in name


@given(account=NASTY, container=NASTY)
def test_a_catalog_stays_below_its_folder(account: str, container: str) -> None:
    name = stored._catalog_name(account, container)
    assert posixpath.normpath(name) == name
    assert len(name.split("/")) == 3


@given(text=NASTY)
def test_a_name_as_a_segment_is_one_segment_and_can_be_read_back(text: str) -> None:
    found = stored.segment(text)
    assert "/" not in found
    assert found not in ("", ".", "..")
    assert not {*found} & {*"\\?# \0\n"}
    assert unquote(found) == (text or "\0")


@given(name=NASTY | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True))
def test_a_claim_stays_among_the_claims_of_its_workspace(name: str) -> None:
    workspace = ACCOUNT.replace("CognitiveServices/accounts", "MachineLearningServices/workspaces")
    try:
        key = JobRef(workspace=workspace, name=name).claim_key
    except ValueError:
        return
    assert posixpath.normpath(key) == key
    assert [*map(bool, key.split("/"))] == [True] * 3
    assert key.startswith("claims/contoso-")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents, beside a secret that links, `..` and absolute paths could reach."""
    root = tmp_path_factory.mktemp("places")
    (root / "secret.txt").write_text("secret")
    (root / "other").mkdir()
    (root / "other" / "secret.txt").write_text("secret")
    inside = root / "documents"
    (inside / "sub").mkdir(parents=True)
    for name in ("a.txt", "sub/b.txt", "%2e%2e.txt", "\u2024\u2024", "x\\y.txt"):
        (inside / name).write_text("document")
    (inside / "link.txt").symlink_to(root / "secret.txt")
    (inside / "relative.txt").symlink_to("../secret.txt")
    (inside / "folder").symlink_to(root / "other")
    (inside / "up").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    (inside / "own.txt").symlink_to("a.txt")
    return inside


PARTS = st.sampled_from(
    [
        "a.txt",
        "sub",
        "b.txt",
        "..",
        ".",
        "secret.txt",
        "link.txt",
        "relative.txt",
        "folder",
        "up",
        "loop",
        "own.txt",
    ]
)


@given(name=NASTY | st.lists(PARTS, min_size=1, max_size=5).map("/".join) | PARTS.map("/etc/../".__add__))
@example(name="folder/secret.txt")
@example(name="up/secret.txt")
@example(name="sub/../../secret.txt")
@example(name="sub\\..\\..\\secret.txt")
@example(name="a.txt\0../secret.txt")
def test_a_document_of_a_folder_is_a_file_in_that_folder(folder: Path, name: str) -> None:
    assert FolderContents(folder).read(name) in (None, b"document")


def test_documents_in_a_folder_are_found_by_their_names(folder: Path) -> None:
    """Else the property above would hold for a reader that finds nothing."""
    found = [FolderContents(folder).read(name) for name in ("a.txt", "sub/b.txt", "%2e%2e.txt", "own.txt")]
    assert found == [b"document"] * 4


def test_a_document_that_is_no_file_is_none_and_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    contents = FolderContents(tmp_path)
    assert (contents.read("pipe.txt"), contents.read("folder.txt")) == (None, None)


@given(path=NASTY | st.lists(NASTY, min_size=2, max_size=3).map("/".join))
@example(path="%2e%2e/x")
@example(path="a/%2E%2E%2fx")
def test_a_rows_address_names_documents_of_the_container_or_is_rejected(path: str) -> None:
    try:
        found = candidates(f"AmlDatastore://store/{path}", "store")
    except RejectedRowError:
        return
    for name in found:
        check_name(name)
        folded = posixpath.normpath("/" + name.replace("\\", "/"))
        assert folded.rstrip("/").endswith(posixpath.basename(name.replace("\\", "/").rstrip("/")))
        assert ".." not in name.replace("\\", "/").split("/")
        assert name.encode()


@given(url=NASTY | NASTY.map("https://contosodata.blob.core.windows.net/".__add__))
@example(url="https://contosodata.blob.core.windows.net/letters?sig=x")
@example(url="https://[contosodata/letters")
@example(url="https://user:key@contosodata.blob.core.windows.net/letters")
def test_a_containers_address_gives_two_names_or_is_refused(url: str) -> None:
    found = taken(lambda: container_of(url), "input_invalid")
    if found is None:
        return
    assert all(found)
    assert "?" not in url


@given(path=NASTY, kind=st.sampled_from(["file", "folder", "pattern"]))
def test_a_table_names_files_of_its_folder_only(path: str, kind: str) -> None:
    import yaml

    there = ["a.jsonl", "sub/b.jsonl"]
    table = yaml.safe_dump(
        {"paths": [{kind: path}], "transformations": ["read_json_lines"]}, allow_unicode=False
    )
    data = table.encode("utf-8", "replace")
    assert {*(taken(lambda: members(data, there, "MLTable"), "input_invalid") or ())} <= {*there}
