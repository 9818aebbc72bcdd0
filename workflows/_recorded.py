"""What every operation on a project does first, and how it writes the record: check, intend, write."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from temporalio import workflow

from labelbridge.errors import LabelbridgeError
from labelbridge.lifecycle import judge
from labelbridge.model import (
    Finding,
    JobRef,
    Phase,
    Preflight,
    PreflightLook,
    ProjectKind,
    Record,
    StoredRecord,
    Studio,
    Transition,
)
from labelbridge.model.steps import (
    Intent,
    RecordWrite,
)
from labelbridge.plans import Step
from workflows._operation import OperationWorkflow


class Recorded(OperationWorkflow):
    """An operation that stands in the record."""

    facts: Preflight
    job: JobRef | None = None
    """The labeling job that is connected, being connected or being retired."""
    linked: bool = False
    """Language's settings name the labeling job; said anew in each order, since a read may be stale."""
    unsettled: frozenset[Studio] = frozenset()
    """Studios that were told to shut and were not yet waited out: they read as shut, and may take labels."""
    kept: tuple[str, ...] = ()
    """Ids of snapshots taken because labels were made where none should be; the report names them."""
    disabled_at: datetime | None = None

    @property
    def record(self) -> Record:
        """The record as this operation last wrote or read it."""
        if self.stored is None:
            raise LabelbridgeError("not_connected")
        return self.stored.record

    @property
    def project_kind(self) -> ProjectKind:
        """Kind of the project, as the preflight saw it."""
        if self.facts.kind is None:
            raise LabelbridgeError("preflight_failed", "The project's kind is not supported.")
        return self.facts.kind

    # Before anything is touched.

    async def check(self) -> None:
        """Step 0: is the request legal now, and is everything there that it needs."""
        with self.step(Step.PREFLIGHT):
            await self.begin()
            judge(self.status, self.request)
            if self.stored and self.stored.record.connection:
                self.job = self.stored.record.connection.job
                self.linked = True
            self.facts = await self._look_until_roles_are_there()

    async def _look_until_roles_are_there(self) -> Preflight:
        """All findings; waits, visibly, for a role assignment that may only need time to propagate."""
        patience = self.order.submission.wait_for_roles
        began = workflow.now()
        look = PreflightLook(
            project=self.project,
            actor=self.order.submission.actor,
            request=self.request,
            record=self.stored.record if self.stored else None,
        )
        while True:
            seen: Preflight = await self.read("preflight", look, Preflight)
            errors = seen.errors
            if not errors:
                self.notes += [f.message for f in seen.findings if f.severity.value == "warning"]
                self.note(Step.PREFLIGHT, "")
                return seen
            waited = workflow.now() - began
            if not all(finding.waitable for finding in errors) or waited >= patience:
                raise _preflight_failed(errors, seen)
            self.note(Step.PREFLIGHT, _waiting_for_roles(errors, waited, patience))
            await workflow.sleep(min(self.timing.role_poll, patience - waited))

    # The record.

    async def intend(self, *, source: Studio, target: Studio, epoch: int) -> None:
        """Step 1: the record says what is about to happen, so that it can be undone or finished."""
        with self.step(Step.INTEND):
            transition = Transition(
                operation_id=self.order.operation_id,
                kind=self.kind,
                source=source,
                target=target,
                epoch=epoch,
                phase=Phase.GATING,
                actor=self.order.submission.actor,
                started_at=self.started_at,
                job=self.job,
            )
            intent = Intent(
                project=self.project,
                kind=self.project_kind,
                transition=transition,
                etag=self.stored.etag if self.stored else None,
            )
            self.on_undo("the record goes back", self.withdraw)
            self.stored = await self.effect("intend", intent, StoredRecord)

    async def write(self, changes: Mapping[str, object]) -> None:
        """One compare-and-swap of the record before the commit."""
        self.stored = await self.effect("write_record", self._write_of(changes), StoredRecord)

    async def insist_writing(self, changes: Mapping[str, object]) -> None:
        """One compare-and-swap that must be known to have happened or not: only a conflict ends it."""
        write = self._write_of(changes)
        self.stored = await self.insist("write_record", write, StoredRecord, give_up_on=("record_conflict",))

    def _write_of(self, changes: Mapping[str, object]) -> RecordWrite:
        if self.stored is None:
            raise LabelbridgeError("record_conflict", "There is no record to change.")
        stamp: dict[str, object] = {"updated_at": workflow.now(), "updated_by": self.order.operation_id}
        if changes.get("active", self.stored.record.active) is not self.stored.record.active:
            stamp["active_since"] = workflow.now()
        record = self.stored.record.model_copy(update={**changes, **stamp})
        return RecordWrite(record=record, etag=self.stored.etag)

    def transition(self, **changes: object) -> Transition:
        """The transition in the record, changed."""
        if self.record.transition is None:
            raise LabelbridgeError("record_conflict", "The record has lost this operation's transition.")
        return self.record.transition.model_copy(update=changes)


def _preflight_failed(errors: tuple[Finding, ...], seen: Preflight) -> LabelbridgeError:
    listing = "; ".join(f"{finding.code}: {finding.message}" for finding in errors)
    return LabelbridgeError("preflight_failed", listing, findings=seen.findings)


def _waiting_for_roles(errors: tuple[Finding, ...], waited: timedelta, patience: timedelta) -> str:
    what = "a role assignment" if len(errors) == 1 else f"{len(errors)} role assignments"
    minutes = (int(waited.total_seconds() // 60), int(patience.total_seconds() // 60))
    return f"waiting for {what}, {minutes[0]} of {minutes[1]} minutes"
