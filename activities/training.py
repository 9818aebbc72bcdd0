"""Training in Language: start, wait, read back.

Starting twice is prevented by looking first: a training job for the same model label that is
under way, or a model of that label, is this operation's own earlier attempt, because the preflight
refused labels that existed before.
"""

import asyncio
from datetime import UTC, datetime

from temporalio import activity

from activities.exports import finished
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.model.steps import (
    DeployOrder,
    JobTicket,
    TrainingOutcome,
    TrainingProgress,
    TrainingsToCancel,
    TrainOrder,
)
from labelbridge.settings import Settings


class Training:
    """Steps on models."""

    def __init__(self, session: AzureSession, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._poll = settings.timing.poll.total_seconds()

    @activity.defn(name="start_training")
    async def start_training(self, order: TrainOrder) -> JobTicket:
        """Start a training job. May run twice: a job of this model label is found and taken over."""
        language = self._session.language(order.project.language_resource)
        if activity.info().attempt > 1:
            for job in await language.training_jobs(order.project.name):
                recent = job.created is not None and job.created >= order.not_before
                ours = recent and job.model_label == order.model
                if ours and job.status in ("notStarted", "running", "succeeded"):
                    return JobTicket(project=order.project, kind="train", job_id=job.id)
        job_id = await language.start_training(
            order.project.name,
            model=order.model,
            config_version=order.training_config_version,
            train_percent=order.train_percent,
            manual=order.manual,
        )
        return JobTicket(project=order.project, kind="train", job_id=job_id)

    @activity.defn(name="watch_training")
    async def watch_training(self, ticket: JobTicket) -> TrainingProgress:
        """How far a training job is. May run twice: it only reads."""
        language = self._session.language(ticket.project.language_resource)
        job = await language.job(ticket.project.name, "train", ticket.job_id)
        done = finished(job, "The training")
        note = f"training {job.percent or 0} %, evaluation {job.evaluation_percent or 0} %"
        return TrainingProgress(done=done, note=note)

    @activity.defn(name="cancel_training")
    async def cancel_training(self, ticket: JobTicket) -> None:
        """Cancel a training job that still runs. May run twice: a job that ended is left alone."""
        language = self._session.language(ticket.project.language_resource)
        job = await language.job(ticket.project.name, "train", ticket.job_id)
        if job.status in ("notStarted", "running"):
            await language.cancel_training(ticket.project.name, ticket.job_id)

    @activity.defn(name="cancel_trainings")
    async def cancel_trainings(self, order: TrainingsToCancel) -> int:
        """Cancel what a terminated training left running; returns how many jobs that were.

        May run twice: a job that is being cancelled or has ended is left alone.
        """
        language = self._session.language(order.project.language_resource)
        if await language.project(order.project.name) is None:
            return 0
        running = [
            job
            for job in await language.training_jobs(order.project.name)
            if job.model_label == order.model
            and job.created >= order.since
            and job.status in ("notStarted", "running")
        ]
        for job in running:
            await language.cancel_training(order.project.name, job.id)
        return len(running)

    @activity.defn(name="training_outcome")
    async def training_outcome(self, order: TrainOrder) -> TrainingOutcome:
        """The service's evaluation of a model. May run twice: it only reads."""
        language = self._session.language(order.project.language_resource)
        model = await language.model(order.project.name, order.model)
        if model is None:
            raise LabelbridgeError("not_yet", f"Model {order.model} is not visible yet.")
        return TrainingOutcome(
            trained_at=model.last_trained or datetime.now(UTC),
            training_config_version=model.training_config_version or order.training_config_version,
            evaluation=await language.evaluation(order.project.name, order.model),
        )

    @activity.defn(name="deploy_model")
    async def deploy_model(self, order: DeployOrder) -> None:
        """Deploy a model and wait until it serves. May run twice: PUT by name, absolute state."""
        language = self._session.language(order.project.language_resource)
        job_id = await language.deploy(order.project.name, order.deployment, order.model)
        while not finished(
            await language.deployment_job(order.project.name, order.deployment, job_id), "The deployment"
        ):
            await asyncio.sleep(self._poll)
        seen = await language.deployment(order.project.name, order.deployment)
        if seen is None:
            raise LabelbridgeError("not_yet", f"Deployment {order.deployment} is not visible yet.")
