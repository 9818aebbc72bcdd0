"""Recover: what a terminated operation left behind is brought back, or forward.

A termination runs no compensation, so the record alone decides: a transition before its commit is
undone, one after it is finished. Started by the project's entity, never by a caller; with Temporal's
memory gone it is all the same, since it needs none of it.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.model import (
    OperationKind,
    OperationResult,
    Phase,
    Preflight,
    ProjectKind,
    RecoverRequest,
    Studio,
    Transition,
)
from labelbridge.model.steps import Begin, OperationOrder, TrainingsToCancel
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["recover"])
class RecoverWorkflow(Moves):
    """One recovery."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the recovery; it cannot be cancelled."""
        return await self.transact(self.before, self.commit, self.after)

    @property
    def recover(self) -> RecoverRequest:
        """The request."""
        assert isinstance(self.request, RecoverRequest)
        return self.request

    async def before(self) -> None:
        """Read the record."""
        with self.step(Step.INSPECT):
            await self.begin()
            kind = self.stored.record.kind if self.stored else ProjectKind.ENTITIES
            self.facts = Preflight(findings=(), kind=kind)

    async def commit(self) -> None:
        """A recovery has nothing to commit: it carries out what the record says."""

    async def after(self) -> OperationResult:
        """Back or forward, as the phase says."""
        transition = self.stored.record.transition if self.stored else None
        if transition is None:
            if self.recover.terminated:
                await workflow.sleep(self.timing.drain)  # for what it still had in flight
                await self.cancel_training()
                self.notes.append(f"{self.recover.terminated} was terminated; the record had nothing of it.")
            return self.recovered()
        self.kind = transition.kind
        connection = self.record.connection
        self.job = transition.job or (connection.job if connection else None)
        self.linked = connection is not None
        # Whatever the terminated operation still had in flight has died or landed after this.
        await workflow.sleep(self.timing.drain)
        # A commit that was in flight may have landed in that time: what is undone must not be committed.
        begun: Begin = await self.insist("begin", self.order, Begin, reads=True)
        self.stored = begun.stored or self.stored
        transition = self.record.transition or transition
        if transition.phase is Phase.COMMITTED:
            with self.step(Step.FORWARD):
                await self.finish(transition)
        else:
            with self.step(Step.UNDO):
                await self.undo(transition)
        self.kind = OperationKind.RECOVER
        return self.recovered()

    def recovered(self) -> OperationResult:
        """What was done; a project without a record has nothing but its notes."""
        if self.stored is not None:
            return self.result()
        return OperationResult(
            operation_id=self.order.operation_id,
            kind=self.kind,
            active=Studio.LANGUAGE,
            epoch=0,
            notes=tuple(self.notes),
            started_at=self.started_at,
            ended_at=workflow.now(),
        )

    async def cancel_training(self) -> None:
        """A training that nobody waits for any more is cancelled, as its own undo would have done."""
        if self.recover.model is None or self.recover.since is None:
            return
        with self.step(Step.CANCEL_TRAINING):
            order = TrainingsToCancel(
                project=self.project, model=self.recover.model, since=self.recover.since
            )
            cancelled: int = await self.insist("cancel_trainings", order, int)
            if cancelled:
                self.notes.append(f"The training of {self.recover.model} was cancelled.")

    async def undo(self, transition: Transition) -> None:
        """Before the commit: the source opens again, the record goes back."""
        self.notes.append(f"{transition.operation_id} was undone ({transition.phase}): it had not committed.")
        if transition.kind is OperationKind.IMPORT:
            await self.delete_imported()
            await self.withdraw_of(transition.operation_id)
            return
        if transition.restore is not None:
            await self.shut_for_certain(Studio.LANGUAGE)
            await self.restore_language(transition.restore)
        if transition.kind is OperationKind.CONNECT and transition.job is not None:
            self.unsettled |= {Studio.AZUREML}  # it may read as shut only because it is being provisioned
            await self.retire_new_job(transition.job)
        await self.open_again(transition.source)
        await self.withdraw_of(transition.operation_id)

    async def delete_imported(self) -> None:
        """The project did not exist before its import; what it holds by now is kept all the same."""
        if (await self.read_gates()).language_open is None:
            return
        held = await self.insist_on_export(Studio.LANGUAGE)
        self.notes.append(f"The unfinished project was deleted; what it held is snapshot {held.id}.")
        await self.insist("delete_project", self.project, None, reads=True)

    async def finish(self, transition: Transition) -> None:
        """After the commit: the target opens, the record is closed."""
        self.notes.append(f"{transition.operation_id} was finished: it had committed.")
        if transition.snapshots:
            self.notes.append(f"It kept labels as these snapshots: {', '.join(transition.snapshots)}.")
        leaves = transition.kind is OperationKind.DISCONNECT
        if leaves and transition.job is not None:
            await self.insist("retire_job", transition.job, None)
        await self.open(transition.target, unlink=leaves)
        await self.look_again(transition.target)
        await self.withdraw_of(transition.operation_id)
