"""The two gates and the end: shut, open, look again, and what a committed operation returns.

Each is a step of the design's table (docs/design.md, "Switch, step by step") or part of one.
"""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    GateState,
    JobRef,
    MergeReport,
    OperationKind,
    OperationResult,
    Phase,
    SnapshotRef,
    Studio,
)
from labelbridge.model.steps import (
    GateOrder,
)
from labelbridge.plans import Step
from workflows._carrying import Carrying
from workflows._errors import as_info

GONE = ("job_gone", "project_unknown")
"""A studio that has nothing any more that could be opened or shut."""


class Moves(Carrying):
    """An operation that can make every move."""

    async def shut(self, studio: Studio) -> None:
        """Step 2: stop labeling in `studio`, read back."""
        with self.step(Step.GATE):
            self.on_undo(f"{studio.display_name} opens again", lambda: self.open_again(studio))
            self.unsettled |= {studio}
            await self.effect("set_gate", self.gate(studio, open_=False), datetime)
            self.disabled_at = workflow.now()
            await self.write({"transition": self.transition(phase=Phase.DRAINING)})

    async def come_to_rest(self, studio: Studio) -> SnapshotRef:
        """Steps 3 and 4, and once more if the source is open again at their end.

        An order to open it that an earlier operation had in flight may have landed during the drain:
        the snapshot would then miss what people go on to label.
        """
        deadline = workflow.now() + self.timing.drain_deadline
        while True:
            snapshot = await super().come_to_rest(studio)
            gates: GateState = await self.read("read_gates", self.gate(studio, open_=False), GateState)
            if not (gates.language_open if studio is Studio.LANGUAGE else gates.azureml_open):
                return snapshot
            if workflow.now() > deadline:
                raise LabelbridgeError("drain_deadline", f"{studio.display_name} is opened again and again.")
            self.unsettled |= {studio}
            await self.effect("set_gate", self.gate(studio, open_=False), datetime)

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
        await self._open_when_the_other_is_shut(order)
        self.labels_are_enabled()
        await workflow.sleep(self.timing.look_again)
        await self._open_when_the_other_is_shut(order)

    async def shut_for_certain(self, studio: Studio) -> None:
        """Shut a studio, if it has the project at all, and wait until that has taken effect."""
        order = self.gate(studio, open_=False)
        gates: GateState = await self.insist("read_gates", order, GateState)
        is_open = gates.language_open if studio is Studio.LANGUAGE else gates.azureml_open
        if is_open is None or not await self.set_gate(order):
            return
        if is_open or studio in self.unsettled:
            await workflow.sleep(self.timing.drain)
            self.unsettled -= {studio}

    async def set_gate(self, order: GateOrder) -> bool:
        """Insist on a gate; False, with a note, if the studio has no such project or job any more.

        What is gone takes no labels, and no person can bring it back: to insist would hold the project
        for ever.
        """
        try:
            await self.insist("set_gate", order, datetime, give_up_on=(*GONE, "source_open"))
        except ActivityError as error:
            info = as_info(error)
            if info.code not in GONE:
                raise
            self.notes.append(f"{info.code}: {info.message} {info.remedy}".strip())
            return False
        return True

    async def open(self, studio: Studio, *, unlink: bool = False) -> None:
        """Step 7: open the target; a source found open is shut, waited out and kept first."""
        with self.step(Step.OPEN):
            if await self._open_when_the_other_is_shut(self.gate(studio, open_=True, unlink=unlink)):
                self.labels_are_enabled()

    def labels_are_enabled(self) -> None:
        """A gate was read back open: the target's, or an undo's; people could label nowhere until now."""
        if self.disabled_at:
            self.labels_disabled = workflow.now() - self.disabled_at

    async def _open_when_the_other_is_shut(self, order: GateOrder) -> bool:
        while True:
            try:
                return await self.set_gate(order)
            except ActivityError as error:
                if as_info(error).code != "source_open":
                    raise
                await self.shut_intruder(order.studio.other)

    async def look_again(self, active: Studio) -> None:
        """Step 8: one margin later both gates are read once more; a wrong one is put right at once."""
        with self.step(Step.LOOK_AGAIN):
            await workflow.sleep(self.timing.look_again)
            gates: GateState = await self.insist("read_gates", self.gate(active, open_=True), GateState)
            source_open = gates.azureml_open if active is Studio.LANGUAGE else gates.language_open
            target_open = gates.language_open if active is Studio.LANGUAGE else gates.azureml_open
            if source_open:
                await self.shut_intruder(active.other)
            if target_open is False:
                await self._open_when_the_other_is_shut(self.gate(active, open_=True))
                self.notes.append(f"{active.display_name} was found shut and was opened again.")

    async def shut_intruder(self, studio: Studio) -> None:
        """A gate that must be shut was found open: shut it, and keep what was labelled through it."""
        if await self.set_gate(self.gate(studio, open_=False)):
            await workflow.sleep(self.timing.drain)
            await self.keep_what_came(studio)

    async def keep_what_came(self, studio: Studio) -> None:
        """Keep what a studio holds that was found open and is shut by now."""
        late = await self.insist_on_export(studio)
        self.kept += (late.id,)
        self.notes.append(
            f"{studio.display_name} was found open and was shut again; what it held then is snapshot {late.id}."
        )

    async def retire_new_job(self, job: JobRef) -> None:
        """Undo of a labeling job that a connect made: paused, what it holds kept as a snapshot, archived."""
        await self.shut_for_certain(Studio.AZUREML)
        gates = await self.read_gates()
        if gates.azureml_open is not None:
            late = await self.insist_on_export(Studio.AZUREML)
            if late.labels:
                self.kept += (late.id,)
                self.notes.append(
                    f"The labeling job held {late.labels} labels; they are in snapshot {late.id}."
                )
        await self.insist("retire_job", job, None)

    async def read_gates(self) -> GateState:
        """Both gates as they are now."""
        gates: GateState = await self.insist("read_gates", self.gate(Studio.LANGUAGE, open_=False), GateState)
        return gates

    def named(self, snapshot: SnapshotRef | None, merge: MergeReport | None = None) -> tuple[str, ...]:
        """Ids of all snapshots that the report will name."""
        merged = (merge.snapshot, *merge.originals) if merge else ()
        return tuple(dict.fromkeys((*((snapshot.id,) if snapshot else ()), *merged, *self.kept)))

    def result(
        self, *, snapshot: SnapshotRef | None = None, merge: MergeReport | None = None
    ) -> OperationResult:
        """What a committed operation returns."""
        if self.kept and snapshot is not None:
            report = merge or MergeReport(snapshot=snapshot.id)
            merge = report.model_copy(update={"originals": (*report.originals, *self.kept)})
        return OperationResult(
            operation_id=self.order.operation_id,
            kind=self.kind,
            active=self.record.active,
            epoch=self.record.epoch,
            snapshot=snapshot,
            merge=merge,
            labels_disabled_seconds=None
            if self.labels_disabled is None
            else self.labels_disabled.total_seconds(),
            notes=tuple(self.notes),
            started_at=self.started_at,
            ended_at=workflow.now(),
        )
