"""A project that is too large for one step is read in parts, by every worker there is."""

import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from labelbridge.client import Labelbridge
from labelbridge.local.stack import WORKER_READY, Stack
from labelbridge.model import ProjectKind, Studio, SwitchRequest, SyncRequest
from tests.operations.helpers import Bench, connect, follow

QUEUE = "shards"
ROWS_EACH = 4


@pytest.fixture
def worker(stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """A worker of its own that cuts after a few rows."""
    mine = {
        "LABELBRIDGE_TEMPORAL__TASK_QUEUE": QUEUE,
        "LABELBRIDGE_LABELS__SHARD_DOCUMENTS": str(ROWS_EACH),
        "LABELBRIDGE_LOG_FORMAT": "json",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "labelbridge.cli.main", "worker"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | stack.environment("worker") | mine,
    )
    try:
        assert process.stderr is not None
        assert any(WORKER_READY in line for line in process.stderr)
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop it
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
async def sharded(stack: Stack, worker: subprocess.Popen[str]) -> AsyncIterator[Labelbridge]:
    settings = stack.settings("operator")
    temporal = settings.temporal.model_copy(update={"task_queue": QUEUE})
    with stack.acting_as("operator"):
        async with Labelbridge.connect(settings.model_copy(update={"temporal": temporal})) as connected:
            yield connected


async def test_a_sync_in_parts_gives_language_all_labels_and_leaves_no_parts(
    sharded: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    bench = await Bench.make(stack, tmp_path, ProjectKind.ENTITIES)
    await connect(sharded, bench)
    await follow(sharded, bench.ref, SwitchRequest(to=Studio.AZUREML))
    wanted = [f"d{number:03}.txt" for number in range(11)]
    ours = {name: await bench.label(Studio.AZUREML, name, 2) for name in wanted}
    synced = await follow(sharded, bench.ref, SyncRequest())
    assert synced.snapshot is not None
    assert synced.snapshot.documents == len(wanted)
    assert await bench.in_language() == ours
    assert await bench.in_snapshot(synced.snapshot.id) == ours
    back = await follow(sharded, bench.ref, SwitchRequest(to=Studio.LANGUAGE))
    assert back.merge is not None
    assert back.merge.taken == len(wanted)
    assert bench._listed("shards/") == {}
    workflow = f"{bench.ref.workflow_id}/{synced.operation_id}"
    assert await _activities(sharded, workflow, "read_shard") == 3


async def _activities(bridge: Labelbridge, workflow_id: str, name: str) -> int:
    history = await bridge.client.get_workflow_handle(workflow_id).fetch_history()
    scheduled = [e.activity_task_scheduled_event_attributes for e in history.events]
    return sum(one.activity_type.name == name for one in scheduled)
