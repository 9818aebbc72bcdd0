"""The moves that operations are made of: gate, come to rest, deliver, commit, open, look again.

Each is a step of the design's table (docs/design.md, "Switch, step by step") or part of one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from labelbridge.errors import LabelbridgeError
from labelbridge.lifecycle import judge
from labelbridge.model import (
    Finding,
    GateState,
    JobRef,
    MergeReport,
    OperationKind,
    OperationResult,
    Phase,
    Preflight,
    PreflightLook,
    ProjectKind,
    Record,
    SnapshotRef,
    StoredRecord,
    Studio,
    Transition,
)
from labelbridge.model.steps import (
    AssetOrder,
    ExportOrder,
    GateOrder,
    ImportFile,
    ImportOrder,
    Intent,
    JobTicket,
    Merge,
    MergeOrder,
    RecordWrite,
    VerifyOrder,
)
from labelbridge.plans import Step
from workflows._errors import as_info
from workflows._operation import OperationWorkflow


class Moves(OperationWorkflow):
    """An operation that can make the moves."""

    facts: Preflight
    job: JobRef | None = None
    """The labeling job that is connected, being connected or being retired."""
    linked: bool = False
    """Language's settings name the labeling job; said anew in each order, since a read may be stale."""
    kept: tuple[str, ...] = ()
    """Ids of snapshots taken because labels were made where none should be; the report names them."""
    disabled_at: datetime | None = None
    opened_at: datetime | None = None

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
        stamp = {"updated_at": workflow.now(), "updated_by": self.order.operation_id}
        record = self.stored.record.model_copy(update={**changes, **stamp})
        return RecordWrite(record=record, etag=self.stored.etag)

    def transition(self, **changes: object) -> Transition:
        """The transition in the record, changed."""
        if self.record.transition is None:
            raise LabelbridgeError("record_conflict", "The record has lost this operation's transition.")
        return self.record.transition.model_copy(update=changes)

    # The gates.

    async def shut(self, studio: Studio) -> None:
        """Step 2: stop labeling in `studio`, read back."""
        with self.step(Step.GATE):
            self.on_undo(f"{studio.display_name} opens again", lambda: self.open_again(studio))
            await self.effect("set_gate", self.gate(studio, open_=False), datetime)
            self.disabled_at = workflow.now()
            await self.write({"transition": self.transition(phase=Phase.DRAINING)})

    def gate(self, studio: Studio, *, open_: bool, unlink: bool = False) -> GateOrder:
        """An order to one gate; opening always looks at the other gate first."""
        return GateOrder(
            project=self.project,
            studio=studio,
            job=self.job,
            open=open_,
            link=self.linked and not unlink,
            unlink=unlink,
        )

    async def open_again(self, studio: Studio) -> None:
        """Undo of the gate: the other studio is shut for certain before this one opens."""
        await self.shut_for_certain(studio.other)
        order = self.gate(studio, open_=True, unlink=self.kind is OperationKind.CONNECT)
        await self.insist("set_gate", order, datetime)
        await workflow.sleep(self.timing.look_again)
        await self.insist("set_gate", order, datetime)

    async def shut_for_certain(self, studio: Studio) -> None:
        """Shut a studio, if it has the project at all, and wait until that has taken effect."""
        order = self.gate(studio, open_=False)
        gates: GateState = await self.insist("read_gates", order, GateState)
        is_open = gates.language_open if studio is Studio.LANGUAGE else gates.azureml_open
        if is_open is None:
            return
        await self.insist("set_gate", order, datetime)
        if is_open:
            await workflow.sleep(self.timing.drain)

    async def open(self, studio: Studio, *, unlink: bool = False) -> None:
        """Step 7: open the target; a source found open is shut, waited out and kept first."""
        with self.step(Step.OPEN):
            order = self.gate(studio, open_=True, unlink=unlink)
            while True:
                try:
                    await self.insist("set_gate", order, datetime, give_up_on=("source_open",))
                    break
                except ActivityError as error:
                    if as_info(error).code != "source_open":
                        raise
                    await self._shut_intruder(studio.other)
            self.opened_at = workflow.now()

    async def look_again(self, active: Studio) -> None:
        """Step 8: one margin later both gates are read once more; a wrong one is put right at once."""
        with self.step(Step.LOOK_AGAIN):
            await workflow.sleep(self.timing.look_again)
            gates: GateState = await self.insist("read_gates", self.gate(active, open_=True), GateState)
            source_open = gates.azureml_open if active is Studio.LANGUAGE else gates.language_open
            target_open = gates.language_open if active is Studio.LANGUAGE else gates.azureml_open
            if source_open:
                await self._shut_intruder(active.other)
            if not target_open:
                await self.insist("set_gate", self.gate(active, open_=True), datetime)
                self.notes.append(f"{active.display_name} was found shut and was opened again.")

    async def _shut_intruder(self, studio: Studio) -> None:
        """A gate that must be shut was found open: shut it, and keep what was labelled through it."""
        await self.insist("set_gate", self.gate(studio, open_=False), datetime)
        await workflow.sleep(self.timing.drain)
        late: SnapshotRef = await self.insist(
            "export_labels", self.export_order(studio), SnapshotRef, reads=True
        )
        self.kept += (late.id,)
        self.notes.append(
            f"{studio.display_name} was found open and was shut again; what it held then is snapshot {late.id}."
        )

    # The labels.

    async def read_gates(self) -> GateState:
        """Both gates as they are now."""
        gates: GateState = await self.insist("read_gates", self.gate(Studio.LANGUAGE, open_=False), GateState)
        return gates

    def export_order(self, studio: Studio) -> ExportOrder:
        """An order to export one side, with this operation's leave to quarantine."""
        return ExportOrder(
            project=self.project,
            kind=self.facts.kind or self.record.kind,
            studio=studio,
            job=self.job,
            epoch=self.stored.record.epoch if self.stored else 0,
            allow_quarantine=getattr(self.request, "allow_quarantine", False),
        )

    async def export(self, studio: Studio) -> SnapshotRef:
        """The labels of one side as they are after this was asked."""
        snapshot: SnapshotRef = await self.read("export_labels", self.export_order(studio), SnapshotRef)
        return snapshot

    async def come_to_rest(self, studio: Studio) -> SnapshotRef:
        """Steps 3 and 4: wait out writes in flight, then until two exports in a row are equal."""
        deadline = workflow.now() + self.timing.drain_deadline
        with self.step(Step.DRAIN):
            await workflow.sleep(self.timing.drain)
            seen = await self.export(studio)
            while True:
                await workflow.sleep(self.timing.settle)
                again = await self.export(studio)
                if again.digest == seen.digest:
                    break
                if workflow.now() > deadline:
                    raise LabelbridgeError(
                        "drain_deadline",
                        f"{studio.display_name} still took labels {self.timing.drain_deadline} after it was gated.",
                    )
                self.note(
                    Step.DRAIN, f"{studio.display_name} still takes labels; waiting until they are at rest"
                )
                seen = again
        with self.step(Step.SNAPSHOT):
            self.note(Step.SNAPSHOT, f"{again.labels} labels in {again.documents} documents, {again.id[:12]}")
        return again

    async def merge(
        self, azureml_now: SnapshotRef, language_now: SnapshotRef
    ) -> tuple[SnapshotRef, MergeReport]:
        """Language's labels when it was left, overlaid with what changed in Azure ML since it was left."""
        order = MergeOrder(
            project=self.project,
            kind=self.project_kind,
            epoch=self.record.epoch,
            language_left=self.record.left.get(Studio.LANGUAGE),
            language_now=language_now,
            language_given=self.record.given,
            azureml_left=self.record.left.get(Studio.AZUREML),
            azureml_now=azureml_now,
        )
        merged: Merge = await self.read("merge_labels", order, Merge)
        return merged.snapshot, merged.report

    async def deliver_to_language(self, snapshot: SnapshotRef, before: SnapshotRef, *, phase: bool) -> None:
        """Step 5: the gated Language project is given a snapshot, and is read back.

        `before` is what it holds now: what an undo puts back. The record names both first, so that
        neither is ever mistaken for labels that somebody made past the gate.
        """
        given = tuple(dict.fromkeys((*self.record.given, before.digest, snapshot.digest)))[-50:]
        changes: dict[str, object] = {"given": given}
        if phase:
            changes["transition"] = self.transition(phase=Phase.DELIVERING, restore=before)
        await self.write(changes)
        if snapshot.digest != before.digest:
            self.on_undo("Language gets its former labels back", lambda: self.restore_language(before))
        order = ImportOrder(project=self.project, snapshot=snapshot.id, template=before.raw or "")
        file: ImportFile = await self.read("prepare_import", order, ImportFile)
        ticket: JobTicket = await self.effect("start_import", file, JobTicket)
        await self.read("await_import", ticket, None)
        if ticket.attempts > 1:
            # An earlier attempt may have left a second import behind: let it run before reading back.
            await workflow.sleep(self.timing.drain)
        verify = VerifyOrder(
            project=self.project, kind=self.project_kind, epoch=self.record.epoch, digest=snapshot.digest
        )
        await self.read("verify_language", verify, SnapshotRef)

    async def restore_language(self, before: SnapshotRef) -> None:
        """Undo of a delivery: the project file that was exported before is imported again, gated."""
        order = ImportOrder(
            project=self.project, snapshot=before.id, template=before.raw or "", as_exported=True
        )
        while True:
            file: ImportFile = await self.insist("prepare_import", order, ImportFile, reads=True)
            ticket: JobTicket = await self.insist("start_import", file, JobTicket)
            try:
                await self.insist("await_import", ticket, None, give_up_on=("azure_job_failed",), reads=True)
                return
            except ActivityError as error:
                self.note(Step.UNDO, f"needs a person: {as_info(error).message}")
            await workflow.sleep(timedelta(seconds=30))

    async def deliver_to_azureml(self, snapshot: SnapshotRef) -> None:
        """Step 5 towards Azure ML: a labelled data asset in its own form, read back."""
        connection = self.record.connection
        if connection is None:
            raise LabelbridgeError("not_connected")
        order = AssetOrder(
            project=self.project,
            kind=self.project_kind,
            job=connection.job,
            datastore=connection.datastore,
            container=connection.container,
            snapshot=snapshot,
        )
        asset: str = await self.read("put_labelled_asset", order, str)
        self.note(Step.DELIVER, f"data asset {asset}")

    # The end.

    def result(
        self, *, snapshot: SnapshotRef | None = None, merge: MergeReport | None = None
    ) -> OperationResult:
        """What a committed operation returns."""
        if self.kept and snapshot is not None:
            report = merge or MergeReport(snapshot=snapshot.id)
            merge = report.model_copy(update={"originals": (*report.originals, *self.kept)})
        disabled = None
        if self.disabled_at and self.opened_at:
            disabled = (self.opened_at - self.disabled_at).total_seconds()
        return OperationResult(
            operation_id=self.order.operation_id,
            kind=self.kind,
            active=self.record.active,
            epoch=self.record.epoch,
            snapshot=snapshot,
            merge=merge,
            labels_disabled_seconds=disabled,
            notes=tuple(self.notes),
            started_at=self.started_at,
            ended_at=workflow.now(),
        )


def _preflight_failed(errors: tuple[Finding, ...], seen: Preflight) -> LabelbridgeError:
    listing = "; ".join(f"{finding.code}: {finding.message}" for finding in errors)
    return LabelbridgeError("preflight_failed", listing, findings=seen.findings)


def _waiting_for_roles(errors: tuple[Finding, ...], waited: timedelta, patience: timedelta) -> str:
    what = "a role assignment" if len(errors) == 1 else f"{len(errors)} role assignments"
    minutes = (int(waited.total_seconds() // 60), int(patience.total_seconds() // 60))
    return f"waiting for {what}, {minutes[0]} of {minutes[1]} minutes"
