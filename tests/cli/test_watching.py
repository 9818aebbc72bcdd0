"""Watching tells each change once, in order, how an operation ended, and when it cannot see.

The project is scripted here, because a real one does not fail, fall silent and recover on request.
"""

import asyncio
import json
from typing import Any

import pytest
from rich.console import Console

from labelbridge.cli import watching
from labelbridge.cli.output import OutputFormat
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Actor, OperationKind, Progress, ProjectStatus, StepProgress, StepState, Studio
from tests.cli.test_conditions import PROJECT, Script, status

RUNNING, DONE, WAITING = StepState.RUNNING, StepState.DONE, StepState.WAITING


class Bridge(Script):
    """Statuses one after the other, the timelines of one operation, and its end; the script's end is Ctrl-C."""

    def __init__(
        self,
        *answers: ProjectStatus | LabelbridgeError,
        timelines: list[tuple[StepState, ...]],
        end: str = "",
    ) -> None:
        super().__init__(*answers)
        self._timelines = timelines
        self._end = end

    async def status(self, project: Any) -> ProjectStatus:
        if self.looks and len(self._answers) == 1 and self.looks > 8:
            raise asyncio.CancelledError
        return await super().status(project)

    def operation(self, _: object, operation_id: str) -> "Bridge":
        assert operation_id == "000009"
        return self

    async def progress(self) -> Progress:
        states = self._timelines.pop(0) if len(self._timelines) > 1 else self._timelines[0]
        steps = tuple(StepProgress(name=f"step {n}", state=state) for n, state in enumerate(states, 1))
        return Progress(
            operation_id="000009", kind=OperationKind.SWITCH, actor=Actor(object_id="o"), steps=steps
        )

    async def result(self, _: float) -> None:
        if self._end:
            raise LabelbridgeError(self._end)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_INTERVAL", 0)


def bridge(end: str = "") -> Bridge:
    switching = status(running=OperationKind.SWITCH)
    silence = LabelbridgeError("registry_unreachable")
    timelines: list[tuple[StepState, ...]] = [
        (RUNNING, WAITING),
        (RUNNING, WAITING),
        (DONE, RUNNING),
        (DONE, DONE),
    ]
    after = status(Studio.LANGUAGE if end else Studio.AZUREML)
    return Bridge(
        status(), switching, switching, silence, silence, switching, after, timelines=timelines, end=end
    )


def told(event: dict[str, Any]) -> str:
    match event["event"]:
        case "step":
            return f"{event['number']}/{event['of']} {event['step']['state']}"
        case "ended":
            return f"ended {event.get('error', {}).get('code', 'committed')}"
    running = "running" if "running" in event["status"] else "idle"
    return f"{event['status']['active']} {running}"


@pytest.mark.parametrize(
    ("end", "last"),
    [("", ["ended committed", "azureml idle"]), ("cancelled", ["ended cancelled", "language idle"])],
)
async def test_each_change_is_told_once_and_in_order(
    capsys: pytest.CaptureFixture[str], end: str, last: list[str]
) -> None:
    await watching.watch_project(bridge(end), PROJECT, OutputFormat.JSON)  # type: ignore[arg-type]
    written = capsys.readouterr()
    lines = [told(json.loads(line)) for line in written.out.splitlines()]
    steps = ["1/2 running", "1/2 done", "2/2 running", "2/2 done"]
    assert lines == ["language idle", "language running", *steps, *last]
    assert written.err.count("registry_unreachable") == 1
    assert "answers again" in written.err


async def test_a_pipe_gets_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    await watching.watch_project(bridge("drain_deadline"), PROJECT, OutputFormat.TABLE)  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert "tickets  Language Studio labels, epoch 0; running: nothing" in out
    assert "000009 [2/2] step 2: done" in out
    assert "000009 ended: drain_deadline: " in out


async def test_a_terminal_gets_one_picture_with_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=100, record=True)
    monkeypatch.setattr(watching, "stdout", lambda: terminal)
    await watching.watch_project(bridge(), PROJECT, OutputFormat.TABLE)  # type: ignore[arg-type]
    last = terminal.export_text()
    assert "Azure ML labels" in last
    assert "step 2" in last
    assert "event" not in last


async def test_a_project_that_nobody_knows_is_not_watched() -> None:
    nobody = Bridge(status(known=False), timelines=[])
    with pytest.raises(LabelbridgeError) as caught:
        await watching.watch_project(nobody, PROJECT, OutputFormat.JSON)  # type: ignore[arg-type]
    assert caught.value.code == "project_unknown"
