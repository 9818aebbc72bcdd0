"""What a project's pages show: the state in words, the running operation, what may be done now.

Prevents two answers to one question: the first page and each live update are made from the same
`ProjectView`, the buttons from the same table of legal transitions that refuses the request, and the
state from the project's entity, else from the record and Language themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

from temporalio.client import Client
from temporalio.service import RPCError

from labelbridge import _submit, names
from labelbridge._handle import OperationHandle
from labelbridge.console.auth.people import Role
from labelbridge.console.chart import in_force
from labelbridge.console.progress import LabelProgress, progress_of
from labelbridge.console.reading import Cache, Reading
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.manifest import Manifest
from labelbridge.lifecycle import State, judge, state_of
from labelbridge.model import (
    AuditEntry,
    ConnectRequest,
    DisconnectRequest,
    ErrorInfo,
    JobRef,
    Model,
    OperationKind,
    ProjectRef,
    ProjectStatus,
    ProjectSummary,
    ReconcileRequest,
    Request,
    RunningOperation,
    StepProgress,
    StepState,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.plans import Step
from labelbridge.settings import Settings

T = TypeVar("T")

_LAST_AGE = timedelta(seconds=4)
_NEWEST_AGE = timedelta(seconds=10)
_NEWEST = 10
"""Snapshots among which the last one in force is looked for: a switch takes three."""
_LOOK_TIMEOUT = timedelta(seconds=5)


class OperationView(Model):
    """A running operation with its timeline."""

    operation_id: str
    kind: OperationKind
    actor: str
    started_at: datetime
    steps: tuple[StepProgress, ...] = ()
    """Steps that were taken, then those that are still to come. Empty until a worker has begun it."""
    attention: ErrorInfo | None = None
    temporal: str | None = None
    """Address of its workflow in Temporal's UI."""

    @property
    def labeling_disabled(self) -> bool:
        """True from when it began to stop labeling until a studio is open again."""
        states = {step.name: step.state for step in self.steps}
        opened = StepState.DONE in (states.get(Step.OPEN), states.get(Step.UNDO))
        return states.get(Step.GATE) in (StepState.RUNNING, StepState.DONE) and not opened

    @property
    def said(self) -> str:
        """Where it stands in one sentence, for people who do not see the table."""
        running = [(i, s) for i, s in enumerate(self.steps, 1) if s.state is StepState.RUNNING]
        if not running:
            return f"{self.kind.value.capitalize()}: " + (
                "between two steps." if self.steps else "about to begin."
            )
        number, step = running[-1]
        note = f" ({step.note})" if step.note else ""
        return f"{self.kind.value.capitalize()}: step {number} of {len(self.steps)}, {step.name}{note}."


class ProjectView(Model):
    """One project at one moment."""

    key: str
    status: ProjectStatus
    state: State
    operation: OperationView | None = None
    last: AuditEntry | None = None
    """The operation that ended last."""
    progress: LabelProgress | None = None
    temporal: str | None = None
    """Address of the project's entity in Temporal's UI."""
    problems: tuple[ErrorInfo, ...] = ()
    """What could not be read."""

    @property
    def sentence(self) -> str:
        """Who labels where, in one line."""
        status = self.status
        if self.operation and self.operation.labeling_disabled:
            return f"Nobody can label right now: the {self.operation.kind.value} has stopped labeling for a while."
        match self.state:
            case State.UNKNOWN:
                return "Language has no project of this name."
            case State.UNCONNECTED:
                return "People label in Language Studio. The project is not connected to Azure ML."
            case State.LANGUAGE:
                job = status.job.name if status.job else ""
                return f"People label in Language Studio. The labeling job {job} in Azure ML is paused."
            case State.AZUREML:
                job = status.job.name if status.job else ""
                return f"People label in Azure ML, in the labeling job {job}. Language Studio is locked."


class Act(Model):
    """Something that can be asked of a project, and whether it is legal now."""

    name: str
    title: str
    role: Role
    refusal: ErrorInfo | None = None


class ProjectViews:
    """Makes `ProjectView`s; one per application."""

    def __init__(self, client: Callable[[], Awaitable[Client]], settings: Settings, reading: Reading) -> None:
        """`client` connects, or raises `temporal_unreachable`; `reading` is shared."""
        self._client = client
        self._settings = settings
        self._reading = reading
        self._last: Cache[ProjectRef, AuditEntry | None] = Cache(self._read_last, _LAST_AGE)
        self._newest: Cache[ProjectRef, Manifest | None] = Cache(self._read_newest, _NEWEST_AGE)

    async def look(self, ref: ProjectRef, before: ProjectView | None = None) -> ProjectView:
        """The project now. What cannot be read is named in `problems`; nothing is raised for it.

        Args:
            ref: the project.
            before: what was seen last: tells when an operation has ended.
        """
        problems: list[ErrorInfo] = []
        client = await self._connected(problems)
        answer = await _submit.status(client, ref) if client else None
        status = await self._status(client, ref, answer, problems)
        running = status.running
        was = before.operation.operation_id if before and before.operation else None
        if was is not None and (running is None or running.operation_id != was):
            self._last.forget(ref)
            self._newest.forget(ref)
        operation, last, progress = await asyncio.gather(
            # Without a worker the entity did not answer either: no need to wait for that twice.
            self._operation(client if answer else None, ref, running),
            _tolerant(self._last_entry(ref), problems),
            _tolerant(self._progress(status), problems),
        )
        return ProjectView(
            key=ref.key,
            status=status,
            state=state_of(status),
            operation=operation,
            last=last,
            progress=progress,
            temporal=self.temporal_link(ref.workflow_id),
            problems=_once(problems),
        )

    def temporal_link(self, workflow_id: str) -> str | None:
        """Address of a workflow in Temporal's UI, if the settings say where that is."""
        temporal = self._settings.temporal
        if not temporal.ui:
            return None
        space, workflow = quote(temporal.namespace, safe=""), quote(workflow_id, safe="")
        return f"{temporal.ui.rstrip('/')}/namespaces/{space}/workflows/{workflow}"

    async def operation(self, ref: ProjectRef, operation_id: str) -> OperationView | None:
        """The timeline of an operation, running or ended, while Temporal still has it."""
        client = await self._client()
        seen = await OperationHandle.of(client, ref, operation_id).progress()
        if seen is None:
            return None
        started = [step.started_at for step in seen.steps if step.started_at]
        if not started:
            return None
        return OperationView(
            operation_id=operation_id,
            kind=seen.kind,
            actor=seen.actor.name or seen.actor.object_id,
            started_at=min(started),
            steps=seen.steps,
            attention=seen.attention,
            temporal=self.temporal_link(f"{ref.workflow_id}/{operation_id}"),
        )

    async def _connected(self, problems: list[ErrorInfo]) -> Client | None:
        try:
            return await self._client()
        except LabelbridgeError as error:
            problems.append(error.info)
            return None

    async def _status(
        self,
        client: Client | None,
        ref: ProjectRef,
        seen: ProjectStatus | None,
        problems: list[ErrorInfo],
    ) -> ProjectStatus:
        """What the entity said; else what the record and Language say, with what the entity last published."""
        if seen is not None and seen.known:
            return seen
        summary = await self._published(client, ref, problems) if client and seen is None else None
        try:
            record, found = await asyncio.gather(
                self._reading.record(ref), self._reading.language_project(ref)
            )
        except LabelbridgeError as error:
            problems.append(error.info)
            return _from_summary(ref, summary)
        status = ProjectStatus.of(ref, record, known=found is not None)
        status = status.model_copy(update={"kind": status.kind or (found.kind if found else None)})
        if summary is not None:
            status = status.model_copy(update={"running": summary.running, "attention": summary.attention})
        return status

    async def _published(
        self, client: Client, ref: ProjectRef, problems: list[ErrorInfo]
    ) -> ProjectSummary | None:
        """The entity's memo, which needs no worker; its presence means that a worker is missing."""
        try:
            entity = await client.get_workflow_handle(ref.workflow_id).describe(rpc_timeout=_LOOK_TIMEOUT)
        except RPCError:
            return None
        if entity.close_time is not None:
            return None
        message = "The project's entity does not answer; what is shown is what it said last."
        problems.append(LabelbridgeError("no_worker", message).info)
        found: ProjectSummary | None = await entity.memo_value(names.SUMMARY, None, type_hint=ProjectSummary)
        return found

    async def _operation(
        self, client: Client | None, ref: ProjectRef, running: RunningOperation | None
    ) -> OperationView | None:
        if running is None:
            return None
        seen = await OperationHandle.of(client, ref, running.operation_id).progress() if client else None
        return OperationView(
            operation_id=running.operation_id,
            kind=running.kind,
            actor=running.actor.name or running.actor.object_id,
            started_at=running.started_at,
            steps=seen.steps if seen else (),
            attention=seen.attention if seen else None,
            temporal=self.temporal_link(running.workflow_id),
        )

    async def _last_entry(self, ref: ProjectRef) -> AuditEntry | None:
        return (await self._last.get(ref)).value

    async def _read_last(self, ref: ProjectRef) -> AuditEntry | None:
        found = await self._reading.history(ref, limit=1)
        return found[0] if found else None

    async def _progress(self, status: ProjectStatus) -> LabelProgress | None:
        jobs = await self._reading.jobs.get(status.job.workspace) if status.job else None
        newest = (await self._newest.get(status.project)).value
        return progress_of(ProjectSummary.of(status), jobs, newest)

    async def _read_newest(self, ref: ProjectRef) -> Manifest | None:
        manifests = await self._reading.manifests(ref, _NEWEST)
        return next(filter(in_force, manifests), None)


async def _tolerant(work: Awaitable[T], problems: list[ErrorInfo]) -> T | None:
    """What `work` gives, or None with its error noted."""
    try:
        return await work
    except LabelbridgeError as error:
        problems.append(error.info)
        return None


def typical(name: str, status: ProjectStatus) -> Request:
    """A request of this act that stands for all: its own choices do not change whether it is legal now."""
    match name:
        case "connect":
            return _CONNECT
        case "switch":
            return SwitchRequest(to=status.active.other)
        case "sync":
            return SyncRequest()
        case "train":
            return TrainRequest(model="model")
        case "disconnect":
            return DisconnectRequest(labels="sync" if status.active is Studio.AZUREML else None)
        case _:
            return ReconcileRequest()


def refusal_of(name: str, status: ProjectStatus) -> LabelbridgeError | None:
    """Why this act would be refused now, whatever it says otherwise."""
    try:
        judge(status, typical(name, status))
    except LabelbridgeError as error:
        return error
    return None


def acts_of(status: ProjectStatus) -> tuple[Act, ...]:
    """What can be asked of a project, in the order of its life, each with why it would be refused now."""
    target = status.active.other
    offers = {
        "connect": ("Connect to Azure Machine Learning", Role.OWNER, not status.connected),
        "switch": (f"Switch to {target.display_name}", Role.OPERATOR, status.connected),
        "sync": ("Sync labels", Role.OPERATOR, status.connected),
        "train": ("Start a training job", Role.OPERATOR, True),
        "disconnect": ("Disconnect from Azure Machine Learning", Role.OWNER, status.connected),
        "reconcile": ("Compare with the record", Role.OPERATOR, status.connected),
    }
    return tuple(
        Act(name=name, title=title, role=role, refusal=_info(refusal_of(name, status)))
        for name, (title, role, offered) in offers.items()
        if offered
    )


def _info(error: LabelbridgeError | None) -> ErrorInfo | None:
    return error.info if error else None


_CONNECT = ConnectRequest(
    job=JobRef(workspace="/subscriptions/-/resourceGroups/-/providers/-/workspaces/-", name="any-name")
)
"""A connect to any job; a name that is retired or claimed is refused on its own."""


def _from_summary(ref: ProjectRef, summary: ProjectSummary | None) -> ProjectStatus:
    """The status as far as the entity published it; `known`, since nothing says that it is not."""
    if summary is None:
        return ProjectStatus(project=ref, known=True)
    return ProjectStatus(
        project=ref,
        known=summary.known,
        kind=summary.kind,
        connected=summary.connected,
        job=summary.job,
        active=summary.active,
        since=summary.since,
        epoch=summary.epoch,
        running=summary.running,
        interrupted=summary.interrupted,
        attention=summary.attention,
        last_sync=summary.last_sync,
        models=(summary.last_model,) if summary.last_model else (),
    )


def _once(problems: list[ErrorInfo]) -> tuple[ErrorInfo, ...]:
    """Each problem once: several reads fail for one reason."""
    return tuple({(one.code, one.message): one for one in problems}.values())
