"""Recover: what a terminated operation left behind is brought back, or forward.

A termination runs no compensation, so the record alone decides: a transition before its commit is
undone, one after it is finished. Started by the project's entity, never by a caller.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.model import (
    OperationKind,
    OperationResult,
    Phase,
    Preflight,
    Studio,
    Transition,
)
from labelbridge.model.steps import OperationOrder
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["recover"])
class RecoverWorkflow(Moves):
    """One recovery."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the recovery; it cannot be cancelled."""
        return await self.transact(self.before, self.commit, self.after)

    async def before(self) -> None:
        """Read the record."""
        with self.step(Step.INSPECT):
            await self.begin()
            self.facts = Preflight(findings=(), kind=self.record.kind)

    async def commit(self) -> None:
        """A recovery has nothing to commit: it carries out what the record says."""

    async def after(self) -> OperationResult:
        """Back or forward, as the phase says."""
        transition = self.record.transition
        if transition is None:
            return self.result()
        self.kind = transition.kind
        connection = self.record.connection
        self.job = transition.job or (connection.job if connection else None)
        self.linked = connection is not None
        # Whatever the terminated operation still had in flight has died or landed after this.
        await workflow.sleep(self.timing.drain)
        if transition.phase is Phase.COMMITTED:
            with self.step(Step.FORWARD):
                await self.finish(transition)
        else:
            with self.step(Step.UNDO):
                await self.undo(transition)
        self.kind = OperationKind.RECOVER
        return self.result()

    async def undo(self, transition: Transition) -> None:
        """Before the commit: the source opens again, the record goes back."""
        if transition.restore is not None:
            await self.shut_for_certain(Studio.LANGUAGE)
            await self.restore_language(transition.restore)
        if transition.kind is OperationKind.CONNECT and transition.job is not None:
            await self.shut_for_certain(Studio.AZUREML)
            await self.insist("retire_job", transition.job, None)
        await self.open_again(transition.source)
        await self.withdraw_of(transition.operation_id)
        self.notes.append(f"{transition.operation_id} was undone: it had not committed.")

    async def finish(self, transition: Transition) -> None:
        """After the commit: the target opens, the record is closed."""
        leaves = transition.kind is OperationKind.DISCONNECT
        if leaves and transition.job is not None:
            await self.insist("retire_job", transition.job, None)
        await self.open(transition.target, unlink=leaves)
        await self.look_again(transition.target)
        await self.withdraw_of(transition.operation_id)
        self.notes.append(f"{transition.operation_id} was finished: it had committed.")
