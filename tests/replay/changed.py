"""Workflows as somebody might change them: each breaks what runs, but the last two."""

from temporalio import workflow

from labelbridge import names
from labelbridge.model import OperationResult, Studio
from labelbridge.model.steps import OperationOrder
from labelbridge.plans import Step
from workflows.switch import SwitchWorkflow

_NAME = names.OPERATION_WORKFLOWS["switch"]


@workflow.defn(name=_NAME)
class LooksNoMore(SwitchWorkflow):
    """Leaves out an activity, and the timer before it."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        return await self.transact(self.before, self.commit, self.after)

    async def look_again(self, active: Studio) -> None:
        with self.step(Step.LOOK_AGAIN):
            return


@workflow.defn(name=_NAME)
class WaitsBefore(SwitchWorkflow):
    """Has a timer more."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        await workflow.sleep(1)
        return await self.transact(self.before, self.commit, self.after)


@workflow.defn(name=_NAME)
class WithdrawsFirst(SwitchWorkflow):
    """Has two steps in another order."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        return await self.transact(self.before, self.commit, self.after)

    async def after(self) -> OperationResult:
        await self.withdraw()
        await self.open(self.target)
        await self.look_again(self.target)
        return self.result(snapshot=self.snapshot, merge=self.report)


@workflow.defn(name=_NAME)
class WaitsBehindAPatch(SwitchWorkflow):
    """Has a timer more, in runs that begin with it: what may be released."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        if workflow.patched("wait-before"):
            await workflow.sleep(1)
        return await self.transact(self.before, self.commit, self.after)


@workflow.defn(name=_NAME)
class SaysItOtherwise(SwitchWorkflow):
    """Has another text, and a method of its own."""

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        return await self._in_full()

    async def _in_full(self) -> OperationResult:
        self.notes.append("said otherwise")
        return await self.transact(self.before, self.commit, self.after)
