"""Snapshots by commands: listed, shown, compared and exported, from the registry alone."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from labelbridge.azure.session import AzureSession
from labelbridge.errors import ExitCode
from labelbridge.labels import LabeledDocument, Span
from labelbridge.labels.manifest import manifest_of
from labelbridge.labels.snapshot import Snapshot, encode
from labelbridge.local.seed import RECORDS_ACCOUNT, SeededProject
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from labelbridge.registry import Registry
from tests.cli.conftest import Run
from tests.cli.test_story import data
from tests.conftest import NewProject

BEFORE = (
    LabeledDocument(document="d000.txt", spans=(Span(0, 6, "Product"),), dataset="Train"),
    LabeledDocument(document="d001.txt", spans=(Span(0, 6, "City"),)),
)
AFTER = (
    LabeledDocument(document="d000.txt", spans=(Span(0, 6, "City"),), dataset="Train"),
    LabeledDocument(document="d002.txt", spans=(Span(0, 6, "City"), Span(3, 3, "Product"))),
)


@dataclass
class Kept:
    project: SeededProject
    before: Snapshot
    after: Snapshot

    @property
    def name(self) -> str:
        return self.project.ref.name


@pytest.fixture
def kept(stack: Stack, new_project: NewProject) -> Kept:
    """A project with two snapshots."""
    project = new_project(ProjectKind.ENTITIES)
    with stack.acting_as("worker"):
        return asyncio.run(_keep(stack, project))


async def _keep(stack: Stack, project: SeededProject) -> Kept:
    settings = stack.settings("worker")
    async with AzureSession(settings) as session:
        registry = Registry(session.blobs(RECORDS_ACCOUNT), settings.registry.container)
        await registry.ensure()
        made = [await _put(registry, project, rows, day) for day, rows in ((1, BEFORE), (2, AFTER))]
    return Kept(project, *made)


async def _put(
    registry: Registry, project: SeededProject, rows: Sequence[LabeledDocument], day: int
) -> Snapshot:
    snapshot = encode(
        rows, kind=project.kind, project_key=project.ref.key, categories=("City", "Product", uuid.uuid4().hex)
    )
    described = manifest_of(
        snapshot,
        side="azureml",
        epoch=day,
        taken_at=datetime(2026, 1, day, tzinfo=UTC),
        quarantined_codes={"broken_json": 1},
        source_etags={"export.jsonl": "0x1"},
    )
    await registry.put_snapshot(
        project.ref, snapshot.id, snapshot.content, dict(msgspec.to_builtins(described))
    )
    return snapshot


def test_snapshots_are_listed_and_shown_with_their_manifests(kept: Kept, labelbridge: Run) -> None:
    listed = data(labelbridge("snapshots", "list", kept.name, "-o", "json"))
    assert [one["id"] for one in listed] == [kept.before.id, kept.after.id]
    assert [(one["epoch"], one["documents"], one["quarantined"]) for one in listed] == [(1, 2, 1), (2, 2, 1)]
    shown = data(labelbridge("snapshots", "show", kept.name, kept.after.id[:12], "-o", "json"))
    assert shown == listed[1]
    assert (shown["unit"], shown["counts"], shown["sha256"]) == (
        "utf16",
        {"City": 2, "Product": 1},
        kept.after.id,
    )
    assert shown["source_etags"] == {"export.jsonl": "0x1"}
    for command in (["list", kept.name], ["show", kept.name, kept.after.id]):
        table = labelbridge("snapshots", *command)
        assert table.returncode == 0, table.stderr
        assert kept.after.id[:16] in table.stdout


def test_two_snapshots_are_compared_by_document_and_span(kept: Kept, labelbridge: Run) -> None:
    found = labelbridge("snapshots", "diff", kept.name, kept.before.id, kept.after.id, "-o", "json")
    changes = {one["document"]: one for one in data(found)["changes"]}
    assert {name: one["status"] for name, one in changes.items()} == {
        "d000.txt": "changed",
        "d001.txt": "removed",
        "d002.txt": "added",
    }
    assert changes["d000.txt"]["spans_added"] == [{"offset": 0, "length": 6, "category": "City"}]
    assert "3 labels added, 2 removed" in found.stderr
    table = labelbridge("snapshots", "diff", kept.name, kept.before.id, kept.after.id)
    assert [line.split()[0] for line in table.stdout.splitlines()[1:]] == [
        "d000.txt",
        "d000.txt",
        "d001.txt",
        "d002.txt",
        "d002.txt",
    ]


def test_a_snapshot_is_exported_with_the_projects_own_documents(
    kept: Kept, labelbridge: Run, tmp_path: Path
) -> None:
    file = tmp_path / "labels.json"
    report = data(labelbridge("snapshots", "export", kept.name, kept.after.id, str(file), "-o", "json"))
    assert (report["target"], report["totals"]["written"]) == ("language", 2), report
    written = json.loads(file.read_bytes())
    assert written["metadata"]["storageInputContainerName"] == kept.project.container
    assert [one["location"] for one in written["assets"]["documents"]] == ["d000.txt", "d002.txt"]
    assert written["assets"]["documents"][0]["entities"][0]["regionLength"] > 6
    piped = labelbridge("snapshots", "export", kept.name, kept.after.id, "-", "--to", "snapshot")
    assert piped.stdout.encode() == kept.after.content
    lossy = labelbridge("snapshots", "export", kept.name, kept.after.id, "-", "--to", "conll", "-o", "json")
    assert data(lossy, ExitCode.REFUSED)["error"]["code"] == "lossy_export"


def test_a_snapshot_that_is_not_there_is_said_so(kept: Kept, labelbridge: Run) -> None:
    for given in ("0" * 64, "0" * 12, "nonsense", ""):
        refused = labelbridge("snapshots", "show", kept.name, given, "-o", "json")
        assert data(refused, ExitCode.REFUSED)["error"]["code"] == "snapshot_unknown"
