"""What a campaign reports: a run that shows nothing is never counted as one that held."""

from dataclasses import replace
from pathlib import Path

import pytest

from labelbridge.plans import Step
from tests.faults import interruptions, lives
from tests.faults.checker import Verdict, Violation
from tests.faults.report import HARMED, Report
from tests.faults.run import Run
from tests.faults.stages import STAGES, Stage
from tests.faults.worker import Strike

STOPPED = Run("sync: cancel at export", None, False, "cancelled", Verdict(), 1.0, "p", reached=True)
STRUCK = Run("sync", Strike("labelbridge.sync", "intend", 1, "after"), True, None, Verdict(), 1.0, "p")


def _reported(*runs: Run, journal: Path | None = None) -> Report:
    report = Report(journal=journal)
    for run in runs:
        report.add(run)
    return report


def test_a_stop_at_another_step_than_the_one_asked_for_is_bad_unless_another_try_was_in_time() -> None:
    missed = replace(STOPPED, reached=False, came_to="announce")
    assert _reported(STOPPED).bad == []
    (line,) = _reported(missed, missed).bad
    assert "it came to announce only" in line
    assert "--stop 'sync: cancel at export'" in line
    assert _reported(missed, STOPPED).bad == []


def test_a_strike_that_did_not_come_is_bad_unless_another_run_was_struck_there() -> None:
    missed = replace(STRUCK, struck=False)
    (line,) = _reported(missed).bad
    assert line.startswith("not reached: sync/labelbridge.sync/intend/1/after")
    assert _reported(missed, STRUCK).bad == []


def test_a_worker_that_had_nothing_to_change_shows_nothing_and_is_bad_for_nothing() -> None:
    frozen = Strike("labelbridge.sync", "withdraw", 1, "frozen late")
    idle = replace(STRUCK, strike=frozen, struck=False, idle=True)
    report = _reported(idle)
    assert (report.bad, report.missed, report.idle, report.struck) == ([], [], [idle], [])
    assert "nothing to change 1" in report.summary()
    assert _reported(idle, replace(idle, struck=True, idle=False)).idle == []
    assert _reported(idle, replace(idle, idle=False)).bad


def test_the_journal_tells_what_was_struck_without_harm_from_what_is_to_be_struck_again(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal"
    point = "sync/labelbridge.sync/intend/1/after"
    harmed = replace(STRUCK, verdict=Verdict([Violation("I1", "both open")]))
    assert point not in _reported(harmed, replace(STRUCK, void={"looks"}), journal=journal).done
    assert journal.read_text().splitlines() == [HARMED + point] * 2
    assert point in _reported(STRUCK, journal=journal).done


class _Life:
    """A project whose operation comes to the step asked for at the given try, if ever."""

    def __init__(self, in_time: int | None) -> None:
        self._in_time = in_time
        self.lived: list[Stage] = []

    async def live(self, stage: Stage) -> Run:
        self.lived.append(stage)
        reached = len(self.lived) - 1 == self._in_time
        return replace(STOPPED, stage=stage.name, reached=reached, came_to="another")

    async def end(self) -> None:
        return None


@pytest.mark.parametrize(("in_time", "tries", "bad"), [(0, 1, 0), (2, 3, 0), (None, 3, 1)])
async def test_a_step_that_passes_unseen_is_tried_again_twice_and_more_slowly(
    monkeypatch: pytest.MonkeyPatch, in_time: int | None, tries: int, bad: int
) -> None:
    life, report = _Life(in_time), Report()

    async def prepared(*_: object) -> _Life:
        return life

    monkeypatch.setattr(interruptions, "_prepared", prepared)
    monkeypatch.setattr(interruptions, "_is_ready", lambda *_: True)
    setting: lives.Setting = object()  # type: ignore[assignment]
    await interruptions.interrupt(setting, report, "sync", "cancel", [Step.EXPORT])
    assert [stage.pace for stage in life.lived] == list(interruptions.PACES[:tries])
    assert all(stage.exactly and stage.kind == STAGES["sync"].kind for stage in life.lived)
    assert len(report.bad) == bad
