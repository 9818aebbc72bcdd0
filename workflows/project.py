"""The entity of one project: takes requests, lets one operation run at a time, for ever.

Prevents three failures: two operations at once on one project; an acknowledged request that is lost
or run twice when the entity continues as new (the gate in the validator, the wait for handlers and
the carried ledger together; each alone loses some); and a request made while no worker is up.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, TerminatedError

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.facts import published
from labelbridge.lifecycle import Verdict, judge, refuse_by_kind
from labelbridge.model import (
    OURSELVES,
    Accepted,
    ConnectRequest,
    ErrorInfo,
    JobRef,
    OperationKind,
    OperationResult,
    ProjectStatus,
    ProjectSummary,
    RecoverRequest,
    RunningOperation,
    Submission,
    SyncRequest,
    TrainRequest,
    WaitingOperation,
)
from labelbridge.model.steps import Attention, ClaimFound, EntityState, LedgerEntry, OperationOrder, Queued
from workflows import _ledger, _measures
from workflows._errors import as_failure, as_info, is_final
from workflows._syncs import BegunSyncs

_QUICK = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=5))
_LOOK_TIMEOUT = timedelta(seconds=20)
"""A caller waits for this look, so it gives up early and says so."""
_LOOK_ATTEMPT = timedelta(seconds=5)
"""One attempt of it: a worker that dies while it looks must not cost the whole look."""
_LOOK_PAUSE, _LOOK_PAUSE_MAX = timedelta(seconds=10), timedelta(minutes=5)
"""Between two looks at a project that cannot be looked at."""
_VISIBLE_AFTER = timedelta(minutes=5)
"""A service that does not answer for this long needs a person."""


@workflow.defn(name=names.ENTITY_WORKFLOW)
class ProjectWorkflow:
    """One project."""

    versioning_behavior = VersioningBehavior.AUTO_UPGRADE
    """It lives for years: each next task is the current version's."""

    @workflow.init
    def __init__(self, state: EntityState) -> None:
        self.begun_from = state
        self.project = state.project
        self.queue = list(state.queue)
        self.ledger = _ledger.Ledger(state.ledger)
        self.next_number = state.next_number
        self.syncs = BegunSyncs(state.syncs_begun, state.recent_syncs)
        self.continue_after = state.continue_after
        self.status: ProjectStatus | None = None
        self.running: RunningOperation | None = None
        self.later = list(state.later)
        self.terminated: RunningOperation | None = None
        self.training: TrainRequest | None = None
        self.attention: ErrorInfo | None = None
        self.blind: ErrorInfo | None = None
        self.requests = 0
        self.lock = asyncio.Lock()

    @workflow.run
    async def run(self, state: EntityState) -> None:
        """Serve requests until this run is long enough, then continue as new between two operations."""
        await self._refresh_or_wait()
        while True:
            await workflow.wait_condition(lambda: bool(self.queue) or self._leaving())
            if self._leaving():
                # The validator turns requests away from here on, so the handlers do drain.
                await workflow.wait_condition(workflow.all_handlers_finished)
                if not self._leaving():
                    continue
                if not self.queue and self._has_no_reason_to_live():
                    return
                self._continue_as_new()
            await self._serve(self.queue[0])

    # Requests.

    @workflow.update(name=names.SUBMIT)
    async def submit(self, submission: Submission) -> Accepted:
        """Accept a request and say which operation will do it; refuses with a typed error."""
        self.requests += 1
        async with self.lock:
            entry = await self._admit(submission, remember_refusal=False)
        if entry.refused:
            raise as_failure(entry.refused)
        assert entry.accepted
        return entry.accepted

    @submit.validator
    def _validate(self, submission: Submission) -> None:
        """Refuse before anything enters history; the handler judges again under its lock."""
        if submission.request_id in self.ledger:
            return
        if self._leaving():
            raise ApplicationError(
                "The project's entity continues as new; repeat the request.", type=names.MOVING
            )
        if isinstance(submission.request, RecoverRequest):
            raise as_failure(LabelbridgeError("invalid_request", "A recovery starts by itself.").info)
        if self.status is not None and self.status.known and self.syncs.serving(submission) is None:
            try:
                # Here only: an entity that has queued such a sync must replay.
                refuse_by_kind(self.status, submission.request)
                judge(self._status_now(), submission.request)
            except LabelbridgeError as error:
                raise as_failure(error.info) from error

    @workflow.signal(name=names.SUBMIT_LATER)
    async def submit_later(self, submission: Submission) -> None:
        """The durable form of `submit`, for a time when no worker answers: its outcome is remembered."""
        self.requests += 1
        await self._admit_durably(submission)

    async def _admit_durably(self, submission: Submission) -> None:
        """Admit what must not be lost; where nothing can be known, it is judged after the next look."""
        async with self.lock:
            entry = await self._admit(submission, remember_refusal=True)
        if entry.refused and submission.request_id not in self.ledger and not _is_ours(submission):
            self.later = [*self.later, submission][-_ledger.LIMIT :]

    @workflow.signal(name=names.ATTENTION)
    def heed(self, attention: Attention) -> None:
        """The running operation needs a person, or does not any more."""
        if self.running is not None and self.running.operation_id == attention.operation_id:
            self.attention = attention.why
            self._publish()

    @workflow.query(name=names.STATUS)
    def answer_status(self) -> ProjectStatus:
        """The project's status, with what runs and what waits."""
        return self._status_now()

    @workflow.query(name=names.OUTCOME)
    def answer_outcome(self, submission: Submission) -> LedgerEntry | None:
        """What a request was answered; None if it was not heard yet, or is remembered no more."""
        return self.ledger.known(submission)

    async def _admit(self, submission: Submission, *, remember_refusal: bool) -> LedgerEntry:
        """Judge a request once; the same request id always gets the same answer."""
        digest = submission.digest
        if known := self.ledger.known(submission):
            return known
        if self.blind:
            return LedgerEntry(refused=_unreachable(self.blind))
        try:
            entry = LedgerEntry(accepted=await self._accept(submission), digest=digest)
        except LabelbridgeError as error:
            entry = LedgerEntry(refused=error.info, digest=digest)
        except ActivityError as error:
            # The record or Language could not be read: nothing is known, so nothing is remembered.
            return LedgerEntry(refused=_unreachable(as_info(error)))
        if (entry.accepted or remember_refusal) and not _is_ours(submission):
            self.ledger.remember(submission.request_id, entry)
        return entry

    async def _accept(self, submission: Submission) -> Accepted:
        if begun := self.syncs.serving(submission):
            return begun
        if self.status is None or not self.status.known:
            await self._refresh()
        verdict = judge(self._status_now(), submission.request)
        if verdict is Verdict.JOIN:
            same = [q for q in self.queue if q.submission.request == submission.request]
            if same:  # one that asks for something else, such as a merge, waits its own turn
                return self._accepted(same[0], joined=True)
        if isinstance(submission.request, ConnectRequest):
            await self._refuse_claimed(submission.request.job)
        queued = Queued(
            operation_id=self._new_id(submission), submission=submission, accepted_at=workflow.now()
        )
        self.queue.append(queued)
        return self._accepted(queued)

    async def _refuse_claimed(self, job: JobRef) -> None:
        found: ClaimFound = await workflow.execute_activity(
            "read_claim",
            job,
            result_type=ClaimFound,
            schedule_to_close_timeout=_LOOK_TIMEOUT,
            start_to_close_timeout=_LOOK_ATTEMPT,
            retry_policy=_QUICK,
        )
        if (standing := found.claim) is not None:
            raise LabelbridgeError(
                "job_claimed",
                f"{job.name} was claimed by {standing.project.name} on {standing.claimed_at:%Y-%m-%d %H:%M}.",
                data={"job": job.name, "holder": standing.project.name},
            )

    def _new_id(self, submission: Submission) -> str:
        """E.g. `000042-switch-1a2b3c4d`: the number is for people; it may start again, so the end tells apart."""
        number, self.next_number = self.next_number, self.next_number + 1
        return f"{number:06d}-{submission.request.kind}-{workflow.uuid4().hex[:8]}"

    def _accepted(self, queued: Queued, *, joined: bool = False) -> Accepted:
        return Accepted(
            operation_id=queued.operation_id,
            workflow_id=f"{self.project.workflow_id}/{queued.operation_id}",
            joined=joined,
        )

    # Operations.

    async def _serve(self, queued: Queued) -> None:
        """Run one operation as a child, then look at what it left; recover if it left a transition."""
        await self._run_child(queued)
        self.training = (
            queued.submission.request if isinstance(queued.submission.request, TrainRequest) else None
        )
        await self._refresh_or_wait()

    async def _run_child(self, queued: Queued) -> None:
        kind = OperationKind(queued.submission.request.kind)
        workflow_id = f"{self.project.workflow_id}/{queued.operation_id}"
        self.running = RunningOperation(
            operation_id=queued.operation_id,
            workflow_id=workflow_id,
            kind=kind,
            actor=queued.submission.actor,
            started_at=workflow.now(),
        )
        if self.queue and self.queue[0].operation_id == queued.operation_id:
            self.queue.pop(0)
        order = OperationOrder(
            project=self.project, operation_id=queued.operation_id, submission=queued.submission
        )
        if isinstance(queued.submission.request, SyncRequest):
            # In one task with the child's start: who reads the new number asked after it.
            self.syncs.begin(self._accepted(queued), queued.submission.request)
        self._publish()
        if queued.accepted_at is not None:
            _measures.operation_began(kind, workflow.now() - queued.accepted_at)
        try:
            await workflow.execute_child_workflow(
                names.OPERATION_WORKFLOWS[kind.value], order, id=workflow_id, result_type=OperationResult
            )
        except ChildWorkflowError as error:
            # Whoever waits reads the child's own error; the entity only goes on.
            self.syncs.failed(queued.operation_id)
            # A recovery is begun again by itself, for as long as the record tells of an operation.
            if isinstance(error.cause, TerminatedError):
                took = workflow.now() - self.running.started_at
                _measures.operation_ended(kind, "terminated", took, code="terminated")
                if kind is not OperationKind.RECOVER:
                    self.terminated = self.running
            workflow.logger.info("operation %s did not commit: %s", queued.operation_id, as_info(error).code)

    async def _refresh_or_wait(self) -> None:
        """Read record and Language until they answer; finish or undo what an operation left."""
        pause, since = _LOOK_PAUSE, workflow.now()
        while True:
            try:
                await self._refresh()
            except ActivityError as error:
                self._say_that_it_cannot_look(as_info(error), since)
                await self._pause_between_looks(pause)
                pause = min(pause * 2, _LOOK_PAUSE_MAX)
                continue
            interrupted = self.status.interrupted if self.status else None
            if interrupted is None and self.terminated is None:
                break
            recovery, self.terminated = self._recovery(interrupted), None
            await self._run_child(recovery)
        self.running = self.attention = self.blind = None
        later, self.later = self.later, []
        for submission in later:
            await self._admit_durably(submission)
        self._publish()

    def _say_that_it_cannot_look(self, info: ErrorInfo, since: datetime) -> None:
        workflow.logger.warning("the project cannot be looked at: %s", info.code)
        if is_final(info) or workflow.now() - since >= _VISIBLE_AFTER:
            known, self.blind = self.blind, info
            self.running, self.attention = None, info
            if known is None or known.code != info.code:
                self._publish()

    async def _pause_between_looks(self, pause: timedelta) -> None:
        """Wait, or until a request that could look is there; a long outage must not fill this run's history."""
        waiting = len(self.queue)
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: len(self.queue) > waiting, timeout=pause)
        if workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(workflow.all_handlers_finished)
            self._continue_as_new()

    def _recovery(self, interrupted: str | None) -> Queued:
        """A recovery of what the record tells of, or of an operation that was seen to be terminated."""
        gone = self.terminated
        request = RecoverRequest(
            terminated=gone.operation_id if gone else None,
            model=self.training.model if gone and self.training else None,
            since=gone.started_at if gone else None,
        )
        submission = Submission(
            request_id=f"recover-{interrupted or request.terminated}",
            actor=OURSELVES,
            submitted_at=workflow.now(),
            request=request,
        )
        return Queued(operation_id=self._new_id(submission), submission=submission)

    async def _refresh(self) -> None:
        self.status = await workflow.execute_activity(
            "inspect",
            self.project,
            result_type=ProjectStatus,
            schedule_to_close_timeout=_LOOK_TIMEOUT,
            start_to_close_timeout=_LOOK_ATTEMPT,
            retry_policy=_QUICK,
        )

    def _status_now(self) -> ProjectStatus:
        base = self.status or ProjectStatus(project=self.project, known=False)
        waiting = tuple(
            WaitingOperation(operation_id=q.operation_id, kind=OperationKind(q.submission.request.kind))
            for q in self.queue
        )
        changes = {"running": self.running, "queued": waiting, "attention": self.attention}
        return base.model_copy(update=changes)

    def _publish(self) -> None:
        status = self._status_now()
        workflow.upsert_search_attributes(
            [SearchAttributeKey.for_keyword(name).value_set(value) for name, value in published(status)]
        )
        workflow.upsert_memo(self._memo())

    def _memo(self) -> dict[str, object]:
        """What lists of projects and callers of a sync read without asking this entity."""
        memo: dict[str, object] = {names.SYNCS_BEGUN: self.syncs.count}
        if self.status is not None:
            memo[names.SUMMARY] = ProjectSummary.of(self._status_now())
        return memo

    # The end of a run.

    def _leaving(self) -> bool:
        """True between two operations, once this run is long enough or has no reason to live."""
        if self.running is not None:
            return False
        long_enough = workflow.info().is_continue_as_new_suggested() or (
            self.continue_after is not None and self.requests >= self.continue_after
        )
        return long_enough or (not self.queue and self._has_no_reason_to_live())

    def _has_no_reason_to_live(self) -> bool:
        """An entity of a project that Language does not have ends; the next request starts another."""
        return self.status is not None and not self.status.known and self.requests > 0

    def _continue_as_new(self) -> NoReturn:
        # A copy: what only a newer version carries is handed on.
        carried = self.begun_from.model_copy(
            update={
                "queue": tuple(self.queue),
                "later": tuple(self.later),
                "ledger": self.ledger.entries,
                "next_number": self.next_number,
                "syncs_begun": self.syncs.count,
                "recent_syncs": tuple(self.syncs.recent),
            }
        )
        # An older number would let a caller share a sync that began before it asked.
        workflow.continue_as_new(carried, memo=self._memo())


def _is_ours(submission: Submission) -> bool:
    """Asked by Labelbridge itself, which asks again: remembering it would push out callers' keys."""
    return submission.actor == OURSELVES


def _unreachable(info: ErrorInfo) -> ErrorInfo:
    if info.code == "record_unreadable":
        return info
    return LabelbridgeError(
        "registry_unreachable", f"The project could not be looked at: {info.code}: {info.message}"
    ).info
