"""The table of legal transitions, and what is read from it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.errors import CATALOGUE, LabelbridgeError
from labelbridge.lifecycle import TABLE, Ask, Refusal, State, Verdict, judge, state_of
from labelbridge.model import (
    Actor,
    BlobRef,
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    JobRef,
    OperationKind,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    ReconcileRequest,
    Request,
    RunningOperation,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
    WaitingOperation,
)
from labelbridge.plans import Step, plan

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
PROJECT = ProjectRef(language_resource=RESOURCE, name="letters")
JOB = JobRef(workspace=WORKSPACE, name="letters-job")
BLOB = BlobRef(account="account", container="letters", name="labels.jsonl")
REQUESTS: dict[Ask, Request] = {
    Ask.CONNECT: ConnectRequest(job=JOB),
    Ask.TO_LANGUAGE: SwitchRequest(to=Studio.LANGUAGE),
    Ask.TO_AZUREML: SwitchRequest(to=Studio.AZUREML),
    Ask.SYNC: SyncRequest(),
    Ask.TRAIN: TrainRequest(model="m1"),
    Ask.IMPORT: ImportRequest(
        source=BLOB,
        account="account",
        container="letters",
        project_kind=ProjectKind.ENTITIES,
        language="en-us",
    ),
    Ask.DISCONNECT: DisconnectRequest(labels="sync"),
    Ask.RECONCILE: ReconcileRequest(),
}
RUNNING = RunningOperation(
    operation_id="000007-switch-aa",
    workflow_id="w",
    kind=OperationKind.SWITCH,
    actor=Actor(object_id="o", name="Ada"),
    started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)
WAITING_SYNC = WaitingOperation(operation_id="000008-sync-bb", kind=OperationKind.SYNC)


def status_in(state: State, **changes: object) -> ProjectStatus:
    return ProjectStatus(
        project=PROJECT,
        known=state is not State.UNKNOWN,
        connected=state in (State.LANGUAGE, State.AZUREML),
        active=Studio.AZUREML if state is State.AZUREML else Studio.LANGUAGE,
    ).model_copy(update=changes)


def test_the_table_answers_every_request_in_every_state() -> None:
    assert set(TABLE) == {(state, ask) for state in State for ask in Ask}


def test_every_refusal_of_the_table_is_in_the_error_catalogue() -> None:
    assert {r.code for r in TABLE.values() if isinstance(r, Refusal)} <= set(CATALOGUE)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("ask", Ask)
def test_a_request_to_an_idle_project_is_judged_as_the_table_says(state: State, ask: Ask) -> None:
    status, outcome = status_in(state), TABLE[state, ask]
    assert state_of(status) is state
    if isinstance(outcome, Refusal):
        with pytest.raises(LabelbridgeError) as refusal:
            judge(status, REQUESTS[ask])
        assert refusal.value.code == outcome.code
        assert refusal.value.remedy
    else:
        assert judge(status, REQUESTS[ask]) is Verdict.START


@given(
    state=st.sampled_from(State), ask=st.sampled_from([a for a in Ask if a not in (Ask.SYNC, Ask.RECONCILE)])
)
def test_while_an_operation_runs_what_cannot_wait_is_refused_with_which_who_and_since_when(
    state: State, ask: Ask
) -> None:
    with pytest.raises(LabelbridgeError) as refusal:
        judge(status_in(state, running=RUNNING), REQUESTS[ask])
    assert refusal.value.code == "operation_running"
    assert refusal.value.data["operation_id"] == RUNNING.operation_id
    assert refusal.value.data["actor"] == "Ada"
    assert refusal.value.data["since"] == "2026-01-02T03:04:05+00:00"


def test_a_sync_queues_behind_a_running_operation_and_joins_a_waiting_sync() -> None:
    busy = status_in(State.AZUREML, running=RUNNING)
    assert judge(busy, SyncRequest()) is Verdict.QUEUE
    assert judge(busy.model_copy(update={"queued": (WAITING_SYNC,)}), SyncRequest()) is Verdict.JOIN


@pytest.mark.parametrize("state", [s for s in State if s is not State.UNKNOWN])
@pytest.mark.parametrize("ask", Ask)
def test_behind_a_reconciliation_everything_legal_queues_and_nothing_is_refused_as_busy(
    state: State, ask: Ask
) -> None:
    kind = {"kind": OperationKind.RECONCILE}
    waiting = WaitingOperation(operation_id="000008-reconcile-bb", **kind)
    for busy in (
        status_in(state, running=RUNNING.model_copy(update=kind)),
        status_in(state, queued=(waiting,)),
    ):
        outcome = TABLE[state, ask]
        if isinstance(outcome, Refusal) and ask is not Ask.SYNC:
            with pytest.raises(LabelbridgeError) as refusal:
                judge(busy, REQUESTS[ask])
            assert refusal.value.code == outcome.code
        else:
            joins = ask is Ask.RECONCILE and busy.queued
            assert judge(busy, REQUESTS[ask]) is (Verdict.JOIN if joins else Verdict.QUEUE)


def test_a_reconciliation_waits_for_whatever_runs() -> None:
    busy = status_in(State.AZUREML, running=RUNNING, queued=(WAITING_SYNC,))
    assert judge(busy, ReconcileRequest()) is Verdict.QUEUE


def test_a_request_behind_a_reconciliation_is_in_the_way_of_the_next() -> None:
    running = RUNNING.model_copy(update={"kind": OperationKind.RECONCILE})
    waiting = WaitingOperation(operation_id="000009-switch-cc", kind=OperationKind.SWITCH)
    with pytest.raises(LabelbridgeError, match="000009-switch-cc is about to start"):
        judge(status_in(State.AZUREML, running=running, queued=(waiting,)), TrainRequest(model="m1"))


def test_a_sync_asked_for_during_a_connect_waits_for_it_and_is_judged_after_it() -> None:
    connecting = RUNNING.model_copy(update={"kind": OperationKind.CONNECT})
    assert judge(status_in(State.UNCONNECTED, running=connecting), SyncRequest()) is Verdict.QUEUE


def test_a_sync_does_not_join_an_operation_of_another_kind_that_waits() -> None:
    waiting = WaitingOperation(operation_id="000009-switch-cc", kind=OperationKind.SWITCH)
    assert judge(status_in(State.AZUREML, queued=(waiting,)), SyncRequest()) is Verdict.QUEUE


def test_a_disconnect_with_azureml_active_must_say_what_becomes_of_its_labels() -> None:
    with pytest.raises(LabelbridgeError) as refusal:
        judge(status_in(State.AZUREML), DisconnectRequest())
    assert refusal.value.code == "labels_undecided"
    assert judge(status_in(State.LANGUAGE), DisconnectRequest()) is Verdict.START


def test_a_retired_labeling_job_is_refused_whatever_the_case_of_its_id() -> None:
    shouted = JobRef(workspace=WORKSPACE.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), name=JOB.name)
    with pytest.raises(LabelbridgeError) as refusal:
        judge(status_in(State.UNCONNECTED, retired=(JOB,)), ConnectRequest(job=shouted))
    assert refusal.value.code == "job_retired"
    other = JobRef(workspace=WORKSPACE, name="another-job")
    assert judge(status_in(State.UNCONNECTED, retired=(JOB,)), ConnectRequest(job=other)) is Verdict.START


@pytest.mark.parametrize("state", [s for s in State if s is not State.UNKNOWN])
@pytest.mark.parametrize("ask", [a for a in Ask if a is not Ask.RECONCILE])
def test_every_plan_begins_with_the_preflight_and_ends_with_the_audit_entry(state: State, ask: Ask) -> None:
    steps = plan(REQUESTS[ask], status_in(state))
    assert steps[0].name is Step.PREFLIGHT
    assert steps[-1].name is Step.ANNOUNCE
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    assert all(s.effect for s in steps)


def test_a_plan_commits_after_everything_that_can_be_undone() -> None:
    for ask in (Ask.CONNECT, Ask.TO_AZUREML, Ask.DISCONNECT):
        steps = plan(REQUESTS[ask], status_in(State.LANGUAGE))
        commit = next(s.number for s in steps if s.name is Step.COMMIT)
        undoable = [s.number for s in steps if s.undo and not s.undo.startswith("none")]
        assert all(number < commit for number in undoable)
