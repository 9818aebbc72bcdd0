"""The whole of it on one project: operations tell, the marker moves, and somebody's label export starts a sync."""

import asyncio
from datetime import UTC, datetime

import pytest
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy

from labelbridge import names
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.events.exports import export_of
from labelbridge.events.orders import AutoSync, AutoSyncOutcome, ExportSeen
from labelbridge.events.policy import keep_schedule, policy_of
from labelbridge.events.stores import Stores
from labelbridge.latest import LatestLabels
from labelbridge.local.api import LABELING_VERSION
from labelbridge.local.seed import DATA_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectRef, Studio, SyncRequest
from labelbridge.settings import Settings
from tests.conftest import NewProject
from tests.events.conftest import MakeSettings, OpenStores, RunWorker
from tests.events.receiver import Receiver
from tests.operations.rehearsal import eventually

TIMEOUT = 300.0


async def _look(client: Client, settings: Settings, order: AutoSync, name: str) -> AutoSyncOutcome:
    """What the endpoint starts for an event."""
    found: AutoSyncOutcome = await client.execute_workflow(
        names.AUTO_SYNC_WORKFLOW,
        order,
        id=f"{names.AUTO_SYNC.format(key=order.project.key)}/{name}",
        task_queue=settings.temporal.task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        result_type=AutoSyncOutcome,
    )
    return found


async def _exports(stack: Stack, pattern: str, job: str) -> list[ExportSeen]:
    """Blobs of the job's label exports, as Event Grid would name them."""

    def find() -> list[ExportSeen]:
        service, found = stack.tenant.blobs("admin"), []
        account = (
            f"/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/{DATA_ACCOUNT}"
        )
        for container in service.list_containers():
            for blob in service.get_container_client(container.name).list_blobs():
                subject = f"/blobServices/default/containers/{container.name}/blobs/{blob.name}"
                seen = export_of(account, subject, pattern)
                if seen is not None and seen.job == job:
                    found.append(seen)
        return found

    return await asyncio.to_thread(find)


async def _export_by_hand(stack: Stack, job_id: str) -> None:
    admin = stack.tenant.caller("admin")
    await asyncio.to_thread(
        admin.arm, "POST", f"{job_id}/exportLabels", {"format": "Dataset"}, version=LABELING_VERSION
    )


async def test_operations_tell_and_an_export_of_somebody_elses_starts_one_sync(
    stack: Stack,
    events_settings: MakeSettings,
    open_stores: OpenStores,
    worker: RunWorker,
    client: Client,
    new_project: NewProject,
) -> None:
    async with Receiver() as receiver:
        settings = events_settings()
        own = settings.temporal.task_queue
        webhooks = events_settings(webhooks={own: receiver.settings}).events
        settings = settings.model_copy(update={"events": webhooks})
        stores: Stores = await open_stores(settings)
        project = await asyncio.to_thread(new_project)
        with stack.acting_as("operator"):
            async with Labelbridge.connect(settings) as bridge:
                await bridge.actor()
        async with worker(settings):
            job = await _connect_and_switch(bridge, project.ref, f"job-{own}")
            latest = await stores.markers.read(project.ref)
            assert latest is not None
            assert (latest.source, latest.epoch) == ("language", 1)
            await _refused_tells_too(stack, settings, project.ref)
            snapshot = await bridge.sync(project.ref, timeout=TIMEOUT)
            latest = await stores.markers.read(project.ref)
            assert latest is not None
            assert (latest.snapshot, latest.source, latest.epoch) == (snapshot.id, "azureml", 1)
            assert latest.taken_at == snapshot.taken_at
            await _hears(stack, client, settings, stores, bridge, project.ref, job)
            await _syncs_by_schedule(client, settings, stores, bridge, project.ref)
            await receiver.has(lambda r: r.types().count("labels.synced") == 4)
    types = receiver.types()
    assert types[:5] == ["operation.started", "operation.committed"] * 2 + ["labels.synced"]
    assert types[5:7] == ["operation.started", "operation.rolled_back"]
    assert types.count("operation.started") == types.count("operation.committed") + 1 == 6
    sequences = [one.event["sequence"] for one in receiver.got]
    assert sequences == sorted(sequences)
    told = [one.event for one in receiver.got if one.event["type"].endswith("labels.synced")]
    assert told[1]["data"]["latest"] == latest.model_dump(mode="json")
    assert {one["source"] for one in told} == {f"{project.ref.language_resource}/projects/{project.ref.name}"}


async def _connect_and_switch(bridge: Labelbridge, project: ProjectRef, job: str) -> str:
    await bridge.connect_project(project, job=job, timeout=TIMEOUT)
    await bridge.switch(project, to=Studio.AZUREML, timeout=TIMEOUT)
    return bridge.job(job).resource_id


async def _refused_tells_too(stack: Stack, settings: Settings, project: ProjectRef) -> None:
    """Somebody without roles asks; the preflight refuses."""
    with stack.acting_as("stranger"):
        async with Labelbridge.connect(settings) as stranger:
            await stranger.actor()
    with pytest.raises(LabelbridgeError) as caught:
        await (await stranger.start(project, SyncRequest())).result(TIMEOUT)
    assert caught.value.code == "preflight_failed"


async def _hears(
    stack: Stack,
    client: Client,
    settings: Settings,
    stores: Stores,
    bridge: Labelbridge,
    project: ProjectRef,
    job: str,
) -> None:
    name = job.rpartition("/")[2]
    ours = await _exports(stack, settings.events.export_pattern, name)
    assert ours, "the sync left no export: this run proves nothing"
    order = AutoSync(project=project, export=ours[0])
    assert (await _look(client, settings, order, "off")).outcome == "off"
    policy = policy_of(project, "on_export", at=datetime.now(UTC), by=await bridge.actor())
    await stores.policies.write(policy)
    for number, export in enumerate(ours):  # the switch's and the sync's own exports are no news
        order = AutoSync(project=project, export=export)
        assert (await _look(client, settings, order, f"own-{number}")).outcome == "ours"
    await _export_by_hand(stack, job)
    (theirs,) = [
        one for one in await _exports(stack, settings.events.export_pattern, name) if one not in ours
    ]
    before = await stores.markers.read(project)
    order = AutoSync(project=project, export=theirs, key="the-event")
    found = [await _look(client, settings, order, f"theirs-{n}") for n in range(2)]
    started = {one.operation_id for one in found if one.outcome == "started"}
    assert len(started) == 1, found
    await _moves(stores, project, before)


async def _moves(stores: Stores, project: ProjectRef, before: LatestLabels | None) -> None:
    async def moved() -> bool | None:
        after = await stores.markers.read(project)
        return True if after and before and after.operation != before.operation else None

    await eventually(moved, "no sync moved the marker", patience=TIMEOUT)


async def _syncs_by_schedule(
    client: Client, settings: Settings, stores: Stores, bridge: Labelbridge, project: ProjectRef
) -> None:
    before, by = await stores.markers.read(project), await bridge.actor()
    policy = policy_of(project, "every 15 min", at=datetime.now(UTC), by=by)
    await stores.policies.write(policy)
    await keep_schedule(client, settings, policy)
    await client.get_schedule_handle(names.AUTO_SYNC.format(key=project.key)).trigger()
    await _moves(stores, project, before)
    await keep_schedule(client, settings, policy_of(project, "off", at=datetime.now(UTC), by=by))
