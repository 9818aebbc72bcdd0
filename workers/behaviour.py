"""What becomes of a running workflow when another version of the worker becomes current.

Prevents a worker without worker versioning that no server accepts: a behaviour on `@workflow.defn` is sent
with every workflow task, and a server refuses it from a worker that has no deployment version. So workflow
classes only say theirs (`versioning_behavior`), and this runner, which is used with versioning alone, puts
it into their definitions. The sandbox imports this module anew for each run, so it imports little.
"""

from dataclasses import replace
from typing import Any

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails


class BehaviourRunner(UnsandboxedWorkflowRunner):
    """Runs a workflow with the behaviour that its class says."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """The instance; raises AttributeError for a class without a behaviour."""
        workflow: Any = det.defn.cls
        definition = replace(det.defn, versioning_behavior=workflow.versioning_behavior)
        return super().create_instance(replace(det, defn=definition))
