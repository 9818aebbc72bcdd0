"""What people see names what the models hold, and shows other people's words as they are."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from labelbridge.cli import present
from labelbridge.cli.conduct import exit_code
from labelbridge.errors import ExitCode
from labelbridge.model import (
    Actor,
    AuditEntry,
    ErrorInfo,
    Finding,
    JobRef,
    MergeReport,
    OperationKind,
    OperationResult,
    Outcome,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    RunningOperation,
    Severity,
    SnapshotRef,
    Studio,
    SwitchRequest,
)
from labelbridge.plans import plan

NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
PROJECT = ProjectRef(
    language_resource="/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a",
    name="tickets",
)
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ANN = Actor(object_id="o-1", name="ann@contoso.com")
STATUS = ProjectStatus(
    project=PROJECT,
    known=True,
    kind=ProjectKind.ENTITIES,
    connected=True,
    job=JobRef(workspace=WORKSPACE, name="tickets-1"),
    active=Studio.AZUREML,
    epoch=4,
    running=RunningOperation(
        operation_id="000005-sync", workflow_id="w", kind=OperationKind.SYNC, actor=ANN, started_at=NOW
    ),
)


def snapshot(**fields: object) -> SnapshotRef:
    return SnapshotRef.model_validate(
        {
            "id": "9f" * 32,
            "digest": "d1",
            "source": "azureml",
            "epoch": 4,
            "documents": 12,
            "labels": 40,
            "taken_at": NOW,
        }
        | fields
    )


def result(**fields: object) -> OperationResult:
    return OperationResult.model_validate(
        {
            "operation_id": "000006-switch",
            "kind": "switch",
            "active": "language",
            "epoch": 5,
            "started_at": NOW,
            "ended_at": NOW + timedelta(seconds=9),
        }
        | fields
    )


def shown(table: RenderableType) -> str:
    console = Console(width=240, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_status_says_who_labels_where_and_what_runs() -> None:
    for text in (shown(present.status_table(STATUS)), shown(present.statuses_table([STATUS]))):
        assert "Azure ML labels" in text
        assert "tickets-1" in text
        assert "sync 000005-sync for ann@contoso.com since 2026-03-01 12:00:05Z" in text


def test_a_result_shows_the_whole_snapshot_id_because_train_takes_it() -> None:
    merge = MergeReport(snapshot="aa" * 32, taken=10, kept=2, conflicts=("a.txt",), originals=("bb" * 32,))
    text = shown(present.result_table(result(snapshot=snapshot(), merge=merge, labels_disabled_seconds=4.25)))
    for expected in ("9f" * 32, "aa" * 32, "bb" * 32, "a.txt", "10 documents taken", "4.2 s", "9.0 s"):
        assert expected in text


def test_words_of_others_are_shown_as_they_are() -> None:
    text = shown(present.result_table(result(notes=("[red]literal[/red]",))))
    assert "[red]literal[/red]" in text


def test_a_finding_shows_the_command_that_mends_it() -> None:
    finding = Finding(
        code="role_missing",
        severity=Severity.ERROR,
        message="needs [a] role",
        command="az role assignment create --role x",
        waitable=True,
    )
    text = shown(present.findings_table([finding]))
    for expected in (
        "error",
        "role_missing",
        "needs [a] role",
        "az role assignment create --role x",
        "10 to 30",
    ):
        assert expected in text


def test_a_plan_names_each_step_with_its_effect_and_undo() -> None:
    request = SwitchRequest(to=Studio.LANGUAGE)
    text = shown(present.plan_table(plan(request, STATUS)))
    assert "commit" in text
    assert "from here only forward" in text


def test_the_history_says_who_and_how_it_ended() -> None:
    entry = AuditEntry(
        operation_id="000005-sync",
        project=PROJECT,
        kind=OperationKind.SYNC,
        actor=ANN,
        outcome=Outcome.ROLLED_BACK,
        epoch=4,
        active=Studio.AZUREML,
        started_at=NOW,
        ended_at=NOW,
        error=ErrorInfo(code="azure_job_failed", message="quota"),
    )
    text = shown(present.history_table([entry]))
    for expected in ("ann@contoso.com", "rolled_back", "azure_job_failed: quota", "2026-03-01 12:00:05Z"):
        assert expected in text


@pytest.mark.parametrize(("rows", "code"), [(0, ExitCode.DONE), (3, ExitCode.QUARANTINED)])
def test_quarantined_rows_are_told_by_the_exit_code(rows: int, code: ExitCode) -> None:
    assert exit_code(result(snapshot=snapshot(quarantined=rows, quarantine="quarantine/x.jsonl"))) is code
    assert exit_code(result()) is ExitCode.DONE
