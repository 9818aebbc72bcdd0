"""`wait --for` ends when it is so, refuses what cannot come about, and takes no old labels for new.

The project is scripted here, because a real one cannot be made to show each state at will; `test_live`
waits for a real one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from labelbridge.cli import conditions
from labelbridge.cli.following import Condition
from labelbridge.cli.main import app
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.model import (
    Actor,
    OperationKind,
    ProjectRef,
    ProjectStatus,
    RunningOperation,
    Studio,
    WaitingOperation,
)

PROJECT = ProjectRef(
    language_resource="/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a",
    name="tickets",
)
UNREACHABLE = LabelbridgeError("temporal_unreachable")


def status(
    active: Studio = Studio.LANGUAGE,
    running: OperationKind | None = None,
    *,
    connected: bool = True,
    known: bool = True,
    queued: Sequence[OperationKind] = (),
    operation: str = "000009",
) -> ProjectStatus:
    return ProjectStatus(
        project=PROJECT,
        known=known,
        connected=connected,
        active=active,
        running=RunningOperation(
            operation_id=operation,
            workflow_id="w",
            kind=running,
            actor=Actor(object_id="o"),
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        if running
        else None,
        queued=tuple(WaitingOperation(operation_id="q", kind=kind) for kind in queued),
    )


class Script:
    """Answers one status after the other, the last for ever; beside each, who carried the latest labels."""

    def __init__(self, *answers: ProjectStatus | LabelbridgeError, carriers: Sequence[str] = ("",)) -> None:
        self._answers = list(answers)
        self._carriers = list(carriers)
        self.looks = 0
        self.markers = self

    async def status(self, _: ProjectRef) -> ProjectStatus:
        self.looks += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, LabelbridgeError):
            raise answer
        return answer

    async def read(self, _: ProjectRef) -> Any:
        carrier = self._carriers.pop(0) if len(self._carriers) > 1 else self._carriers[0]
        return SimpleNamespace(operation=carrier) if carrier else None


@pytest.fixture
def until(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`until(script, condition)` waits; looks follow each other at once."""
    monkeypatch.setattr(conditions, "LOOK_INTERVAL", 0)

    def call(script: Script, condition: Condition, patience: timedelta | None = None) -> Any:
        @asynccontextmanager
        async def stores(_: object) -> AsyncIterator[Script]:
            yield script

        monkeypatch.setattr(conditions, "stores", stores)
        return conditions.until(script, None, PROJECT, condition, patience)  # type: ignore[arg-type]

    return call


AZUREML, SWITCH, SYNC = Studio.AZUREML, OperationKind.SWITCH, OperationKind.SYNC


@pytest.mark.parametrize(
    ("condition", "seen", "met"),
    [
        (Condition.AZUREML, status(AZUREML), True),
        (Condition.AZUREML, status(AZUREML, SYNC), True),
        (Condition.AZUREML, status(AZUREML, SWITCH), False),
        (Condition.AZUREML, status(Studio.LANGUAGE), False),
        (Condition.LANGUAGE, status(Studio.LANGUAGE), True),
        (Condition.LANGUAGE, status(Studio.LANGUAGE, connected=False), True),
        (Condition.LANGUAGE, status(Studio.LANGUAGE, OperationKind.DISCONNECT), False),
        (Condition.IDLE, status(), True),
        (Condition.IDLE, status(running=SYNC), False),
        (Condition.IDLE, status(queued=[SYNC]), False),
        (Condition.IDLE, status().model_copy(update={"interrupted": "000001"}), False),
        (Condition.SYNCED, status(), False),
    ],
)
def test_people_label_in_a_studio_only_once_no_operation_changes_it(
    condition: Condition, seen: ProjectStatus, met: bool
) -> None:
    assert conditions.holds(seen, condition) is met


@pytest.mark.parametrize(
    ("condition", "seen", "code"),
    [
        (Condition.IDLE, status(known=False), "project_unknown"),
        (Condition.SYNCED, status(connected=False), "not_connected"),
        (Condition.AZUREML, status(connected=False), "not_connected"),
        (Condition.AZUREML, status(connected=False, queued=[OperationKind.CONNECT]), None),
        (Condition.IDLE, status(known=False, running=OperationKind.IMPORT), None),
        (Condition.LANGUAGE, status(connected=False), None),
    ],
)
def test_what_cannot_come_about_by_itself_is_refused(
    condition: Condition, seen: ProjectStatus, code: str | None
) -> None:
    if code is None:
        conditions.refuse_hopeless(seen, condition)
        return
    with pytest.raises(LabelbridgeError) as caught:
        conditions.refuse_hopeless(seen, condition)
    assert caught.value.code == code
    assert caught.value.kind.exit_code is ExitCode.REFUSED


async def test_labels_are_new_only_from_an_operation_that_began_after_the_call(until: Any) -> None:
    running = status(AZUREML, SYNC, operation="000007")
    script = Script(
        running, running, status(AZUREML), carriers=["000006", "000006", "000007", "000007", "000008"]
    )
    assert (await until(script, Condition.SYNCED)).running is None
    assert script.looks == 4


async def test_a_silence_is_waited_through_and_told_once(
    until: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(status(), UNREACHABLE, UNREACHABLE, status(AZUREML))
    assert (await until(script, Condition.AZUREML)).active is AZUREML
    assert capsys.readouterr().err.count("temporal_unreachable") == 1


async def test_the_first_look_must_succeed(until: Any) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await until(Script(UNREACHABLE, status()), Condition.IDLE)
    assert caught.value.kind.exit_code is ExitCode.UNREACHABLE


async def test_a_project_that_is_parted_meanwhile_is_not_waited_for(until: Any) -> None:
    script = Script(status(running=OperationKind.DISCONNECT), status(connected=False))
    with pytest.raises(LabelbridgeError) as caught:
        await until(script, Condition.SYNCED)
    assert caught.value.code == "not_connected"


async def test_a_time_out_and_an_interruption_are_told_apart_from_a_refusal(until: Any) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await until(Script(status()), Condition.AZUREML, timedelta(milliseconds=1))
    assert caught.value.kind.exit_code is ExitCode.STILL_RUNNING
    script = Script(status())
    waiting = asyncio.create_task(until(script, Condition.AZUREML))
    while not script.looks:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(LabelbridgeError) as caught:
        await waiting
    assert caught.value.kind.exit_code is ExitCode.STILL_RUNNING


@pytest.mark.parametrize("arguments", [[], ["000001-switch", "--for", "idle"]])
def test_one_thing_is_waited_for(arguments: list[str]) -> None:
    outcome = CliRunner().invoke(app, ["wait", "tickets", *arguments])
    assert outcome.exit_code == ExitCode.USAGE
    assert "input_invalid" in outcome.stderr
