"""An entity that has seen ten thousand operations: how large its history ever is.

The entity is the product's own workflow. Its operations are stand-ins that end at once and its look at the
project is a stand-in too: only the entity's history is measured here, and no time.
"""

from collections.abc import Sequence
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from labelbridge import names
from labelbridge.client import Labelbridge
from labelbridge.model import (
    Actor,
    OperationKind,
    OperationResult,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    Studio,
    SyncRequest,
)
from labelbridge.model.steps import OperationOrder
from workflows.project import ProjectWorkflow

QUEUE = "bench-entity"
PATIENCE = 3600.0
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


async def grown_old(bridge: Labelbridge, operations: int) -> Sequence[tuple[int, int]]:
    """(events, bytes) of each run of an entity that has carried out so many syncs, the oldest run first.

    One after the other: syncs that are asked for at once become one operation.

    Only runs that the namespace still keeps, which is all of them here.
    """
    client = bridge.client
    temporal = bridge.settings.temporal.model_copy(update={"task_queue": QUEUE})
    caller = Labelbridge(
        client, bridge.settings.model_copy(update={"temporal": temporal}), actor=Actor(object_id="bench")
    )
    project = ProjectRef(language_resource=RESOURCE, name=f"old{uuid4().hex[:8]}")
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[ProjectWorkflow, StandInSync],
        activities=[stand_in_look],
        workflow_runner=UnsandboxedWorkflowRunner(),  # it guards what is imported, which is not measured here
    )
    async with worker:
        for _ in range(operations):
            await (await caller.start(project, SyncRequest(), accept_timeout=PATIENCE)).result(PATIENCE)
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
