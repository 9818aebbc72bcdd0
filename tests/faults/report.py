"""What a campaign of lives did: a line for each run, the figures, and how to repeat what went wrong."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.points import Point
from tests.faults.run import Run

HARMED = "# violated or void: "
"""Before a point in the journal that is to be struck again."""
COMMAND = "python -m tests.faults.crash_points"


@dataclass
class Report:
    """All runs of a campaign."""

    runs: list[Run] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Lives that could not go on, and why."""
    wanted: set[str] = field(default_factory=set)
    """All points that were found."""
    journal: Path | None = None
    """Each point that was struck without harm is added to this file, a line each."""

    def add(self, run: Run) -> None:
        """Keep a run and say a line about it."""
        self.runs.append(run)
        how = run.code or "committed"
        state = "VIOLATED" if run.verdict.violations else "void" if run.void else "held"
        state = state if run.reached or state != "held" else "missed"
        missed = " (not reached)" if run.strike and not run.struck else ""
        missed = " (nothing to change)" if run.idle else missed
        came_to = f" (came to: {run.came_to})" if run.came_to else ""
        say(f"{state:8} {how:10} {run.seconds:5.1f} s  {point_of(run)}{missed}{came_to}  {run.project}")
        for one in run.verdict.violations:
            say(f"         {one}")
        if self.journal and run.strike and run.struck:
            with self.journal.open("a", encoding="utf-8") as journal:
                journal.write(f"{'' if state in ('held', 'missed') else HARMED}{point_of(run)}\n")

    @property
    def done(self) -> set[str]:
        """Points that were struck without harm, those of earlier campaigns with the same journal too."""
        known = self.journal.read_text("utf-8").splitlines() if self.journal and self.journal.exists() else ()
        harmed = {point_of(run) for run in self.struck if run.verdict.violations or run.void}
        return {*known, *(point_of(run) for run in self.struck)} - harmed

    @property
    def struck(self) -> list[Run]:
        """Runs whose worker died or froze where it was told."""
        return [run for run in self.runs if run.strike and run.struck]

    @property
    def missed(self) -> list[Run]:
        """Runs that never came to where their worker was to be struck, and no other run did."""
        return [run for run in self._unstruck if not run.idle]

    @property
    def idle(self) -> list[Run]:
        """Runs whose worker was to freeze before it changed something and had nothing to change, in each run."""
        return [run for run in self._unstruck if run.idle]

    @property
    def _unstruck(self) -> list[Run]:
        """The last run for each point that no run was struck at."""
        done = {point_of(run) for run in self.struck}
        last = {point_of(run): run for run in self.runs if run.strike and not run.struck}
        return [run for point, run in last.items() if point not in done]

    @property
    def passed_by(self) -> list[Run]:
        """Runs whose operation never came to the step at which it was to be stopped, and no other's did."""
        reached = {run.stage for run in self.runs if run.reached}
        return list({run.stage: run for run in self.runs if run.stage not in reached}.values())

    @property
    def bad(self) -> list[str]:
        """Everything that must not be, each with the command line that repeats it."""
        found = list(self.broken)
        for run in self.runs:
            what = [str(one) for one in run.verdict.violations]
            what += [f"void: nothing was witnessed of {one}" for one in sorted(run.void)]
            found += [f"{one} ({run.project})\n    {_again(run)}" for one in what]
        found += [f"not reached: {point_of(run)}\n    {_again(run)}" for run in self.missed]
        found += [f"{run.stage}: it came to {run.came_to} only\n    {_again(run)}" for run in self.passed_by]
        return found

    def summary(self) -> str:
        """The figures."""
        ends = Counter(run.code or "committed" for run in self.runs)
        modes = Counter(run.strike.mode for run in self.struck if run.strike)
        return (
            f"{len({point_of(run) for run in self.struck})} points struck in {len(self.struck)} runs "
            f"({dict(modes)}), {len(self.runs) - len(self.struck)} runs beside; ends {dict(ends)}; "
            f"violations {sum(len(run.verdict.violations) for run in self.runs)}, "
            f"void {sum(bool(run.void) for run in self.runs)}, broken {len(self.broken)}, "
            f"not reached {len(self.missed) + len(self.passed_by)}, nothing to change {len(self.idle)}"
        )


def point_of(run: Run) -> str:
    """What was struck, as `--only` takes it."""
    return str(Point.of(run.stage, run.strike)) if run.strike else f"{run.stage} (not struck)"


def _again(run: Run) -> str:
    if run.strike:
        return f"{COMMAND} --only '{point_of(run)}'"
    return f"{COMMAND} --stop '{run.stage}'" if ": " in run.stage else f"{COMMAND} --discover"


def say(line: str) -> None:
    """To whoever watches."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
