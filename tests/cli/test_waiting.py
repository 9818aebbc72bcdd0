"""Waiting shows each step once, ends at Ctrl-C without stopping the operation, and keeps its error.

The handle is scripted here, because a real operation cannot be made to fail or hang at will.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from labelbridge.cli.waiting import watch
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    Actor,
    OperationKind,
    OperationResult,
    Progress,
    ProjectRef,
    StepProgress,
    StepState,
    Studio,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class ScriptedHandle:
    """Answers a script of timelines, then ends; `end` None means never."""

    project = ProjectRef(
        language_resource="/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a",
        name="p",
    )
    operation_id, workflow_id, joined = "000001-switch", "labelbridge/p/000001-switch", False

    def __init__(self, *timelines: tuple[StepState, ...], end: OperationResult | Exception | None) -> None:
        self._timelines = list(timelines)
        self._end = end
        self.looked = asyncio.Event()

    async def progress(self) -> Progress | None:
        now = self._timelines.pop(0) if len(self._timelines) > 1 else self._timelines[0]
        self.looked.set()
        steps = tuple(StepProgress(name=f"step {i}", state=s) for i, s in enumerate(now, 1))
        return Progress(
            operation_id="000001-switch", kind=OperationKind.SWITCH, actor=Actor(object_id="o"), steps=steps
        )

    async def result(self, timeout: timedelta | float | None = None) -> OperationResult:
        await self.looked.wait()
        if self._end is None:
            await asyncio.Event().wait()
        if isinstance(self._end, Exception):
            raise self._end
        assert self._end is not None
        return self._end


RUNNING, DONE, WAITING = StepState.RUNNING, StepState.DONE, StepState.WAITING
RESULT = OperationResult(
    operation_id="000001-switch",
    kind=OperationKind.SWITCH,
    active=Studio.AZUREML,
    epoch=2,
    started_at=NOW,
    ended_at=NOW,
)


async def test_each_change_of_a_step_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    handle = ScriptedHandle((RUNNING, WAITING), (DONE, DONE), end=RESULT)
    assert await watch(handle, None) == RESULT  # type: ignore[arg-type]
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.splitlines() == [
        "[1/2] step 1: running",
        "[1/2] step 1: done",
        "[2/2] step 2: done",
    ]


async def test_an_interrupted_wait_says_that_the_operation_goes_on() -> None:
    handle = ScriptedHandle((RUNNING,), end=None)
    waiting = asyncio.create_task(watch(handle, None))  # type: ignore[arg-type]
    await handle.looked.wait()
    waiting.cancel()
    with pytest.raises(LabelbridgeError) as caught:
        await waiting
    assert caught.value.code == "wait_timeout"
    assert "goes on" in caught.value.message
    assert "labelbridge wait p 000001-switch" in caught.value.remedy


async def test_the_operations_own_error_comes_through() -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await watch(ScriptedHandle((DONE,), end=LabelbridgeError("drain_deadline")), None)  # type: ignore[arg-type]
    assert caught.value.code == "drain_deadline"
