"""One project whose operations are recorded: brought to their end, or stopped where a scene says.

Prevents histories that depend on the moment: an operation is stopped while a named activity runs, which
workers that hold up each activity for a moment let anybody see.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, cast

from azure.core import MatchConditions
from temporalio.client import WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import DATA_ACCOUNT
from labelbridge.model import (
    Actor,
    ImportRequest,
    OperationKind,
    ProjectKind,
    Request,
    StepState,
    Studio,
)
from labelbridge.plans import Step
from tests.faults import portal
from tests.faults.births import born, labels_file, unborn
from tests.faults.lives import Setting
from tests.faults.witness import Witness
from tests.operations.helpers import Bench
from tests.replay.endings import Ending

LOOK = 0.05
PATIENCE = 240.0
"""Seconds until an operation is taken for stuck."""
NOBODY = Actor(object_id="00000000-0000-0000-0000-000000000000", name="nobody")
"""Has no role, so that every operation refuses."""


@dataclass
class Subject:
    """A project with its entity."""

    setting: Setting
    bench: Bench
    bridge: Labelbridge
    kept: dict[str, WorkflowHistory] = field(default_factory=dict)
    """Histories to be saved, by name."""
    source: ImportRequest | None = None
    models: int = 0
    jobs: int = 0
    labelled: int = 0

    @classmethod
    async def make(cls, setting: Setting, kind: ProjectKind, queue: str, *, exists: bool) -> "Subject":
        """A project that exists, or one that is still to be imported."""
        make = born if exists else unborn
        project, folder = await make(setting.stack, setting.path, kind)
        bench = Bench.of(setting.stack, project, folder)
        subject = cls(setting, bench, setting.bridge(queue))
        if not exists:
            file = await asyncio.to_thread(labels_file, setting.stack, project, folder, bench.job)
            subject.source = ImportRequest(
                source=await subject.bridge.upload(file),
                account=DATA_ACCOUNT,
                container=project.container,
                project_kind=kind,
                language="en-us",
            )
        return subject

    def next_model(self) -> str:
        """A label that no model of this project has."""
        self.models += 1
        return f"m{self.models}"

    def last_sync(self) -> str:
        """Id of the snapshot of the last sync; blocking."""
        return str(self.bench.evidence.record()["last_sync"]["id"])

    def import_request(self, **fields: Any) -> ImportRequest:
        """The import that makes this project."""
        assert self.source is not None
        return self.source.model_copy(update=fields)

    def next_job(self) -> None:
        """Mean another labeling job: the name of an abandoned one stays claimed."""
        self.jobs += 1
        job = self.bench.job.model_copy(update={"name": f"job-{self.bench.ref.name}-{self.jobs}"})
        self.bench = self.bench.with_job(job)

    async def somebody_labels(self, studio: Studio) -> None:
        """One document gets other labels than it had: of the last four, which nobody had labelled."""
        self.labelled += 1
        document = self.bench.folder.documents[-1 - (self.labelled - 1) % 4]
        await self.bench.label(studio, document, self.labelled % 6)

    async def swap_gates(self) -> None:
        """Somebody shuts Language and resumes the labeling job by hand."""
        await asyncio.to_thread(portal.swap_gates, cast("Witness", self.bench))

    async def record_is_edited(self) -> None:
        """Somebody changes the record past Labelbridge: the next write of an operation is refused."""
        await asyncio.to_thread(self._edit)

    def _edit(self) -> None:
        blob = self.bench._records.get_blob_client(f"projects/{self.bench.ref.key}/record.json")
        found = blob.download_blob()
        record = {**json.loads(found.readall()), "updated_by": "somebody"}
        etag, only = found.properties.etag, MatchConditions.IfNotModified
        blob.upload_blob(json.dumps(record, indent=1), overwrite=True, etag=etag, match_condition=only)

    # One operation.

    async def carry_out(
        self, request: Request, ending: Ending, during: str, *, cancel_recovery: bool = False
    ) -> str:
        """Ask for it, let it end as it is to, wait until the entity is at rest; its workflow's id."""
        bridge = self.bridge
        if ending is Ending.REFUSED:
            bridge = Labelbridge(bridge.client, bridge.settings, actor=NOBODY)
        handle = await bridge.start(self.bench.ref, request)
        if ending not in (Ending.COMMITTED, Ending.REFUSED):
            if ending is Ending.TERMINATED_LATE:
                await self._looks_again(handle)
            else:
                await self._runs(handle.workflow_id, during)
            await self._strike(handle, ending)
            if cancel_recovery:
                await self._cancel_recovery()
        try:
            await handle.result(PATIENCE)
            ended = None
        except LabelbridgeError as error:
            ended = error.code
        assert (ended is None) == (ending in (Ending.COMMITTED, Ending.COMPLETED)), f"{ending}: {ended}"
        await self.rests()
        return handle.workflow_id

    async def _strike(self, handle: OperationHandle, ending: Ending) -> None:
        if ending is Ending.ROLLED_BACK:
            await self.record_is_edited()
        elif ending in (Ending.CANCELLED, Ending.COMPLETED):
            await handle.cancel()
        else:
            await self.bridge.client.get_workflow_handle(handle.workflow_id).terminate("by hand")

    async def _cancel_recovery(self) -> None:
        """The recovery that begins now is asked to stop while it writes the record; it does not."""
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = await self.bridge.status(self.bench.ref)
                if seen.running and seen.running.kind is OperationKind.RECOVER:
                    break
                await asyncio.sleep(LOOK)
        await self._runs(seen.running.workflow_id, "withdraw")
        await self.bridge.client.get_workflow_handle(seen.running.workflow_id).cancel()

    async def _runs(self, workflow_id: str, activity: str) -> None:
        """Return while that activity is on its way."""
        handle = self.bridge.client.get_workflow_handle(workflow_id)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    seen = (await handle.describe()).raw_description
                except RPCError as error:  # its entity has not begun it yet
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
                    continue
                if any(one.activity_type.name == activity for one in seen.pending_activities):
                    return
                assert not seen.workflow_execution_info.HasField("close_time"), f"never came to {activity}"
                await asyncio.sleep(LOOK)

    async def _looks_again(self, handle: OperationHandle) -> None:
        """Return while it waits for its second look at the gates, after its commit."""
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = await handle.progress()
                if seen and any(
                    one.name == Step.LOOK_AGAIN and one.state is StepState.RUNNING for one in seen.steps
                ):
                    return
                await asyncio.sleep(LOOK)

    async def rests(self) -> None:
        """Wait until the entity says that nothing runs."""
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = await self.bridge.status(self.bench.ref)
                if seen.running is None and not seen.queued and seen.interrupted is None:
                    return
                await asyncio.sleep(LOOK)

    async def last_recovery(self) -> str:
        """Workflow id of the newest recovery."""
        trail = await self.bridge.history(self.bench.ref)
        ids = [entry.operation_id for entry in trail if entry.kind is OperationKind.RECOVER]
        return f"{self.bench.ref.workflow_id}/{ids[-1]}"

    # Histories.

    async def keep(self, name: str, workflow_id: str, run_id: str | None = None) -> None:
        """Fetch a history, to be saved under this name."""
        handle = self.bridge.client.get_workflow_handle(workflow_id, run_id=run_id)
        self.kept[name] = await handle.fetch_history()

    async def keep_entity(self, name: str) -> None:
        """Keep every run of the entity."""
        entity = self.bridge.client.get_workflow_handle(self.bench.ref.workflow_id)
        run: str | None = (await entity.describe()).raw_description.workflow_execution_info.first_run_id
        number = 0
        while run:
            number += 1
            await self.keep(f"{name}-run-{number}", self.bench.ref.workflow_id, run)
            last: Any = self.kept[f"{name}-run-{number}"].events[-1]
            run = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
