"""Switch: the right to label moves to the other studio, and the labels with it.

Promises: at no moment can both studios take a label; nothing that either acknowledged is lost; the
operation ends committed or undone. The steps are those of docs/design.md, in their order.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.model import (
    MergeReport,
    OperationResult,
    Phase,
    SnapshotRef,
    Studio,
    SwitchRequest,
)
from labelbridge.model.steps import OperationOrder
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["switch"])
class SwitchWorkflow(Moves):
    """One switch, in either direction."""

    snapshot: SnapshotRef
    report: MergeReport | None = None

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the switch; fails with a typed error if it was refused or undone."""
        return await self.transact(self.before, self.commit, self.after)

    @property
    def target(self) -> Studio:
        """The studio that will be open."""
        assert isinstance(self.request, SwitchRequest)
        return self.request.to

    async def before(self) -> None:
        """Steps 0 to 5: everything that can be undone."""
        source = self.target.other
        await self.check()
        await self.intend(source=source, target=self.target, epoch=self.status.epoch + 1)
        await self.shut(source)
        self.snapshot = await self.come_to_rest(source)
        with self.step(Step.DELIVER):
            await self.deliver()

    async def deliver(self) -> None:
        """Step 5: into Language by import, into Azure ML as a labelled data asset."""
        if self.target is Studio.AZUREML:
            await self.write({"transition": self.transition(phase=Phase.DELIVERING)})
            await self.deliver_to_azureml(self.snapshot)
            return
        language = await self.export(Studio.LANGUAGE)
        merged, self.report = await self.merge(self.snapshot, language)
        await self.deliver_to_language(merged, language, phase=True)

    async def commit(self) -> None:
        """Step 6: one blob write."""
        with self.step(Step.COMMIT):
            transition = self.transition(
                phase=Phase.COMMITTED, snapshots=self.named(self.snapshot, self.report)
            )
            left = {**self.record.left, self.target.other: self.snapshot}
            await self.insist_writing(
                {
                    "active": self.target,
                    "epoch": transition.epoch,
                    "transition": transition,
                    "left": left,
                    "met": {},
                    "given": (),
                }
            )

    async def after(self) -> OperationResult:
        """Steps 7 and 8: from here only forward."""
        await self.open(self.target)
        await self.look_again(self.target)
        await self.withdraw()
        return self.result(snapshot=self.snapshot, merge=self.report)
