"""The client: start an operation, wait for it, ask how things stand.

Prevents three failures: a request that is lost or run twice because a time-out is ambiguous (every
request carries an id and is repeated with it), a request that is lost because no worker is up (it
is left with the server as a durable signal), and a waiter that holds one of the few places for
Updates (waiters await the operation's own result). Imports no worker and no Azure management client.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Self
from uuid import uuid4

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from labelbridge import _connecting, _submit, converter, names
from labelbridge._handle import OperationHandle, failure
from labelbridge._identity import own_identity
from labelbridge._sharing import Sharing
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.client import FleetDesk
from labelbridge.model import (
    Accepted,
    Actor,
    AuditEntry,
    BlobRef,
    ConnectRequest,
    DisconnectRequest,
    Drift,
    DriftPolicy,
    ImportRequest,
    JobRef,
    MergePolicy,
    OperationResult,
    Preflight,
    PreflightLook,
    ProjectRef,
    ProjectStatus,
    ReconcileRequest,
    Request,
    RunningOperation,
    SnapshotRef,
    SplitPolicy,
    Studio,
    Submission,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.settings import Settings
from labelbridge.telemetry import spans

Timeout = timedelta | float | None
ACCEPT_TIMEOUT = 60.0
"""Seconds in which a worker that is up accepts a request even when the machine is very busy."""


class Labelbridge:
    """One connection to Labelbridge. Make it with `async with Labelbridge.connect() as bridge`."""

    def __init__(self, client: Client, settings: Settings, *, actor: Actor | None = None) -> None:
        """Use `connect`, or bring a Temporal client with `converter.data_converter(settings)`."""
        self.client = client
        self.settings = settings
        self._actor = actor
        self._syncs: Sharing[Accepted] = Sharing()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: Settings | None = None, *, actor: Actor | None = None
    ) -> AsyncIterator[Self]:
        """Connect to Temporal.

        Args:
            settings: where everything is; read from environment and files if None.
            actor: who asks; the identity of this process's Azure credential if None.

        Raises:
            LabelbridgeError: as `connect_temporal`.
        """
        settings = settings or Settings.load()
        async with converter.closing(await connect_temporal(settings)) as client:
            yield cls(client, settings, actor=actor)

    @property
    def fleet(self) -> FleetDesk:
        """Acts on many projects at once."""
        return FleetDesk(self)

    def project(self, project: str | ProjectRef) -> ProjectRef:
        """A project by name in the Language resource of the settings, or by full reference."""
        if isinstance(project, ProjectRef):
            return project
        if self.settings.language_resource is None:
            raise LabelbridgeError(
                "settings_invalid", "language_resource: needed to find a project by its name"
            )
        return _submit.reference(self.settings.language_resource, project)

    async def actor(self) -> Actor:
        """Who asks: their roles are what the preflight checks."""
        if self._actor is None:
            given = self.settings.actor_object_id
            self._actor = Actor(object_id=given) if given else await own_identity(self.settings)
        return self._actor

    # Operations: each as a call that waits, all of them through `start`.

    async def start(
        self,
        project: str | ProjectRef,
        request: Request,
        *,
        key: str | None = None,
        wait_for_roles: timedelta = timedelta(0),
        accept_timeout: Timeout = ACCEPT_TIMEOUT,
    ) -> OperationHandle:
        """Submit a request; returns once the project's entity has accepted it.

        Args:
            project: name or reference.
            request: what to do.
            key: idempotency key: the same key never starts a second operation (the project
                remembers the last 500); random if None, and callers of one process who ask for the
                same sync at the same time then share one.
            wait_for_roles: how long the preflight may wait for a role assignment.
            accept_timeout: how long to wait for the answer. When it ends, the request stays with
                the server and runs once a worker is up; `no_worker` says so, and the same key
                asks for the answer again.

        Raises:
            LabelbridgeError: the refusal, `no_worker` or `temporal_unreachable`.
        """
        ref, patience = self.project(project), _seconds(accept_timeout)
        with spans.span(f"labelbridge {request.kind}", {"labelbridge.project": ref.key}) as span:
            accepted = await self._ask(ref, request, key, wait_for_roles, patience)
            spans.note(span, "labelbridge.operation", accepted.operation_id)
        return OperationHandle(self.client, ref, accepted)

    async def _ask(
        self, ref: ProjectRef, request: Request, key: str | None, roles: timedelta, patience: float | None
    ) -> Accepted:
        actor, is_sync = await self.actor(), isinstance(request, SyncRequest)

        async def ask() -> Accepted:
            # Read first: what begins after this moment is fresh enough for this caller.
            begun = await _submit.syncs_begun(self.client, ref) if is_sync else None
            submission = _submit.noun(
                Submission,
                request_id=key or uuid4().hex,
                actor=actor,
                submitted_at=datetime.now(UTC),
                wait_for_roles=roles,
                syncs_begun=begun,
                trace=spans.traceparent(),
                request=request,
            )
            queue = self.settings.temporal.task_queue
            return await _submit.submit(self.client, queue, ref, submission, patience)

        if is_sync and key is None:
            return await self._syncs.ask((ref.key, request.model_dump_json(), roles, patience), ask)
        return await ask()

    async def _run(
        self, project: str | ProjectRef, request: Request, key: str | None, timeout: Timeout
    ) -> OperationResult:
        """Start and wait; a caller who has longer than usual may wait that long for the acceptance, too."""
        patience = max(ACCEPT_TIMEOUT, _seconds(timeout) or 0.0)
        handle = await self.start(project, request, key=key, accept_timeout=patience)
        return await handle.result(timeout)

    async def switch(
        self,
        project: str | ProjectRef,
        *,
        to: Studio | str,
        policy: MergePolicy = "active",
        split: SplitPolicy | None = None,
        test_percent: int = 20,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """Move labeling to the other studio, with its labels; returns when that is done.

        `policy`, `split` and `test_percent` concern the way back to Language: see `SwitchRequest`.
        """
        request = _submit.noun(SwitchRequest, to=to, policy=policy, split=split, test_percent=test_percent)
        return await self._run(project, request, key, timeout)

    async def sync(
        self,
        project: str | ProjectRef,
        *,
        merge: bool = False,
        policy: MergePolicy = "active",
        split: SplitPolicy | None = None,
        test_percent: int = 20,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> SnapshotRef:
        """The active studio's labels as they are after this call; Language has them when it returns.

        `merge` gives Language the merge of both studios' labels instead; see `SyncRequest`.
        """
        request = _submit.noun(
            SyncRequest, merge=merge, policy=policy, split=split, test_percent=test_percent
        )
        result = await self._run(project, request, key, timeout)
        if result.snapshot is None:
            raise LabelbridgeError("read_back_differs", "The sync named no snapshot.")
        return result.snapshot

    async def train(
        self,
        project: str | ProjectRef,
        *,
        model: str,
        labels: str = "latest",
        deployment: str | None = None,
        train_percent: int = 80,
        split: SplitPolicy | None = None,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """Train `model` on `latest` labels, `as-is`, or a snapshot id; `result.model` names what was used."""
        request = _submit.noun(
            TrainRequest,
            model=model,
            labels=labels,
            deployment=deployment,
            train_percent=train_percent,
            split=split,
        )
        return await self._run(project, request, key, timeout)

    async def connect_project(
        self,
        project: str | ProjectRef,
        *,
        job: str | JobRef,
        datastore: str | None = None,
        instructions: str | None = None,
        vendor: str | None = None,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """Connect a project to a new labeling job, for ever."""
        request = _submit.noun(
            ConnectRequest, job=self.job(job), datastore=datastore, instructions=instructions, vendor=vendor
        )
        return await self._run(project, request, key, timeout)

    async def disconnect(
        self,
        project: str | ProjectRef,
        *,
        labels: Literal["sync", "discard"] | None = None,
        policy: MergePolicy = "active",
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """End the connection, for ever. With Azure ML active say what becomes of its labels."""
        request = _submit.noun(DisconnectRequest, labels=labels, policy=policy)
        return await self._run(project, request, key, timeout)

    async def reconcile(
        self,
        project: str | ProjectRef,
        *,
        policy: DriftPolicy | None = None,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """Hold a project against its record; `result.drift` says what differed and what became of it.

        `close` puts right all that can be, `report` changes nothing, None leaves it to the worker's settings.
        """
        request = _submit.noun(ReconcileRequest, policy=policy)
        return await self._run(project, request, key, timeout)

    async def import_labels(
        self,
        project: str | ProjectRef,
        request: ImportRequest,
        *,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """Make a new project from an Azure ML JSONL file."""
        return await self._run(project, request, key, timeout)

    def job(self, job: str | JobRef) -> JobRef:
        """A labeling job by name in the workspace of the settings, or by full reference."""
        if isinstance(job, JobRef):
            return job
        if self.settings.workspace is None:
            raise LabelbridgeError("settings_invalid", "workspace: needed to find a labeling job by its name")
        return _submit.job_reference(self.settings.workspace, job)

    # Questions.

    async def status(self, project: str | ProjectRef) -> ProjectStatus:
        """How the project stands: from its entity, else (none, or no worker) from the record."""
        ref = self.project(project)
        seen = await _submit.status(self.client, ref)
        # A project that is being imported is not known to Language yet; only its entity knows of it.
        if seen is not None and (seen.known or seen.running or seen.queued):
            return seen
        from labelbridge import _offline

        return await _offline.status(self.settings, ref)

    async def statuses(self) -> list[ProjectStatus]:
        """All projects that have a record, as their records say."""
        from labelbridge import _offline

        return await _offline.statuses(self.settings)

    async def drift(
        self, project: str | ProjectRef, *, policy: DriftPolicy | None = None
    ) -> tuple[Drift, ...]:
        """How a project differs from its record now, read by this process; changes nothing."""
        from labelbridge import _offline

        return await _offline.drift(self.settings, self.project(project), policy)

    async def history(self, project: str | ProjectRef) -> list[AuditEntry]:
        """The project's audit trail, oldest first."""
        from labelbridge import _offline

        return await _offline.history(self.settings, self.project(project))

    async def preflight(self, project: str | ProjectRef, request: Request) -> Preflight:
        """All findings for a request, from the worker's side; changes nothing."""
        ref = self.project(project)
        look = PreflightLook(project=ref, actor=await self.actor(), request=request)
        try:
            seen: Preflight = await self.client.execute_workflow(
                names.PREFLIGHT_WORKFLOW,
                look,
                id=f"{ref.workflow_id}/preflight-{uuid4().hex[:8]}",
                task_queue=self.settings.temporal.task_queue,
                result_type=Preflight,
                execution_timeout=timedelta(minutes=5),
            )
        except (WorkflowFailureError, RPCError) as error:
            raise failure(error) from error
        return seen

    async def cancel(self, project: str | ProjectRef) -> RunningOperation | None:
        """Ask the running operation to stop: undone before its commit, completed after it."""
        running = (await self.status(project)).running
        if running is not None:
            await self.client.get_workflow_handle(running.workflow_id).cancel()
        return running

    def operation(self, project: str | ProjectRef, operation_id: str) -> OperationHandle:
        """A handle to an operation whose id is known, from this or another process."""
        return OperationHandle.of(self.client, self.project(project), operation_id)

    async def upload(self, path: Path) -> BlobRef:
        """Hand a labels file in, for an import."""
        from labelbridge import _offline

        with await asyncio.to_thread(path.open, "rb") as file:
            return await _offline.upload(self.settings, file)


async def connect_temporal(settings: Settings) -> Client:
    """A Temporal client with the data converter that all of Labelbridge shares.

    Connection profiles of Temporal itself (`TEMPORAL_PROFILE`, `TEMPORAL_*`, its TOML file) give
    TLS, API keys, address and namespace; Labelbridge's own settings win where they were given.

    Raises:
        LabelbridgeError: `settings_invalid`, `temporal_unreachable`, `encryption_keys_unavailable`.
    """
    return await _connecting.connect(settings)


def _seconds(timeout: Timeout) -> float | None:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


__all__ = ["Labelbridge", "OperationHandle", "connect_temporal"]
