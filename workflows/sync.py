"""Sync: Language is brought up to date with the active studio, and the caller gets the snapshot.

Promises: the labels were exported after the caller asked, however many asked; with Azure ML active
the gated Language project then holds exactly them, ready to train, and stays gated.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.model import OperationResult, SnapshotRef, Studio
from labelbridge.model.steps import OperationOrder
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["sync"])
class SyncWorkflow(Moves):
    """One sync."""

    snapshot: SnapshotRef

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the sync; fails with a typed error if it was refused or undone."""
        return await self.transact(self.before, self.commit, self.after)

    async def before(self) -> None:
        """Export the active side; give it to Language if that is the other one."""
        await self.check()
        with self.step(Step.EXPORT):
            self.snapshot = await self.export(self.status.active)
            self.note(Step.EXPORT, f"{self.snapshot.labels} labels in {self.snapshot.documents} documents")
        if self.status.active is Studio.AZUREML:
            with self.step(Step.DELIVER):
                language = await self.export(Studio.LANGUAGE)
                await self.deliver_to_language(self.snapshot, language, phase=False)

    async def commit(self) -> None:
        """The record names the snapshot."""
        with self.step(Step.COMMIT):
            await self.insist_writing({"last_sync": self.snapshot})

    async def after(self) -> OperationResult:
        """The caller gets the snapshot."""
        return self.result(snapshot=self.snapshot)
