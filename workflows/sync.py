"""Sync: Language is brought up to date with the active studio, and the caller gets the snapshot.

Promises: the labels were exported after the caller asked, however many asked; with Azure ML active
the gated Language project then holds exactly them (or, if asked, their merge with its own), ready to
train, and stays gated.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.model import MergeReport, OperationResult, SnapshotRef, Studio, SyncRequest
from labelbridge.model.steps import OperationOrder
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["sync"])
class SyncWorkflow(Moves):
    """One sync."""

    snapshot: SnapshotRef
    report: MergeReport | None = None
    met: dict[Studio, SnapshotRef] | None = None
    """Both sides' labels if this sync merged them: the bases of the next merge."""

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
                await self.deliver()

    async def deliver(self) -> None:
        """Language gets exactly the active studio's labels, or their merge with its own if so asked."""
        assert isinstance(self.request, SyncRequest)
        language, delivered = await self.export(Studio.LANGUAGE), self.snapshot
        if self.request.merge:
            delivered, self.report = await self.merge(self.snapshot, language)
            self.met = {Studio.LANGUAGE: delivered, Studio.AZUREML: self.snapshot}
        await self.deliver_to_language(delivered, language, phase=False)

    async def commit(self) -> None:
        """The record names the snapshot, and what the next merge starts from."""
        with self.step(Step.COMMIT):
            met = self.record.met if self.met is None else self.met
            await self.insist_writing({"last_sync": self.snapshot, "met": met})

    async def after(self) -> OperationResult:
        """The caller gets the snapshot."""
        return self.result(snapshot=self.snapshot, merge=self.report)
