"""Keeps what belongs to one workflow task together, whoever asks in between.

Prevents a history that cannot be replayed. A worker that is asked (by a query) about a workflow that it does not
have in memory gets the whole history, with events that no workflow task has taken up yet. Temporal's core hands
these to the workflow at once, and its commands go out with the next task, before the answers to the Updates that
come with that task; a replay gets both together, Updates first, and ends in a nondeterminism error for good
(temporalio 1.35; found by the fault campaign). So a workflow that has seen such events answers the query and is
forgotten: its next task begins from the history. See `docs/decisions`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import Worker, WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WholeTaskRunner(SandboxedWorkflowRunner):
    """Temporal's sandbox, out of whose cache goes what has seen events before their workflow task."""

    _workers: list[Worker] = field(default_factory=list, init=False, repr=False, compare=False)

    def serve(self, worker: Worker) -> None:
        """Tell it whose cache its workflows are in; a replayer has none."""
        self._workers.append(worker)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """One workflow of the cache."""
        return WholeTasks(super().create_instance(det), self._forget)

    def _forget(self, run_id: str) -> None:
        for worker in self._workers:
            if worker._bridge_worker is not None:  # the SDK has no public way to say it
                worker._bridge_worker.request_workflow_eviction(run_id)


@dataclass(frozen=True)
class _Task:
    """How far the started workflow tasks have come; the same for all that belongs to one of them."""

    started_ns: int
    history_bytes: int
    """As the server wrote it when the task started; 0 from a server that does not."""
    history_length: int

    @classmethod
    def of(cls, act: WorkflowActivation) -> "_Task":
        return cls(act.timestamp.ToNanoseconds(), act.history_size_bytes, act.history_length)

    def is_followed_by_no_task(self, now: "_Task") -> bool:
        """True if there are more events, and no further task has started."""
        same = (now.started_ns, now.history_bytes) == (self.started_ns, self.history_bytes)
        return same and now.history_bytes > 0 and now.history_length > self.history_length


class WholeTasks(WorkflowInstance):
    """A workflow in memory; it takes no task after it has seen events before their task."""

    def __init__(self, instance: WorkflowInstance, forget: Callable[[str], None]) -> None:
        self._instance = instance
        self._forget = forget
        self._last: _Task | None = None
        self._ahead = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """As ever; what would be a task's after such events fails it, and the server gives it out again."""
        if any(job.HasField("query_workflow") or job.HasField("remove_from_cache") for job in act.jobs):
            return self._instance.activate(act)
        task = _Task.of(act)
        if act.is_replaying:  # core compares what the workflow did with what is in the history
            self._ahead = False
        elif self._last is not None and self._last.is_followed_by_no_task(task):
            self._ahead = True
            log.debug("seen before its workflow task, forgotten: %s", self.get_info().workflow_id)
            self._forget(act.run_id)
            return self._instance.activate(act)
        elif self._ahead:
            return _failed(act.run_id)
        self._last = task
        return self._instance.activate(act)

    # The rest is the instance's own.

    def get_info(self) -> Info:
        """Implements `WorkflowInstance.get_info`."""
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        """Implements `WorkflowInstance.get_thread_id`."""
        return self._instance.get_thread_id()

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        """Implements `WorkflowInstance.get_serialization_context`."""
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        """Implements `WorkflowInstance.get_external_store_context`."""
        return self._instance.get_external_store_context(command_info)


def _failed(run_id: str) -> WorkflowActivationCompletion:
    done = WorkflowActivationCompletion(run_id=run_id)
    done.failed.failure.message = (
        "The workflow has seen events before their task; it begins from its history."
    )
    return done
