"""Import: a new Language project is made from an Azure ML JSONL file.

Promises: the project is new; it holds every label of the file that could be read, read back, or it
is deleted again.
"""

from temporalio import workflow

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.model import ImportRequest, OperationResult, SnapshotRef, Studio
from labelbridge.model.steps import (
    Exported,
    FileOrder,
    ImportFile,
    JobTicket,
    NewProjectOrder,
    OperationOrder,
    VerifyOrder,
)
from labelbridge.plans import Step
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["import"])
class ImportWorkflow(Moves):
    """One import."""

    snapshot: SnapshotRef

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Carry out the import; fails with a typed error if it was refused or undone."""
        return await self.transact(self.before, self.commit, self.after)

    @property
    def source(self) -> ImportRequest:
        """The request."""
        assert isinstance(self.request, ImportRequest)
        return self.request

    async def before(self) -> None:
        """Read the file, make the project, read it back."""
        await self.check()
        with self.step(Step.READ_FILE):
            order = FileOrder(project=self.project, request=self.source)
            self.snapshot = await self.whole(await self.read("read_labels_file", order, Exported))
            if not self.snapshot.documents:
                raise LabelbridgeError(
                    "input_invalid", "The labels file names no document that could be used."
                )
            self.note(Step.READ_FILE, f"{self.snapshot.labels} labels in {self.snapshot.documents} documents")
        # From here the record tells what a termination, or Temporal's loss, would leave behind.
        await self.intend(source=Studio.LANGUAGE, target=Studio.LANGUAGE, epoch=self.status.epoch)
        with self.step(Step.CREATE_PROJECT):
            await self.create_project()

    async def create_project(self) -> None:
        """Import the new project's file and compare what Language then holds."""
        order = NewProjectOrder(project=self.project, request=self.source, snapshot=self.snapshot)
        file: ImportFile = await self.read("prepare_project", order, ImportFile)
        self.on_undo("the new project is deleted", self.delete_project)
        ticket: JobTicket = await self.effect("start_import", file, JobTicket)
        await self.read("await_import", ticket, None)
        verify = VerifyOrder(
            project=self.project,
            kind=self.source.project_kind,
            epoch=0,
            digest=self.snapshot.digest,
            locked=False,
        )
        await self.read("verify_language", verify, SnapshotRef)

    async def delete_project(self) -> None:
        """Undo: the project did not exist before."""
        await workflow.sleep(self.timing.effect_timeout)
        await self.insist("delete_project", self.project, None, reads=True)

    async def commit(self) -> None:
        """The record is at rest: the project is there and holds the labels."""
        with self.step(Step.COMMIT):
            await self.insist_writing({"transition": None, "kind": self.source.project_kind})

    async def after(self) -> OperationResult:
        """The caller gets the snapshot."""
        return self.result(snapshot=self.snapshot)
