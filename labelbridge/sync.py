"""The synchronous face of the client, for scripts: `with SyncLabelbridge.connect() as bridge`.

One event loop runs in a thread of its own for as long as the `with` block lasts.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, NoReturn, Self, TypeVar

from labelbridge._handle import OperationHandle
from labelbridge.client import Labelbridge
from labelbridge.model import (
    Actor,
    AuditEntry,
    DriftPolicy,
    JobRef,
    MergePolicy,
    OperationResult,
    Progress,
    ProjectRef,
    ProjectStatus,
    Request,
    SnapshotRef,
    SplitPolicy,
    Studio,
)
from labelbridge.settings import Settings

T = TypeVar("T")
Timeout = timedelta | float | None
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class SyncOperationHandle:
    """One operation: await its result, look at its progress, cancel it."""

    def __init__(self, handle: OperationHandle, run: Run) -> None:
        """Use `SyncLabelbridge.start`."""
        self._handle = handle
        self._run = run
        self.operation_id = handle.operation_id
        self.joined = handle.joined

    def result(self, timeout: Timeout = None) -> OperationResult:
        """See `OperationHandle.result`."""
        found: OperationResult = self._run(self._handle.result(timeout))
        return found

    def progress(self) -> Progress | None:
        """See `OperationHandle.progress`."""
        found: Progress | None = self._run(self._handle.progress())
        return found

    def cancel(self) -> None:
        """See `OperationHandle.cancel`."""
        self._run(self._handle.cancel())


class SyncLabelbridge:
    """The client, each call blocking until it is answered."""

    def __init__(self, bridge: Labelbridge, run: Run) -> None:
        """Use `connect`."""
        self._bridge = bridge
        self._run = run

    @classmethod
    @contextmanager
    def connect(cls, settings: Settings | None = None, *, actor: Actor | None = None) -> Iterator[Self]:
        """See `Labelbridge.connect`."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="labelbridge", daemon=True)
        thread.start()

        def run(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        context = Labelbridge.connect(settings, actor=actor)
        try:
            yield cls(run(context.__aenter__()), run)
        finally:
            run(context.__aexit__(None, None, None))
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def start(
        self,
        project: str | ProjectRef,
        request: Request,
        *,
        key: str | None = None,
        wait_for_roles: timedelta = timedelta(0),
        accept_timeout: Timeout = 60.0,
    ) -> SyncOperationHandle:
        """See `Labelbridge.start`."""
        work = self._bridge.start(
            project, request, key=key, wait_for_roles=wait_for_roles, accept_timeout=accept_timeout
        )
        return SyncOperationHandle(self._run(work), self._run)

    def switch(
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
        """See `Labelbridge.switch`."""
        work = self._bridge.switch(
            project, to=to, policy=policy, split=split, test_percent=test_percent, key=key, timeout=timeout
        )
        found: OperationResult = self._run(work)
        return found

    def sync(
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
        """See `Labelbridge.sync`."""
        work = self._bridge.sync(
            project,
            merge=merge,
            policy=policy,
            split=split,
            test_percent=test_percent,
            key=key,
            timeout=timeout,
        )
        found: SnapshotRef = self._run(work)
        return found

    def train(
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
        """See `Labelbridge.train`."""
        work = self._bridge.train(
            project,
            model=model,
            labels=labels,
            deployment=deployment,
            train_percent=train_percent,
            split=split,
            key=key,
            timeout=timeout,
        )
        found: OperationResult = self._run(work)
        return found

    def connect_project(
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
        """See `Labelbridge.connect_project`."""
        work = self._bridge.connect_project(
            project,
            job=job,
            datastore=datastore,
            instructions=instructions,
            vendor=vendor,
            key=key,
            timeout=timeout,
        )
        found: OperationResult = self._run(work)
        return found

    def disconnect(
        self,
        project: str | ProjectRef,
        *,
        labels: Literal["sync", "discard"] | None = None,
        policy: MergePolicy = "active",
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """See `Labelbridge.disconnect`."""
        work = self._bridge.disconnect(project, labels=labels, policy=policy, key=key, timeout=timeout)
        found: OperationResult = self._run(work)
        return found

    def reconcile(
        self,
        project: str | ProjectRef,
        *,
        policy: DriftPolicy | None = None,
        key: str | None = None,
        timeout: Timeout = None,
    ) -> OperationResult:
        """See `Labelbridge.reconcile`."""
        work = self._bridge.reconcile(project, policy=policy, key=key, timeout=timeout)
        found: OperationResult = self._run(work)
        return found

    def status(self, project: str | ProjectRef) -> ProjectStatus:
        """See `Labelbridge.status`."""
        found: ProjectStatus = self._run(self._bridge.status(project))
        return found

    def history(self, project: str | ProjectRef) -> list[AuditEntry]:
        """See `Labelbridge.history`."""
        found: list[AuditEntry] = self._run(self._bridge.history(project))
        return found


def leave(code: int = 0) -> NoReturn:
    """End this process at once, its output written: how a short script should end.

    A short process that used a Temporal client can crash or hang while Python shuts down
    (temporalio/sdk-python issue 300); this ends it before that, with the exit code that was meant.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
