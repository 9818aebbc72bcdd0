"""Connect: a labeling job is made for the project, and the two are linked for ever.

Promises: it ends with Language Studio active and the labeling job paused, both read back, or with
everything undone but the claim: the name of an abandoned labeling job is never used again.
"""

from datetime import datetime

from temporalio import workflow

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    Claim,
    Connection,
    ConnectRequest,
    OperationResult,
    Phase,
    SnapshotRef,
    Studio,
)
from labelbridge.model.steps import JobMade, JobOrder, LabelingJobState, OperationOrder
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["connect"])
class ConnectWorkflow(Moves):
    """One connect."""

    made: JobMade
    answered: bool = False
    """Azure ML has answered that the labeling job is made."""
    snapshot: SnapshotRef

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the connect; fails with a typed error if it was refused or undone."""
        return await self.transact(self.before, self.commit, self.after)

    @property
    def connect(self) -> ConnectRequest:
        """The request."""
        assert isinstance(self.request, ConnectRequest)
        return self.request

    async def before(self) -> None:
        """Everything that can be undone."""
        await self.check()
        self.job = self.connect.job
        await self.claim()
        await self.intend(source=Studio.LANGUAGE, target=Studio.LANGUAGE, epoch=self.status.epoch)
        await self.shut(Studio.LANGUAGE)
        self.snapshot = await self.come_to_rest(Studio.LANGUAGE)
        with self.step(Step.CREATE_JOB):
            await self.create_job()
        with self.step(Step.GATE_JOB):
            await self.pause_job()
        with self.step(Step.LINK):
            self.linked = True
            await self.effect("set_gate", self.gate(Studio.LANGUAGE, open_=False), datetime)

    async def claim(self) -> None:
        """Take the labeling job's name: of two who want it exactly one gets it. Has no undo."""
        with self.step(Step.CLAIM):
            claim = Claim(
                job=self.connect.job,
                project=self.project,
                operation_id=self.order.operation_id,
                actor=self.order.submission.actor,
                claimed_at=self.started_at,
            )
            await self.effect("claim", claim, Claim)

    async def create_job(self) -> None:
        """Create data asset and labeling job, and wait until Azure ML has provisioned it."""
        self.on_undo("the new labeling job is retired", self.undo_job)
        order = JobOrder(
            project=self.project,
            kind=self.project_kind,
            operation_id=self.order.operation_id,
            request=self.connect,
            datastore=self.facts.datastore or "",
            container=self.facts.container or "",
            template=self.snapshot.raw or "",
        )
        self.unsettled |= {Studio.AZUREML}  # it opens as soon as it is provisioned
        self.made = await self.effect("create_job", order, JobMade)
        self.answered = True
        deadline = workflow.now() + self.timing.step_patience
        while True:
            state: LabelingJobState = await self.read("job_state", self.connect.job, LabelingJobState)
            if state.provisioned:
                self.note(Step.CREATE_JOB, "")
                return
            if workflow.now() > deadline:
                raise LabelbridgeError("step_deadline", f"The labeling job stayed in {state.status}.")
            self.note(Step.CREATE_JOB, f"Azure ML prepares the labeling job ({state.status})")
            await workflow.sleep(self.timing.poll)

    async def undo_job(self) -> None:
        """Undo of the labeling job; a creation that was not answered is first waited out.

        It may still land, and a job that comes into being after it was looked for would be open.
        """
        if not self.answered:
            await workflow.sleep(self.timing.drain)
        await self.retire_new_job(self.connect.job)

    async def pause_job(self) -> None:
        """Pause the new job, wait out writes in flight, and keep what was labelled meanwhile."""
        await self.effect("set_gate", self.gate(Studio.AZUREML, open_=False), datetime)
        await workflow.sleep(self.timing.drain)
        self.unsettled -= {Studio.AZUREML}
        early = await self.export(Studio.AZUREML)
        if early.labels:
            self.kept += (early.id,)
            self.notes.append(
                f"{early.labels} labels were made before the pause; they are in snapshot {early.id}."
            )

    async def commit(self) -> None:
        """The record names the connection: one blob write."""
        with self.step(Step.COMMIT):
            connection = Connection(
                job=self.connect.job,
                datastore=self.facts.datastore or "",
                container=self.facts.container or "",
                data_asset=self.made.data_asset,
                vendor=self.connect.vendor,
                instructions_uri=self.made.instructions_uri,
                connected_at=workflow.now(),
                connected_by=self.order.submission.actor,
            )
            await self.insist_writing(
                {
                    "connection": connection,
                    "transition": self.transition(phase=Phase.COMMITTED, snapshots=self.named(self.snapshot)),
                    "left": {},
                    "met": {},
                    "given": (),
                }
            )

    async def after(self) -> OperationResult:
        """Language opens again; the labeling job stays paused."""
        await self.open(Studio.LANGUAGE)
        await self.look_again(Studio.LANGUAGE)
        await self.withdraw()
        if self.connect.vendor:
            self.notes.append(
                "The vendor is recorded only: Azure's API has no field for it; set it in Azure ML studio."
            )
        return self.result(snapshot=self.snapshot)
