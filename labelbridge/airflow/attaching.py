"""One operation for one task, however often Airflow tries it: no word of Airflow in here.

Prevents three failures: a second training because the first try lost its worker, a retry that only repeats
the failure of the try before (the same idempotency key always means the same operation), and a task that
somebody cleared to run it again and that answers with its old result.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.model import ProjectRef, Request, Severity, arm_id
from labelbridge.settings import Settings

_FAILED = frozenset(
    {
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.CANCELED,
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.TIMED_OUT,
    }
)
_WORTH_ANOTHER_TRY = frozenset({ExitCode.ROLLED_BACK, ExitCode.UNREACHABLE, ExitCode.STILL_RUNNING})
_LOOK_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True)
class TaskTry:
    """One try of one task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    """-1 for a task that is not mapped."""
    try_number: int
    """1 for the first; Airflow goes on counting when a task is cleared."""
    first_try: int = 1
    """The first try since the task was last cleared."""

    @classmethod
    def of(
        cls,
        *,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int,
        try_number: int,
        max_tries: int,
        retries: int,
    ) -> "TaskTry":
        """The try that Airflow's counts tell of.

        Clearing a task sets `max_tries` to the tries so far and the `retries` that it is allowed again
        (`airflow.models.taskinstance.clear_task_instances`, 3.3): that tells where the counting began anew.
        """
        first = min(max(max_tries - retries + 1, 1), try_number)
        return cls(dag_id, run_id, task_id, map_index, try_number, first)

    def keys(self, base: str | None = None) -> tuple[str, ...]:
        """Idempotency keys of all tries since the task was last cleared, this one's last.

        Args:
            base: a key that the DAG's author gave, in place of the one made of the task's ids.
        """
        named = [self.dag_id, self.run_id, self.task_id, self.map_index, self.first_try]
        root = base or f"airflow-{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]}"
        tries = max(self.try_number - self.first_try + 1, 1)
        return tuple(f"{root}-{number}" for number in range(1, tries + 1))


def settings_for(language_resource: str | None) -> Settings:
    """The settings of this process, for another Language resource if one is named."""
    settings = Settings.load()
    if not language_resource:
        return settings
    try:
        return settings.model_copy(update={"language_resource": arm_id(language_resource)})
    except ValueError as error:
        raise LabelbridgeError("input_invalid", f"language_resource: {error}") from error


async def attach(
    bridge: Labelbridge,
    project: ProjectRef,
    request: Request,
    keys: Sequence[str],
    *,
    wait_for_roles: timedelta = timedelta(0),
) -> OperationHandle:
    """The operation of an earlier try unless that failed, else a new one.

    Args:
        bridge: the client.
        project: the project.
        request: what the task asks for.
        keys: idempotency keys of all tries, the oldest first. A key that was never used starts the operation.
        wait_for_roles: how long the preflight may wait for a role assignment.

    Raises:
        LabelbridgeError: the refusal of the newest key, or whatever may pass by itself.
    """
    *earlier, newest = keys
    for key in earlier:
        try:
            handle = await bridge.start(project, request, key=key, wait_for_roles=wait_for_roles)
        except LabelbridgeError as error:
            if not error.final:
                raise
            continue
        if not await _has_failed(bridge, handle):
            return handle
    return await bridge.start(project, request, key=newest, wait_for_roles=wait_for_roles)


async def _has_failed(bridge: Labelbridge, handle: OperationHandle) -> bool:
    """True if the operation ended without success; false while nothing says so."""
    try:
        seen = await bridge.client.get_workflow_handle(handle.workflow_id).describe(rpc_timeout=_LOOK_TIMEOUT)
    except RPCError:
        return False  # it waits its turn, or nothing is known: its result tells
    return seen.status in _FAILED


def worth_another_try(error: LabelbridgeError) -> bool:
    """True if the same request may succeed soon without anybody doing anything."""
    return not error.final or error.code == "operation_running" or error.kind.exit_code in _WORTH_ANOTHER_TRY


def explained(error: LabelbridgeError) -> str:
    """Code, message, remedy and the mending command of each finding: what an operator reads in a task's log."""
    lines = [f"{error.code}: {error.message}", error.remedy]
    for finding in error.findings:
        if finding.severity is Severity.ERROR:
            lines += [f"- {finding.message}", f"  {finding.command}" if finding.command else ""]
    return "\n".join(line for line in lines if line.strip())
