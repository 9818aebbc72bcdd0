"""Reconcile: the project is held against its record; what differs is put right or reported.

Promises: what must not be open is shut, and read back, before anything is opened or written; what was
labelled through a wrong gate is kept as a snapshot that the audit entry names; what only a person can put
right stays in the record, for the status to show, and is said once. It changes no epoch and no studio.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

from labelbridge import names
from labelbridge.drift import WRONGLY_OPEN
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    Claim,
    Drift,
    DriftCode,
    JobRef,
    OperationResult,
    Preflight,
    ReconcileRequest,
    Studio,
)
from labelbridge.model.steps import OperationOrder
from labelbridge.model.sweeps import DriftOrder, DriftSeen
from labelbridge.plans import Step
from workflows import _measures
from workflows._errors import as_info
from workflows._moves import Moves

_ROUNDS = 3
"""Looks at most: somebody who opens a gate again and again must not keep the project from its operations."""


@workflow.defn(name=names.OPERATION_WORKFLOWS["reconcile"])
class ReconcileWorkflow(Moves):
    """One reconciliation."""

    seen: DriftSeen

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the reconciliation; fails with a typed error if the project cannot be looked at."""
        self.audited = False
        self.failures: dict[tuple[DriftCode, JobRef | None], str] = {}
        self.found: dict[tuple[DriftCode, str], Drift] = {}
        return await self.transact(self.before, self.commit, self.after)

    async def before(self) -> None:
        """Look: the project, its labeling jobs and their claims beside the record."""
        with self.step(Step.INSPECT):
            policy = self.request.policy if isinstance(self.request, ReconcileRequest) else None
            self.drift_order = DriftOrder(project=self.project, policy=policy)
            self.take(await self.read("find_drift", self.drift_order, DriftSeen))
            if self.stored is None:
                code = "not_connected" if self.seen.known else "project_unknown"
                raise LabelbridgeError(code, f"{self.project.name} has no record to compare it with.")
            self.note(
                Step.INSPECT, "; ".join(drift.code for drift in self.seen.drift) or "as the record says"
            )

    def take(self, seen: DriftSeen) -> None:
        """Remember the newest look."""
        self.seen, self.timing, self.stored = seen, seen.timing, seen.stored or self.stored
        if seen.stored is not None:
            connection = seen.stored.record.connection
            self.job, self.linked = (connection.job if connection else None), connection is not None
            self.facts = Preflight(findings=(), kind=seen.stored.record.kind)

    async def commit(self) -> None:
        """A reconciliation has nothing to commit: the record is what it holds on to."""

    async def after(self) -> OperationResult:
        """Put right what may be, look again, and write into the record what stays."""
        for _ in range(_ROUNDS):
            self.found |= {(drift.code, drift.message): drift for drift in self.seen.drift}
            todo = [drift for drift in self.seen.drift if self.is_to_do(drift)]
            if not todo:
                break
            with self.step(Step.SHUT):
                await self.shut_all([drift for drift in todo if drift.code in WRONGLY_OPEN])
            with self.step(Step.MEND):
                for drift in todo:
                    await self.mend(drift)
            with self.step(Step.LOOK_AGAIN):
                await workflow.sleep(self.timing.look_again)
                self.take(await self.insist("find_drift", self.drift_order, DriftSeen, reads=True))
        standing = tuple(self.standing(drift) for drift in self.seen.drift)
        await self.remember(standing)
        return self.result().model_copy(update={"drift": self.report(standing)})

    def is_to_do(self, drift: Drift) -> bool:
        """True for what the policy says to put right and that was not tried in vain."""
        return drift.outcome == "found" and (drift.code, drift.job) not in self.failures

    async def shut_all(self, wrong: list[Drift]) -> None:
        """Every wrong gate at once; what was labelled through it is kept when writes in flight have landed."""
        shut = [drift for drift in wrong if await self.shut_one(drift)]
        if shut:
            await workflow.sleep(self.timing.drain)
        for drift in shut:
            with self.about(drift):
                await self.keep_what_came(_studio(drift))

    async def shut_one(self, drift: Drift) -> bool:
        """Shut one studio and read it back; False if it is gone."""
        with self.about(drift):
            return await self.set_gate(self.gate(_studio(drift), open_=False))

    @contextmanager
    def about(self, drift: Drift) -> Iterator[None]:
        """Let orders name the labeling job that is meant: a retired one, perhaps."""
        connected, self.job = self.job, drift.job or self.job
        try:
            yield
        finally:
            self.job = connected

    async def mend(self, drift: Drift) -> None:
        """What else there is to do about one difference; what is refused is remembered, and reported."""
        try:
            match drift.code:
                case DriftCode.CLAIM_MISSING if drift.job is not None:
                    await self.effect("claim", self.claim_of(drift.job), Claim)
                case DriftCode.RETIRED_OPEN:
                    await self.effect("retire_job", drift.job, None)
                case DriftCode.LINK_DIFFERS:  # every order to Language's gate carries the link
                    await self.effect(
                        "set_gate", self.gate(Studio.LANGUAGE, open_=self.is_language_open), datetime
                    )
                case DriftCode.LANGUAGE_SHUT | DriftCode.AZUREML_SHUT:
                    await self.effect("set_gate", self.gate(self.record.active, open_=True), datetime)
        except ActivityError as error:
            info = as_info(error)
            if info.code != "source_open":  # the next look finds that, and it is shut first
                self.failures[drift.code, drift.job] = f"{info.code}: {info.message}"

    @property
    def is_language_open(self) -> bool:
        """True if labeling in Language is open and may be."""
        shut = any(drift.code is DriftCode.LANGUAGE_SHUT for drift in self.seen.drift)
        return self.record.active is Studio.LANGUAGE and not shut

    def claim_of(self, job: JobRef) -> Claim:
        """The claim that should stand; that of another, written meanwhile, is left and reported."""
        return Claim(
            job=job,
            project=self.project,
            operation_id=self.order.operation_id,
            actor=self.order.submission.actor,
            claimed_at=self.started_at,
        )

    def standing(self, drift: Drift) -> Drift:
        """A difference that is still there, with what became of it."""
        if drift.outcome == "reported":
            return drift
        why = self.failures.get((drift.code, drift.job), "it was put right and came back")
        return drift.model_copy(update={"outcome": "failed", "message": f"{drift.message} ({why})"})

    def report(self, standing: tuple[Drift, ...]) -> tuple[Drift, ...]:
        """All that was found, the closed first, then what stays."""
        stays = {(drift.code, drift.job) for drift in standing}
        closed = [d for d in self.found.values() if (d.code, d.job) not in stays]
        return (*(drift.model_copy(update={"outcome": "closed"}) for drift in closed), *standing)

    async def remember(self, standing: tuple[Drift, ...]) -> None:
        """The record names what stays; the audit trail hears only of what is new."""
        closed = any((d.code, d.job) not in {(s.code, s.job) for s in standing} for d in self.found.values())
        changed = standing != self.record.drift
        self.audited = closed or changed
        for drift in self.report(standing):
            if drift not in self.record.drift:
                _measures.drift_found(drift)
        if not changed:
            return
        try:
            await self.insist_writing({"drift": standing})
        except ActivityError as error:
            self.notes.append(f"The record could not be told of it: {as_info(error).message}")


def _studio(drift: Drift) -> Studio:
    return Studio.LANGUAGE if drift.code is DriftCode.LANGUAGE_OPEN else Studio.AZUREML
