"""An entity that has seen ten thousand operations: how large its history ever is.

The entity is the product's own workflow. Its operations are stand-ins that end at once and its look at the
project is a stand-in too: only the entity's history is measured here, and no time.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from labelbridge import _submit, names
from labelbridge.model import (
    Actor,
    OperationKind,
    OperationResult,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    Studio,
    Submission,
    SyncRequest,
)
from labelbridge.model.steps import OperationOrder
from workers.versioning import PASSTHROUGH
from workflows.project import ProjectWorkflow

QUEUE = "bench-entity"
CALLERS = 4
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/bench"


@activity.defn(name="inspect")
async def stand_in_look(project: ProjectRef) -> ProjectStatus:
    return ProjectStatus(project=project, known=True, connected=True, kind=ProjectKind.ENTITIES)


@workflow.defn(name=names.OPERATION_WORKFLOWS["sync"])
class StandInSync:
    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        now = workflow.now()
        return OperationResult(
            operation_id=order.operation_id,
            kind=OperationKind.SYNC,
            active=Studio.LANGUAGE,
            epoch=0,
            started_at=now,
            ended_at=now,
        )


async def grown_old(client: Client, operations: int) -> Sequence[tuple[int, int]]:
    """(events, bytes) of each run of an entity that has carried out so many syncs, the oldest run first.

    Only runs that the namespace still keeps, which is all of them here.
    """
    project = ProjectRef(language_resource=RESOURCE, name=f"old{uuid4().hex[:8]}")
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[ProjectWorkflow, StandInSync],
        activities=[stand_in_look],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    )
    left = iter(range(operations))

    async def call() -> None:
        for _ in left:
            submission = Submission(
                request_id=uuid4().hex,
                actor=Actor(object_id="bench"),
                submitted_at=datetime.now(UTC),
                request=SyncRequest(),
            )
            accepted = await _submit.submit(client, QUEUE, project, submission, 120)
            await client.get_workflow_handle(accepted.workflow_id).result()

    async with worker:
        await asyncio.gather(*(call() for _ in range(CALLERS)))
        runs = [
            found
            async for found in client.list_workflows(f"WorkflowId = '{project.workflow_id}'", page_size=1000)
        ]
        sizes = []
        for found in sorted(runs, key=lambda run: run.start_time):
            described = await client.get_workflow_handle(found.id, run_id=found.run_id).describe()
            info = described.raw_description.workflow_execution_info
            sizes.append((described.history_length, info.history_size_bytes))
        await client.get_workflow_handle(project.workflow_id).terminate()
    return sizes
