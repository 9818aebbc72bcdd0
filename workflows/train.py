"""Train: a model is trained on labels that are named, and that is read back.

Promises: the record says for each model which snapshot it used, and that is what the service itself
says the model was trained on; labels of the gated studio are not used.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ErrorInfo,
    ModelRecord,
    OperationResult,
    Record,
    SnapshotRef,
    StoredRecord,
    Studio,
    TrainRequest,
)
from labelbridge.model.steps import (
    DeployOrder,
    Exported,
    JobTicket,
    OperationOrder,
    RecordWrite,
    SnapshotLookup,
    TrainingOutcome,
    TrainingProgress,
    TrainOrder,
)
from labelbridge.plans import Step
from workflows._errors import as_failure, as_info
from workflows._moves import Moves


@workflow.defn(name=names.OPERATION_WORKFLOWS["train"])
class TrainWorkflow(Moves):
    """One training."""

    snapshot: SnapshotRef
    model: ModelRecord
    deployment_error: ErrorInfo | None = None

    @workflow.run
    async def run(self, order: OperationOrder) -> OperationResult:
        """Train; fails with a typed error if it was refused or undone, or if only the deployment failed."""
        result = await self.transact(self.before, self.commit, self.after)
        if self.deployment_error:
            raise as_failure(self.deployment_error)
        return result

    @property
    def train(self) -> TrainRequest:
        """The request."""
        assert isinstance(self.request, TrainRequest)
        return self.request

    @property
    def azureml_active(self) -> bool:
        """True if Language is gated, so that its labels may be replaced."""
        return self.status.connected and self.status.active is Studio.AZUREML

    async def before(self) -> None:
        """Choose the labels, train on them, read back what was used."""
        await self.check()
        await self.choose_labels()
        with self.step(Step.TRAIN):
            await self.train_and_wait()
        with self.step(Step.VERIFY):
            await self.verify()

    async def choose_labels(self) -> None:
        """`latest`: the active studio's; `as-is`: what Language holds; else the snapshot that was named."""
        if self.train.labels in ("latest", "as-is"):
            await self.export_labels()
            return
        with self.step(Step.RESTORE):
            lookup = SnapshotLookup(project=self.project, id=self.train.labels)
            self.snapshot = await self.read("find_snapshot", lookup, SnapshotRef)
            language = await self.export(Studio.LANGUAGE)
            if language.digest == self.snapshot.digest:
                return
            if not self.azureml_active:
                raise LabelbridgeError("snapshot_needs_gated_language")
            await self.deliver_to_language(self.snapshot, language, phase=False)

    async def export_labels(self) -> None:
        """Export what is to be trained on; with Azure ML active and `latest`, give it to Language."""
        carries = self.azureml_active and self.train.labels == "latest"
        with self.step(Step.EXPORT):
            self.snapshot = await self.export(Studio.AZUREML if carries else Studio.LANGUAGE)
        if carries:
            with self.step(Step.DELIVER):
                language = await self.export(Studio.LANGUAGE)
                await self.deliver_to_language(self.snapshot, language, phase=False)

    async def train_and_wait(self) -> None:
        """Start the training job and poll it; a cancelled operation cancels the job."""
        ticket: JobTicket = await self.effect("start_training", self.training_order, JobTicket)

        async def cancel_job() -> None:
            await self.insist("cancel_training", ticket, None)

        self.on_undo("the training job is cancelled", cancel_job)
        while True:
            seen: TrainingProgress = await self.read("watch_training", ticket, TrainingProgress)
            self.note(Step.TRAIN, seen.note)
            if seen.done:
                return
            await workflow.sleep(self.timing.poll)

    @property
    def training_order(self) -> TrainOrder:
        """What the service is asked for."""
        return TrainOrder(
            project=self.project,
            model=self.train.model,
            training_config_version=self.train.training_config_version,
            train_percent=self.train.train_percent,
            manual=self.train.split == "keep",
            not_before=self.started_at,
        )

    async def verify(self) -> None:
        """Export the project as the model saw it: the gated Language must not have changed under it."""
        order = self.export_order(Studio.LANGUAGE).model_copy(update={"trained_model": self.train.model})
        used = await self.whole(await self.read("export_labels", order, Exported))
        outcome: TrainingOutcome = await self.read("training_outcome", self.training_order, TrainingOutcome)
        if self.azureml_active or self.train.labels not in ("latest", "as-is"):
            if used.digest != self.snapshot.digest:
                raise LabelbridgeError(
                    "read_back_differs", "The model was trained on other labels than it was given."
                )
        elif used.digest != self.snapshot.digest:
            self.snapshot = used
            self.notes.append(
                "People labelled while training began: the model's own snapshot is the one recorded."
            )
        self.model = ModelRecord(
            label=self.train.model,
            snapshot=self.snapshot.id,
            labels=self.train.labels,
            trained_at=outcome.trained_at,
            training_config_version=outcome.training_config_version,
            evaluation=outcome.evaluation,
        )

    async def commit(self) -> None:
        """The record names the model and its snapshot."""
        with self.step(Step.COMMIT):
            if self.stored is None:
                await self.first_record()
                return
            await self.insist_writing({"models": self.models(self.record)})

    def models(self, record: Record) -> tuple[ModelRecord, ...]:
        """The models of the record with this one: a label trained again replaces the older model."""
        return (*(m for m in record.models if m.label != self.model.label), self.model)

    async def first_record(self) -> None:
        """A project that was never connected gets its record with its first model."""
        record = Record(
            project=self.project,
            kind=self.project_kind,
            models=(self.model,),
            updated_at=workflow.now(),
            updated_by=self.order.operation_id,
        )
        write = RecordWrite(record=record, etag=None)
        self.stored = await self.insist("write_record", write, StoredRecord, give_up_on=("record_conflict",))

    async def after(self) -> OperationResult:
        """Deploy if asked; a deployment that fails does not undo the model."""
        if self.train.deployment:
            await self.deploy(self.train.deployment)
        return self.result(snapshot=self.snapshot).model_copy(update={"model": self.model})

    async def deploy(self, deployment: str) -> None:
        """Deploy the model and record it."""
        order = DeployOrder(project=self.project, deployment=deployment, model=self.train.model)
        try:
            with self.step(Step.DEPLOY):
                await self.read("deploy_model", order, None)
        except (ActivityError, LabelbridgeError) as error:
            info = as_info(error)
            message = (
                f"Model {self.train.model} is trained and recorded; its deployment failed: {info.message}"
            )
            self.deployment_error = info.model_copy(update={"message": message})
            self.notes.append(message)
            return
        self.model = self.model.model_copy(update={"deployment": deployment})
        await self.insist_writing({"models": self.models(self.record)})
