"""Keeps what belongs to one workflow task together, whoever asks in between.

Prevents a history that cannot be replayed. A worker that is asked (by a query) about a workflow that it does not
have in memory gets the whole history, with events that no workflow task has taken up yet. Temporal's core hands
these to the workflow at once, and its commands go out with the next task, before the answers to the updates that
come with that task; a replay gets both together, updates first, and ends in a nondeterminism error for good
(temporalio 1.35; found by the fault campaign). So such events are held until their task has started, and the
query is answered from how the workflow stood after its last task. See `docs/decisions`.
"""

import logging
from dataclasses import dataclass
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

log = logging.getLogger(__name__)


class WholeTaskRunner(SandboxedWorkflowRunner):
    """Temporal's sandbox, in which a workflow sees events with the task that takes them up."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """One workflow of the cache."""
        return WholeTasks(super().create_instance(det))


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
    """A workflow in memory; holds back what comes before its task has started."""

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._last: _Task | None = None
        self._held: list[WorkflowActivationJob] = []

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Hold the jobs of events that no task has taken up, else do them together with those held."""
        if any(job.HasField("query_workflow") or job.HasField("remove_from_cache") for job in act.jobs):
            return self._instance.activate(act)
        task = _Task.of(act)
        if not act.is_replaying and self._last is not None and self._last.is_followed_by_no_task(task):
            log.debug("events wait for their workflow task: %s", self.get_info().workflow_id)
            self._held += act.jobs
            done = WorkflowActivationCompletion(run_id=act.run_id)
            done.successful.SetInParent()
            return done
        self._last = task
        return self._instance.activate(self._with_held(act))

    def _with_held(self, act: WorkflowActivation) -> WorkflowActivation:
        if not self._held:
            return act
        whole = WorkflowActivation()
        whole.CopyFrom(act)
        del whole.jobs[:]
        whole.jobs.extend([*self._held, *act.jobs])
        self._held.clear()
        return whole

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
