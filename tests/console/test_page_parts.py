"""Parts of pages drawn from states that are hard to reach: waiting for roles, a person needed, no worker."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Request

from labelbridge.console.auth.people import Person, Role
from labelbridge.console.pages.render import part, percent, prose, span, wants_part
from labelbridge.console.project_view import OperationView, ProjectView, acts_of, refusal_of
from labelbridge.lifecycle import State
from labelbridge.model import (
    Actor,
    Drift,
    DriftCode,
    ErrorInfo,
    JobRef,
    OperationKind,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    RunningOperation,
    StepProgress,
    StepState,
    Studio,
)
from labelbridge.plans import Step

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REF = ProjectRef(
    language_resource="/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso",
    name="tickets",
)
JOB = JobRef(
    workspace="/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w",
    name="tickets-1",
)
CONNECTED = ProjectStatus(
    project=REF, known=True, kind=ProjectKind.MULTI_LABEL, connected=True, job=JOB, since=NOON
)


def request(role: Role = Role.OWNER, **headers: str) -> Request:
    person = Person(object_id="o", name="olga", roles=frozenset({role}))
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "path": "/", "headers": raw, "state": {"person": person}})


def running(*steps: StepProgress, attention: ErrorInfo | None = None) -> OperationView:
    return OperationView(
        operation_id="000042-switch-12345678",
        kind=OperationKind.SWITCH,
        actor="olga",
        started_at=NOON,
        steps=steps,
        attention=attention,
    )


def view(**changes: Any) -> ProjectView:
    return ProjectView(**{"key": REF.key, "status": CONNECTED, "state": State.LANGUAGE, **changes})


def drawn(name: str, shown: ProjectView, role: Role = Role.OWNER) -> str:
    return part(request(role), f"parts/{name}.html", view=shown, acts=acts_of(shown.status))


def step(name: Step, state: StepState, note: str = "") -> StepProgress:
    return StepProgress(name=name, state=state, note=note, started_at=NOON)


def test_waiting_for_a_role_is_shown_in_the_step_and_said_aloud() -> None:
    note = "waiting for a role assignment, 3 of 30 minutes"
    shown = view(operation=running(step(Step.PREFLIGHT, StepState.RUNNING, note)))
    assert note in drawn("operation", shown)
    assert note in drawn("said", shown)


def test_an_operation_that_needs_a_person_says_so_first_with_code_and_remedy() -> None:
    attention = ErrorInfo(code="forbidden", message="Azure refused.", remedy="Run `labelbridge doctor`.")
    text = drawn("state", view(operation=running(attention=attention)))
    assert 'role="alert"' in text
    assert "A person is needed." in text
    assert "<code>forbidden</code>" in text
    assert "<code>labelbridge doctor</code>" in text


def test_nobody_can_label_from_the_gate_until_a_studio_is_open_again() -> None:
    checking = running(step(Step.PREFLIGHT, StepState.RUNNING))
    gated = running(step(Step.GATE, StepState.DONE), step(Step.DRAIN, StepState.RUNNING))
    opened = running(step(Step.GATE, StepState.DONE), step(Step.OPEN, StepState.DONE))
    undone = running(step(Step.GATE, StepState.DONE), step(Step.UNDO, StepState.DONE))
    assert [
        view(operation=one).sentence.startswith("Nobody can label")
        for one in (checking, gated, opened, undone)
    ] == [
        False,
        True,
        False,
        False,
    ]


def test_steps_that_are_still_to_come_are_shown() -> None:
    shown = view(
        operation=running(
            step(Step.GATE, StepState.RUNNING), StepProgress(name=Step.OPEN, state=StepState.WAITING)
        )
    )
    text = drawn("operation", shown)
    assert "(to come)" in text
    assert "data-elapsed" in text


def test_text_from_elsewhere_never_becomes_markup() -> None:
    nasty = "<img src=x onerror=alert(1)>"
    attention = ErrorInfo(code="unexpected", message=nasty, remedy=f"`{nasty}`")
    shown = view(operation=running(step(Step.DRAIN, StepState.RUNNING, nasty), attention=attention))
    for name in ("state", "operation", "said", "acts"):
        assert "<img" not in drawn(name, shown)
    assert str(prose("a `b` <c>")) == "a <code>b</code> &lt;c&gt;"


def test_differences_from_the_record_are_shown() -> None:
    drift = Drift(code=DriftCode.LANGUAGE_OPEN, message="Language is open.", remedy="Lock it.")
    text = drawn("state", view(status=CONNECTED.model_copy(update={"drift": (drift,)})))
    assert "Language is open." in text
    assert "language_open" in text


@pytest.mark.parametrize("active", list(Studio))
def test_the_acts_offered_are_those_that_the_table_allows(active: Studio) -> None:
    acts = acts_of(CONNECTED.model_copy(update={"active": active}))
    assert [act.name for act in acts] == ["switch", "sync", "train", "disconnect", "reconcile"]
    assert all(act.refusal is None for act in acts)
    assert acts[0].title == f"Switch to {active.other.display_name}"


def test_while_a_switch_runs_only_what_waits_its_turn_is_offered() -> None:
    runs = RunningOperation(
        operation_id="000042-switch-12345678",
        workflow_id="w",
        kind=OperationKind.SWITCH,
        actor=Actor(object_id="o"),
        started_at=NOON,
    )
    acts = acts_of(CONNECTED.model_copy(update={"running": runs}))
    assert {act.name for act in acts if act.refusal is None} == {"sync", "reconcile"}
    text = drawn("acts", view(status=CONNECTED.model_copy(update={"running": runs})))
    assert "operation_running" in text


def test_a_project_that_language_does_not_have_can_only_be_looked_at() -> None:
    gone = ProjectStatus(project=REF, known=False)
    assert [(act.name, act.refusal.code if act.refusal else None) for act in acts_of(gone)] == [
        ("connect", "project_unknown"),
        ("train", "project_unknown"),
    ]
    refusal = refusal_of("switch", gone)
    assert refusal
    assert refusal.code == "project_unknown"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time_are_said_in_two_units(seconds: int, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


def test_a_share_is_all_or_nothing_only_when_it_is_exactly_that() -> None:
    assert [percent(share) for share in (0, 0.001, 0.5, 0.999, 1)] == ["0 %", "1 %", "50 %", "99 %", "100 %"]


def test_only_htmx_that_means_an_element_gets_it_alone() -> None:
    assert wants_part(request(hx_request="true", hx_target="div#fleet"), "fleet")
    assert not wants_part(request(hx_request="true", hx_target="main#other"), "fleet")
    assert not wants_part(request(), "fleet")
