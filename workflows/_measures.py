"""What workflows measure, through the SDK's own meter, which is silent while a history is replayed.

Prevents counts that grow each time a workflow is put back into memory. A workflow task that failed and runs
again may count twice; nothing here is an account. Labels are kinds, steps, outcomes and codes: never a project.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

from labelbridge import names
from labelbridge.model import Drift, OperationKind, OperationResult, Outcome, StepState
from labelbridge.plans import Step

if TYPE_CHECKING:
    from workflows._operation import OperationWorkflow


def operation_ended(
    kind: OperationKind, outcome: str, took: timedelta, *, disabled: timedelta | None = None, code: str = ""
) -> None:
    """One operation is over. `disabled`: how long both studios were shut; `code`: why it did not commit."""
    labels = {"kind": kind.value, "outcome": outcome}
    _seconds("operation_seconds", "Time of an operation from its begin to its end", took, labels)
    if disabled is not None:
        _seconds("labels_disabled_seconds", "How long both studios were shut", disabled, labels)
    if code:
        _count(
            "operation_failures_total", "Operations that did not commit", {"kind": kind.value, "code": code}
        )


def ended(operation: "OperationWorkflow", outcome: Outcome, code: str = "") -> None:
    """`operation_ended`, of an operation that ends by itself."""
    took, disabled = workflow.now() - operation.started_at, operation.labels_disabled
    operation_ended(_kind(operation), outcome.value, took, disabled=disabled, code=code)


def committed(operation: "OperationWorkflow", result: OperationResult) -> None:
    """An operation has committed; documents that are in quarantine are counted then."""
    ended(operation, Outcome.COMMITTED)
    quarantined = result.snapshot.quarantined if result.snapshot else 0
    labels = {"kind": result.kind.value}
    _count("quarantined_documents_total", "Documents left out of a committed snapshot", labels, quarantined)


def step_ended(operation: "OperationWorkflow", step: Step, state: StepState, took: timedelta) -> None:
    """One step of an operation is done, or failed."""
    labels = {"kind": _kind(operation).value, "step": step.name.lower(), "outcome": state.value}
    _seconds("operation_step_seconds", "Time of one step of an operation", took, labels)
    seen: dict[str, str | int] = {f"labelbridge.{name}": value for name, value in labels.items()}
    if operation.stored is not None:
        seen["labelbridge.epoch"] = operation.stored.record.epoch
    # Given by the interceptor that traces, where there is one: workflow code loads nothing of it.
    if told := workflow.extern_functions().get(names.STEP_ENDED):
        told(f"step {step.name.lower()}", seen, workflow.now() - took)


def operation_began(kind: OperationKind, waited: timedelta) -> None:
    """An operation begins, so long after its request was accepted."""
    _seconds(
        "queue_wait_seconds",
        "From an accepted request to its operation's begin",
        waited,
        {"kind": kind.value},
    )


def drift_found(drift: Drift) -> None:
    """A difference between a project and its record that was not known before."""
    labels = {"code": drift.code.value, "outcome": drift.outcome}
    _count("drift_found_total", "Differences between a project and its record", labels)


def _kind(operation: "OperationWorkflow") -> OperationKind:
    """What was asked for: a recovery takes on the kind of what it recovers for a while."""
    return OperationKind(operation.request.kind)


def _seconds(name: str, text: str, took: timedelta, labels: dict[str, str]) -> None:
    histogram = workflow.metric_meter().create_histogram_float(f"labelbridge_{name}", text, "s")
    histogram.record(max(0.0, took.total_seconds()), dict(labels))


def _count(name: str, text: str, labels: dict[str, str], by: int = 1) -> None:
    workflow.metric_meter().create_counter(f"labelbridge_{name}", text).add(by, dict(labels))
