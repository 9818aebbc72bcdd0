"""Disconnect: the connection ends for ever, and Language Studio is active.

Promises: the labeling job is retired and never connects again, to any project; with Azure ML
active its labels are carried into Language first, or kept as a snapshot only, as the caller said.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    DisconnectRequest,
    GateState,
    JobRef,
    MergeReport,
    OperationResult,
    Phase,
    SnapshotRef,
    Studio,
)
from labelbridge.model.steps import OperationOrder
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["disconnect"])
class DisconnectWorkflow(Moves):
    """One disconnect."""

    snapshot: SnapshotRef | None = None
    report: MergeReport | None = None

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the disconnect; fails with a typed error if it was refused or undone."""
        return await self.transact(self.before, self.commit, self.after)

    @property
    def retiring(self) -> JobRef:
        """The labeling job that is retired."""
        if self.job is None:
            raise LabelbridgeError("not_connected")
        return self.job

    async def before(self) -> None:
        """Everything that can be undone: with Azure ML active, the way back to Language."""
        await self.check()
        active = self.status.active
        moves = active is Studio.AZUREML
        await self.intend(source=active, target=Studio.LANGUAGE, epoch=self.status.epoch + moves)
        if not moves:
            return
        if self.discards and await self.job_is_gone():
            # The job was deleted by hand: without this way out the project would stay gated for ever.
            self.notes.append("The labeling job was gone: there were no labels of Azure ML to keep.")
        else:
            await self.shut(Studio.AZUREML)
            self.snapshot = await self.come_to_rest(Studio.AZUREML)
        with self.step(Step.DELIVER):
            await self.deliver(self.snapshot)

    async def job_is_gone(self) -> bool:
        """True if Azure ML has no such labeling job any more."""
        order = self.gate(Studio.AZUREML, open_=False)
        gates: GateState = await self.read("read_gates", order, GateState)
        return gates.azureml_open is None

    @property
    def discards(self) -> bool:
        """True if Azure ML's labels are not to be carried over."""
        return isinstance(self.request, DisconnectRequest) and self.request.labels == "discard"

    async def deliver(self, azureml: SnapshotRef | None) -> None:
        """Carry Azure ML's labels over, or give Language back its own if a sync had replaced them."""
        language = await self.export(Studio.LANGUAGE)
        if azureml is not None and not self.discards:
            target, self.report = await self.merge(azureml, language)
        else:
            target = self.record.left.get(Studio.LANGUAGE, language)
            if language.digest not in (target.digest, *self.record.given):
                target = language
            if azureml is not None:
                self.notes.append(
                    f"Azure ML's labels were discarded as asked; they are kept as snapshot {azureml.id}."
                )
        if target.digest == language.digest:
            self.note(Step.DELIVER, "Language holds them already")
        await self.deliver_to_language(target, language, phase=True)

    async def commit(self) -> None:
        """The record has no connection any more and names the retired job: one blob write."""
        with self.step(Step.COMMIT):
            transition = self.transition(
                phase=Phase.COMMITTED, snapshots=self.named(self.snapshot, self.report)
            )
            await self.insist_writing(
                {
                    "active": Studio.LANGUAGE,
                    "epoch": transition.epoch,
                    "connection": None,
                    "retired": (*self.record.retired, self.retiring),
                    "transition": transition,
                    "left": {},
                    "met": {},
                    "given": (),
                }
            )

    async def after(self) -> OperationResult:
        """The job is retired for ever, Language opens."""
        with self.step(Step.UNLINK):
            await self.insist("retire_job", self.retiring, None)
        await self.open(Studio.LANGUAGE, unlink=True)
        await self.look_again(Studio.LANGUAGE)
        await self.withdraw()
        return self.result(snapshot=self.snapshot, merge=self.report)
