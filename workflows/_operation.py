"""What every operation shares: its timeline, how a step is carried out, and the transaction.

Prevents the failure of an operation that ends half-way. An operation has a part before its commit,
which can be cancelled and is undone, and a part after it, which cannot be stopped. An undo and
everything after the commit is *insisted* on: it is repeated for ever, visibly, whatever Azure
answers, because giving up there would leave a project with no studio open, or with two.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError, FailureError

from labelbridge import names
from labelbridge.events.orders import PersonNeeded
from labelbridge.model import (
    AuditEntry,
    ErrorInfo,
    OperationKind,
    OperationResult,
    Outcome,
    Progress,
    ProjectStatus,
    StepProgress,
    StepState,
    StoredRecord,
    Studio,
)
from labelbridge.model.steps import Attention, Begin, OperationOrder, RecordFound, Timing, Withdrawal
from labelbridge.plans import Step, steps_of
from workflows import _measures
from workflows._errors import as_failure, as_info, ends_operation, is_final
from workflows._turns import Turns

T = TypeVar("T")
Undo = Callable[[], Awaitable[None]]

_INSIST_ATTEMPTS = 12
"""Attempts that are made quickly (about two minutes) before a step that is insisted on is asked for slowly."""
_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=1.6,
    maximum_interval=timedelta(seconds=20),
)
_INSIST = RetryPolicy(
    initial_interval=_RETRY.initial_interval,
    backoff_coefficient=_RETRY.backoff_coefficient,
    maximum_interval=_RETRY.maximum_interval,
    maximum_attempts=_INSIST_ATTEMPTS,
)
_READ_TIMEOUT = timedelta(minutes=30)
_INSIST_PAUSE_MAX = timedelta(minutes=5)
"""Between two askings: a history of 50,000 events then lasts for weeks, and a role that was given back is
noticed within this time."""
_VISIBLE_AFTER = timedelta(minutes=5)
"""A service that does not answer for this long (or `step_patience`, if shorter) needs a person; a refusal
that is final by type needs one at once."""
_UNTIL_KNOWN = Timing(
    effect_deadline=timedelta(seconds=20),
    effect_timeout=timedelta(seconds=30),
    drain=timedelta(seconds=60),
    settle=timedelta(seconds=20),
    drain_deadline=timedelta(minutes=15),
    look_again=timedelta(seconds=60),
    step_patience=timedelta(minutes=30),
    poll=timedelta(seconds=5),
    role_poll=timedelta(seconds=30),
)
"""Used for the first read and for the audit of an operation that failed before it; no gate was touched then."""


class OperationWorkflow(Turns):
    """Base of the operation workflows: `transact` runs one as a transaction."""

    versioning_behavior = VersioningBehavior.PINNED
    """An operation ends on the version that began it (docs/versioning.md)."""

    @workflow.init
    def __init__(self, order: OperationOrder) -> None:
        self.order = order
        self.project = order.project
        self.request = order.submission.request
        self.kind = OperationKind(self.request.kind)
        self.started_at = workflow.now()
        self.steps: dict[Step, StepProgress] = {}
        self.undos: list[tuple[str, Undo]] = []
        fleet = order.submission.fleet
        self.notes = [f"Part of the fleet act {fleet}."] if fleet else []
        self.timing = _UNTIL_KNOWN
        self.status: ProjectStatus
        self.stored: StoredRecord | None = None
        self.committed = False
        self.attention: ErrorInfo | None = None
        self.told: set[str] = set()
        self.audited = True
        self.labels_disabled: timedelta | None = None

    @workflow.query(name=names.PROGRESS)
    def progress(self) -> Progress:
        """The timeline as it stands."""
        return Progress(
            operation_id=self.order.operation_id,
            kind=self.kind,
            actor=self.order.submission.actor,
            steps=tuple(self.steps.values()),
            attention=self.attention,
        )

    # The transaction.

    async def transact(
        self,
        before: Callable[[], Awaitable[None]],
        commit: Callable[[], Coroutine[Any, Any, None]],
        after: Callable[[], Coroutine[Any, Any, OperationResult]],
    ) -> OperationResult:
        """Run `before`, then `commit`, then `after`; undo what `before` did if the commit is not reached."""
        try:
            await before()
            self.heed_cancellation()
            await self.protected(self._commit(commit))
        except BaseException as error:
            if not ends_operation(error):
                raise
            # A step that was told to stop may end with what its last attempt failed of.
            asked_to_stop = workflow.cancellation_reason() is not None
            info = as_info(asyncio.CancelledError() if asked_to_stop else error)
            await self.protected(self._roll_back(info))
            if info.code == "cancelled":
                raise asyncio.CancelledError from error
            raise as_failure(info) from error
        return await self.protected(self._finish(after))

    async def _commit(self, commit: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await commit()
        self.committed = True

    async def _roll_back(self, info: ErrorInfo) -> None:
        self._fail_running_steps(info)
        self._drop_waiting_steps()
        if self.undos:
            with self.step(Step.UNDO):
                for name, undo in reversed(self.undos):
                    self.note(Step.UNDO, name)
                    await undo()
        with self.step(Step.ANNOUNCE):
            outcome = Outcome.CANCELLED if info.code == "cancelled" else Outcome.ROLLED_BACK
            if not self.undos:
                outcome = Outcome.CANCELLED if info.code == "cancelled" else Outcome.REFUSED
            if self.audited and self.stored is None and info.code != "record_unreadable":
                # It ended before it read the record, and the entry says how that stands.
                await self.withdraw()
            await self._audit(outcome, error=info)
        _measures.ended(self, outcome, info.code)

    async def _finish(self, after: Callable[[], Coroutine[Any, Any, OperationResult]]) -> OperationResult:
        result = await after()
        self._drop_waiting_steps()
        with self.step(Step.ANNOUNCE):
            await self._audit(Outcome.COMMITTED, result=result)
        _measures.committed(self, result)
        return result

    async def _audit(
        self, outcome: Outcome, *, result: OperationResult | None = None, error: ErrorInfo | None = None
    ) -> None:
        if not self.audited:
            return
        record = self.stored.record if self.stored else None
        entry = AuditEntry(
            operation_id=self.order.operation_id,
            project=self.project,
            kind=self.kind,
            actor=self.order.submission.actor,
            outcome=outcome,
            epoch=result.epoch if result else (record.epoch if record else 0),
            active=result.active if result else (record.active if record else Studio.LANGUAGE),
            started_at=self.started_at,
            ended_at=workflow.now(),
            result=result,
            error=error,
            notes=tuple(self.notes),
        )
        await self.insist("announce", entry, None)

    def on_undo(self, name: str, undo: Undo) -> None:
        """Register an undo before its effect is tried: an attempt that failed may have had it."""
        self.undos.append((name, undo))

    async def withdraw(self) -> None:
        """Undo of the intent: the record goes back, unless somebody else wrote it meanwhile."""
        await self.withdraw_of(self.order.operation_id)

    async def withdraw_of(self, operation_id: str) -> None:
        """Take the transition of `operation_id` out of the record, if it stands there."""
        withdrawal = Withdrawal(project=self.project, operation_id=operation_id)
        found: RecordFound = await self.insist("withdraw", withdrawal, RecordFound)
        self.stored = found.stored or self.stored

    # Steps.

    async def begin(self) -> None:
        """Read margins, status and record; register nothing."""
        begin: Begin = await self.read("begin", self.order, Begin)
        self.timing, self.status, self.stored = begin.timing, begin.status, begin.stored
        for step in steps_of(self.request, active=self.status.active, connected=self.status.connected):
            self.steps.setdefault(step, StepProgress(name=step, state=StepState.WAITING))

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Show `step` as running until the block ends, then as done or failed."""
        self._set(step, StepState.RUNNING, started_at=workflow.now())
        try:
            yield
        except BaseException as error:
            if ends_operation(error):
                self._set(step, StepState.FAILED, note=as_info(error).message, ended_at=workflow.now())
            raise
        self._set(step, StepState.DONE, ended_at=workflow.now())

    def note(self, step: Step, note: str) -> None:
        """Say what a running step is waiting for."""
        self._set(step, None, note=note)

    def _set(
        self,
        step: Step,
        state: StepState | None,
        *,
        note: str | None = None,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
    ) -> None:
        old = self.steps.get(step) or StepProgress(name=step, state=StepState.WAITING)
        changes = {"state": state, "note": note, "started_at": started_at, "ended_at": ended_at}
        self.steps[step] = old.model_copy(update={k: v for k, v in changes.items() if v is not None})
        if ended_at and state and old.started_at:
            _measures.step_ended(self, step, state, ended_at - old.started_at)

    def _fail_running_steps(self, info: ErrorInfo) -> None:
        for step, progress in list(self.steps.items()):
            if progress.state is StepState.RUNNING:
                self._set(step, StepState.FAILED, note=info.message, ended_at=workflow.now())

    def _drop_waiting_steps(self) -> None:
        """Steps that were planned and will not be taken any more."""
        self.steps = {s: p for s, p in self.steps.items() if p.state is not StepState.WAITING}

    def heed_cancellation(self) -> None:
        """Raise if a cancellation was asked for: an activity that ended well may have swallowed it."""
        if not self.committed and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError

    async def effect(self, name: str, argument: object, result: type[T] | None) -> T:
        """A step with an effect before the commit: short attempts, repeated until the patience ends.

        A role that Azure lists may still not work: with `wait_for_roles` a refusal is waited out too.
        """
        while True:
            try:
                return await self._effect(name, argument, result)
            except ActivityError as error:
                self.heed_cancellation()
                waited = workflow.now() - self.started_at
                if as_info(error).code != "forbidden" or waited >= self.order.submission.wait_for_roles:
                    raise
            await workflow.sleep(self.timing.role_poll)

    async def _effect(self, name: str, argument: object, result: type[T] | None) -> T:
        await self.turn(name, argument)
        value: T = await workflow.execute_activity(
            name,
            argument,
            result_type=result,
            start_to_close_timeout=self.timing.effect_timeout,
            schedule_to_close_timeout=self.timing.step_patience,
            retry_policy=_RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        self.heed_cancellation()
        return value

    async def read(self, name: str, argument: object, result: type[T] | None) -> T:
        """A step that changes nothing, or only adds content-addressed blobs: long, with heartbeats."""
        await self.turn(name, argument)
        value: T = await workflow.execute_activity(
            name,
            argument,
            result_type=result,
            start_to_close_timeout=_READ_TIMEOUT,
            schedule_to_close_timeout=self.timing.step_patience,
            heartbeat_timeout=self.timing.effect_timeout,
            retry_policy=_RETRY,
        )
        self.heed_cancellation()
        return value

    async def insist(
        self,
        name: str,
        argument: object,
        result: type[T] | None,
        *,
        give_up_on: tuple[str, ...] = (),
        reads: bool = False,
    ) -> T:
        """A step that must be done: repeated for ever, also after answers that are final by type.

        A role that was taken away in the middle answers `forbidden`, which is final for a request
        but not for a project that must not stay half-way: it is asked again, slowly, until somebody
        gives the role back, and everybody can see that somebody must. Only the codes in `give_up_on`
        are raised. `reads`: a long step that changes nothing, with a heartbeat instead of a short
        time-out.
        """
        pause, since = timedelta(seconds=1), workflow.now()
        while True:
            await self.turn(name, argument, urgent=True)
            try:
                value: T = await workflow.execute_activity(
                    name,
                    argument,
                    result_type=result,
                    start_to_close_timeout=_READ_TIMEOUT if reads else self.timing.effect_timeout,
                    heartbeat_timeout=self.timing.effect_timeout if reads else None,
                    retry_policy=_INSIST,
                )
            except ActivityError as error:
                info = as_info(error)
                if info.code in give_up_on:
                    await self.attend(None)
                    raise
                visible = min(_VISIBLE_AFTER, self.timing.step_patience)
                if is_final(info) or workflow.now() - since >= visible:
                    await self.attend(info)
            else:
                await self.attend(None)
                return value
            await workflow.sleep(pause)
            pause = min(pause * 2, _INSIST_PAUSE_MAX)

    async def attend(self, why: ErrorInfo | None) -> None:
        """Say that a person is needed, in the timeline and to the project's entity; None: not any more."""
        if why is not None and why.code not in self.told:
            await self._tell(why)
        if why == self.attention:
            return
        # Azure's messages may name the request: only a new code is worth an event in the entity's history.
        known = why is not None and self.attention is not None and why.code == self.attention.code
        self.attention = why
        text = f"needs a person: {why.code}: {why.message} {why.remedy}".strip() if why else ""
        for step, progress in self.steps.items():
            if progress.state is StepState.RUNNING:
                self.note(step, text)
        parent = workflow.info().parent
        if parent is None or known:
            return
        entity = workflow.get_external_workflow_handle(parent.workflow_id)
        try:
            await entity.signal(
                names.ATTENTION, Attention(operation_id=self.order.operation_id, why=self.attention)
            )
        except FailureError as error:  # an entity that is gone takes its children with it
            workflow.logger.warning("the entity did not hear of it: %s", error)

    async def _tell(self, why: ErrorInfo) -> None:
        """Write the event that a person is needed, once for each code; in vain, it is tried at the next turn."""
        needed = PersonNeeded(
            project=self.project, operation_id=self.order.operation_id, kind=self.kind, error=why
        )
        try:
            await workflow.execute_activity(
                "announce_person_needed",
                needed,
                start_to_close_timeout=self.timing.effect_timeout,
                schedule_to_close_timeout=self.timing.effect_timeout * 2,
                retry_policy=_RETRY,
            )
        except ActivityError as error:
            workflow.logger.warning("no event tells of it: %s", as_info(error).code)
        else:
            self.told.add(why.code)

    async def protected(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry `work` through although a cancellation is asked for meanwhile."""
        task = asyncio.create_task(work)
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.done() or workflow.cancellation_reason() is None:
                    raise
                current = asyncio.current_task()
                if current is not None:
                    current.uncancel()
