"""How labels are carried: export, come to rest, merge, deliver, and the undo of a delivery."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    MergeReport,
    Phase,
    SnapshotRef,
    Studio,
    TrainRequest,
)
from labelbridge.model.steps import (
    AssetOrder,
    Exported,
    ExportOrder,
    ImportFile,
    ImportOrder,
    JobTicket,
    Merge,
    MergeOrder,
    ShardOrder,
    VerifyOrder,
)
from labelbridge.plans import Step
from workflows._errors import as_info
from workflows._recorded import Recorded


class Carrying(Recorded):
    """An operation that carries labels."""

    catalog: str | None = None
    """ETag of the documents' catalog as an export of this operation left it."""

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
        found: Exported = await self.read("export_labels", self.export_order(studio), Exported)
        self.catalog = found.catalog or self.catalog
        return await self.whole(found)

    async def insist_on_export(self, studio: Studio) -> SnapshotRef:
        """`export` for an undo, or after the commit: in one step, repeated for ever."""
        # Nothing may refuse what is only kept: rows that cannot be read stay in the quarantine file.
        order = self.export_order(studio).model_copy(update={"whole": True, "allow_quarantine": True})
        found: Exported = await self.insist("export_labels", order, Exported, reads=True)
        return await self.whole(found)

    async def whole(self, found: Exported) -> SnapshotRef:
        """The snapshot of an export; one that was cut into parts is read by all workers and joined."""
        if found.snapshot is not None:
            return found.snapshot
        plan = found.shards
        if plan is None:
            raise LabelbridgeError("read_back_differs", "The export gave neither a snapshot nor parts.")
        orders = [ShardOrder(plan=plan, number=number) for number in range(len(plan.bounds))]
        await asyncio.gather(*(self.read("read_shard", order, None) for order in orders))
        joined: Exported = await self.read("join_shards", plan, Exported)
        await self.read("drop_shards", plan, None)
        self.catalog = joined.catalog or self.catalog
        return await self.whole(joined)

    async def come_to_rest(self, studio: Studio) -> SnapshotRef:
        """Steps 3 and 4: wait out writes in flight, then until two exports in a row are equal."""
        deadline = workflow.now() + self.timing.drain_deadline - self.queued
        with self.step(Step.DRAIN):
            await workflow.sleep(self.timing.drain)
            self.unsettled -= {studio}
            seen = await self.export(studio)
            while True:
                await workflow.sleep(self.timing.settle)
                again = await self.export(studio)
                if again.digest == seen.digest:
                    self.note(Step.DRAIN, "")
                    break
                if workflow.now() > deadline + self.queued:  # in the queue, people are not waited for
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
        bases = {**self.record.left, **self.record.met}
        order = MergeOrder(
            project=self.project,
            kind=self.project_kind,
            epoch=self.record.epoch,
            language_left=bases.get(Studio.LANGUAGE),
            language_now=language_now,
            language_given=self.record.given,
            azureml_left=bases.get(Studio.AZUREML),
            azureml_now=azureml_now,
            policy=getattr(self.request, "policy", "active"),
        )
        merged: Merge = await self.read("merge_labels", order, Merge)
        return merged.snapshot, merged.report

    @property
    def test_percent(self) -> int:
        """Share of new documents that go into Test, where documents keep what they had."""
        if isinstance(self.request, TrainRequest):
            return 100 - self.request.train_percent
        return getattr(self.request, "test_percent", 20)

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
        split = getattr(self.request, "split", None)
        if not phase and split is None and snapshot.digest == before.digest:
            # An import takes Language as long as the project is large, and would change nothing.
            self.note(Step.DELIVER, "Language holds them already")
            return
        if split is not None or snapshot.digest != before.digest:
            self.on_undo("Language gets its former labels back", lambda: self.restore_language(before))
        left = self.record.left.get(Studio.LANGUAGE, before)
        order = ImportOrder(
            project=self.project,
            snapshot=snapshot.id,
            template=before.raw or "",
            split=split,
            test_percent=self.test_percent,
            assigned=left.id,
            catalog=self.catalog,
        )
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
