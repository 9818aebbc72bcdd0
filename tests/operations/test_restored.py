"""The registry is restored from a copy, and Temporal's database is lost with it: the projects go on.

The copy is made as docs/operations.md says, while workers run: records and subscribers first, then the rest, so that
nothing in the copy names what is not in it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import OperationKind, ProjectKind, Studio
from tests.operations.rehearsal import Rehearsal
from tests.operations.test_lost_namespace import lose_temporal

FIRST = ("projects/", "events/subscribers/")
"""Copied before everything else."""


@dataclass
class Registry:
    """The record container as whoever looks after the storage account sees it."""

    stack: Stack

    def copy(self) -> dict[str, tuple[bytes, dict[str, str]]]:
        """Every blob with its metadata, those of `FIRST` first."""
        container = self._container()
        names = [blob.name for blob in container.list_blobs()]
        copied = {}
        for name in sorted(names, key=lambda name: (not name.startswith(FIRST), name)):
            blob = container.download_blob(name)
            copied[name] = blob.readall(), dict(blob.properties.metadata or {})
        return copied

    def lose(self) -> None:
        """Delete every blob."""
        container = self._container()
        for blob in container.list_blobs():
            container.delete_blob(blob.name)

    def restore(self, copied: dict[str, tuple[bytes, dict[str, str]]]) -> None:
        """Put a copy in the place of what is there."""
        self.lose()
        container = self._container()
        for name, (content, metadata) in copied.items():
            container.upload_blob(name, content, metadata=metadata)

    def _container(self) -> ContainerClient:
        return self.stack.tenant.blobs("admin", RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Stack, Labelbridge]]:
    """A stack whose registry nobody else uses."""
    with Stack(tmp_path / "stack", tuned=True) as stack, stack.acting_as("operator"):
        async with Labelbridge.connect(stack.settings("operator")) as bridge:
            yield stack, bridge


def _lose_and_restore(stack: Stack, copied: dict[str, tuple[bytes, dict[str, str]]]) -> None:
    stack.child("worker-1").stop()
    Registry(stack).restore(copied)
    lose_temporal(stack)
    stack.restart("worker-1")


@pytest.mark.long
async def test_projects_go_on_from_a_copy_of_the_registry_and_an_older_copy_is_taken_for_the_truth(
    alone: tuple[Stack, Labelbridge], tmp_path: Path
) -> None:
    stack, bridge = alone
    registry = Registry(stack)
    r = Rehearsal.make(stack, bridge, tmp_path, ProjectKind.ENTITIES, documents=12, labelled=8)
    other = Rehearsal.make(stack, bridge, tmp_path, ProjectKind.ENTITIES, documents=12, labelled=8)
    await r.connect()
    older = await asyncio.to_thread(registry.copy)
    await asyncio.to_thread(r.labelers.start)
    try:
        await r.switch(Studio.AZUREML)
        first = await bridge.sync(r.ref, timeout=300)
        copied = await asyncio.to_thread(registry.copy)
        await asyncio.to_thread(_lose_and_restore, stack, copied)

        entries = await bridge.history(r.ref)
        assert [entry.kind.value for entry in entries] == ["connect", "switch", "sync"]
        status = await bridge.status(r.ref)
        assert (status.active, status.epoch, status.attention) == (Studio.AZUREML, 1, None)
        second = await bridge.sync(r.ref, timeout=300)
        assert second.source == "azureml"
        assert r.evidence.snapshot(first.id) is not None
        with pytest.raises(LabelbridgeError) as taken:
            await bridge.connect_project(other.ref, job=r.job_name, timeout=300)
        assert taken.value.code == "job_claimed"

        # The older copy says that people label in Language.
        await asyncio.to_thread(_lose_and_restore, stack, older)
        result = await bridge.reconcile(r.ref, timeout=300)
        await r.gates_become_in_time(language=True, azureml=False)
    finally:
        await asyncio.to_thread(r.labelers.stop)
    assert {drift.code.value for drift in result.drift} >= {"azureml_open", "language_shut"}
    kept = [entry for entry in await bridge.history(r.ref) if entry.kind is OperationKind.RECONCILE]
    assert kept
    assert any("snapshot" in note for note in kept[-1].notes), kept[-1].notes
    assert "sync" not in {entry.kind.value for entry in await bridge.history(r.ref)}
