"""Worker versioning on the real server: pinned operations, an entity that upgrades; off unless it is set."""

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import ValidationError
from temporalio.api.enums.v1 import VersioningBehavior as Behavior
from temporalio.client import Client
from temporalio.common import VersioningBehavior

import workflows
from labelbridge import names
from labelbridge.client import Labelbridge
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.local.temporal import binary
from labelbridge.model import ConnectRequest, ProjectKind, SyncRequest
from labelbridge.model.steps import Attention
from labelbridge.plans import Step
from labelbridge.settings import Settings, TemporalSettings
from tests.operations.rehearsal import Rehearsal, eventually
from tests.replay.commands import commands, sources
from tests.workers.test_worker import until, worker
from workers.versioning import deployment

PINNED, UPGRADES = Behavior.VERSIONING_BEHAVIOR_PINNED, Behavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE


def test_without_a_deployment_a_worker_has_no_version() -> None:
    assert deployment(TemporalSettings()) is None


def test_with_both_settings_a_worker_is_that_version_of_that_deployment() -> None:
    made = deployment(TemporalSettings(deployment_name="labelbridge", build_id="0.1.0+abc"))
    assert made is not None
    assert made.use_worker_versioning
    assert (made.version.deployment_name, made.version.build_id) == ("labelbridge", "0.1.0+abc")


@pytest.mark.parametrize(
    "given",
    [
        {"deployment_name": "labelbridge"},
        {"build_id": "v1"},
        {"deployment_name": "with.dot", "build_id": "v1"},
        {"deployment_name": "", "build_id": ""},
    ],
)
def test_a_version_that_is_not_whole_or_not_allowed_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, temporal=given)


def test_every_workflow_says_what_becomes_of_it_and_those_that_live_on_upgrade() -> None:
    lines = commands(sources())
    for one in workflows.ALL:
        lives_on = any(line.strip() == "continue_as_new" for line in lines[one.__name__])
        wanted = VersioningBehavior.AUTO_UPGRADE if lives_on else VersioningBehavior.PINNED
        assert getattr(one, "versioning_behavior", None) is wanted, one.__name__


@pytest.fixture
async def versioned(stack: Stack, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    """A project whose entity has a task queue of its own, of which the shared worker knows nothing."""
    settings = stack.settings("operator")
    temporal = settings.temporal.model_copy(update={"task_queue": f"v{uuid.uuid4().hex[:10]}"})
    with stack.acting_as("operator"):
        async with Labelbridge.connect(settings.model_copy(update={"temporal": temporal})) as bridge:
            make = (stack, bridge, tmp_path, ProjectKind.SINGLE_LABEL)
            yield await asyncio.to_thread(Rehearsal.make, *make, documents=12, labelled=8)


async def test_an_operation_ends_on_the_version_that_began_it_and_the_entity_goes_on_with_the_new_one(
    versioned: Rehearsal,
) -> None:
    r, queue = versioned, versioned.bridge.settings.temporal.task_queue
    own = {"LABELBRIDGE_TEMPORAL__TASK_QUEUE": queue, "LABELBRIDGE_TEMPORAL__DEPLOYMENT_NAME": queue}
    with ExitStack() as running:
        until(
            running.enter_context(worker(r.stack, **own, LABELBRIDGE_TEMPORAL__BUILD_ID="v1")), "worker_ready"
        )
        await becomes_current(r.stack, queue, "v1")
        connect = await r.bridge.start(r.ref, ConnectRequest(job=r.evidence.job))
        await r.reaches(connect, Step.DRAIN)

        until(
            running.enter_context(worker(r.stack, **own, LABELBRIDGE_TEMPORAL__BUILD_ID="v2")), "worker_ready"
        )
        await becomes_current(r.stack, queue, "v2")
        await answers_from(r.bridge.client, r.ref.workflow_id, "v2")
        sync = await r.bridge.start(r.ref, SyncRequest())
        assert (await r.bridge.status(r.ref)).running, "the connect has ended: this proves nothing"

        assert (await connect.result(90)).active == "language"
        assert await versions(r.bridge.client, connect.workflow_id) == {("v1", PINNED)}
        first = (await sync.result(60)).snapshot
        assert await versions(r.bridge.client, sync.workflow_id) == {("v2", PINNED)}

        # What a newer worker wrote into the record outlives an operation of these.
        newer: dict[str, object] = {"only_newer": {"number": 7}}
        await asyncio.to_thread(edit_record, r, newer)
        assert await r.bridge.sync(r.ref, timeout=60) != first
        record = await asyncio.to_thread(r.evidence.record)
        assert record["only_newer"] == record["connection"]["only_newer"] == {"number": 7}


async def becomes_current(stack: Stack, name: str, build: str) -> None:
    """Let a version take what begins from now on; the server knows it once its worker polls."""
    command = [str(binary()), "worker", "deployment", "set-current-version", "--yes"]
    command += ["--address", stack.temporal.address, "--deployment-name", name, "--build-id", build]

    async def set_it() -> bool | None:
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60, check=False)
        return True if done.returncode == 0 else None

    await eventually(set_it, f"{build} cannot become current")


async def tasks(client: Client, workflow_id: str) -> list[tuple[str, int]]:
    """Which version completed each workflow task, and with which behaviour."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    done = (event.workflow_task_completed_event_attributes for event in history.events)
    return [
        (one.deployment_version.build_id, one.versioning_behavior) for one in done if one.started_event_id
    ]


async def answers_from(client: Client, workflow_id: str, build: str) -> None:
    """Wait until a workflow's tasks are that version's: the server tells its queues within moments."""
    handle = client.get_workflow_handle(workflow_id)

    async def look() -> bool | None:
        await handle.signal(names.ATTENTION, Attention(operation_id="nobody's"))
        return True if (await tasks(client, workflow_id))[-1] == (build, UPGRADES) else None

    await eventually(look, f"{workflow_id} stays on its version")


async def versions(client: Client, workflow_id: str) -> set[tuple[str, int]]:
    return set(await tasks(client, workflow_id))


def edit_record(r: Rehearsal, more: dict[str, object]) -> None:
    """The record as a newer worker might have written it."""
    store = r.stack.tenant.blobs("operator", RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)
    blob = store.get_blob_client(f"projects/{r.ref.key}/record.json")
    record = json.loads(blob.download_blob().readall())
    record = {**record, **more, "connection": {**record["connection"], **more}}
    blob.upload_blob(json.dumps(record), overwrite=True)
