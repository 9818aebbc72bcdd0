"""Every point at which a worker can die: found in histories, struck one by one, judged by the checker.

Prevents a step that nobody ever killed: the points come from what ran, not from a list. The list of
what was covered (`covered.json`) is written here, and an activity that is not in it fails the tests.

    python -m tests.faults.crash_points                      the whole matrix
    python -m tests.faults.crash_points --only "sync/labelbridge.sync/export_labels/1/after"
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.faults.lives import BRISK, CHAINS, NO_QUOTA, Life, Run, Setting
from tests.faults.worker import Strike
from tests.faults.yard import Yard

COVERED = Path(__file__).with_name("covered.json")
KINDS = tuple(ProjectKind)


@dataclass(frozen=True, order=True)
class Point:
    """One crash: the n-th activity of a name in a stage's workflow, and when in it."""

    stage: str
    workflow: str
    activity: str
    occurrence: int
    mode: str

    @property
    def strike(self) -> Strike:
        """What a worker is told."""
        return Strike(self.workflow, self.activity, self.occurrence, self.mode)

    def __str__(self) -> str:
        """What `--only` takes."""
        return f"{self.stage}/{self.workflow}/{self.activity}/{self.occurrence}/{self.mode}"

    @classmethod
    def parse(cls, text: str) -> "Point":
        """Read what `str` wrote."""
        stage, workflow, activity, occurrence, mode = text.split("/")
        return cls(stage, workflow, activity, int(occurrence), mode)


async def points_of(life: Life, stage: str) -> list[Point]:
    """All points of the stage that this life lived through last, from the two histories."""
    ids = [life.ref.workflow_id]
    if operation := life.witness.asks[-1].operation:
        ids.append(f"{life.ref.workflow_id}/{operation}")
    found: list[Point] = []
    for workflow_id in ids:
        try:
            found += await _points_in(life, stage, workflow_id)
        except RPCError:
            continue  # an entity that was never needed
    return found


async def _points_in(life: Life, stage: str, workflow_id: str) -> list[Point]:
    history = await life.setting.client.get_workflow_handle(workflow_id).fetch_history()
    kind = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
    since = datetime.fromtimestamp(life.began, UTC)
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.event_time.ToDatetime(UTC) >= since
    ]
    names = [one.activity_type.name for one in scheduled]
    seen: Counter[str] = Counter()
    found: list[Point] = []
    for place, one in enumerate(scheduled):
        seen[names[place]] += 1
        if names[place - 1 : place + 2] == [names[place]] * 3:
            continue  # a poll in the middle of others like it
        modes = ["before", "after"] + ["middle"] * bool(one.heartbeat_timeout.ToTimedelta())
        found += [Point(stage, kind, names[place], seen[names[place]], mode) for mode in modes]
    return found


@dataclass
class Report:
    """What a campaign did."""

    runs: list[Run] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Lives that could not go on, and why."""

    def add(self, run: Run) -> None:
        """Keep a run and say a line about it."""
        self.runs.append(run)
        point = f"{run.stage}/{_told(run.strike)}" if run.strike else f"{run.stage} (clean)"
        how = run.code or "committed"
        state = "VIOLATED" if run.verdict.violations else "void" if run.void else "held"
        missed = "" if run.struck or not run.strike else " (not reached)"
        say(f"{state:8} {how:10} {run.seconds:5.1f} s  {point}{missed}  {run.project}")
        for one in run.verdict.violations:
            say(f"         {one}")

    @property
    def struck(self) -> list[Run]:
        """Runs whose worker died where it was told."""
        return [run for run in self.runs if run.strike and run.struck]

    @property
    def bad(self) -> list[str]:
        """Everything that must not be, each with the command line that repeats it."""
        found = list(self.broken)
        for run in self.runs:
            what = [str(one) for one in run.verdict.violations]
            what += [f"void: {one}" for one in sorted(run.void)]
            again = f"--only '{run.stage}/{_told(run.strike)}'" if run.strike else "(clean)"
            found += [f"{one}\n    python -m tests.faults.crash_points {again}" for one in what]
        return found

    def summary(self) -> str:
        """The figures."""
        points = {(run.stage, run.strike) for run in self.struck}
        ends = Counter(run.code or "committed" for run in self.struck)
        modes = Counter(run.strike.mode for run in self.struck if run.strike)
        return (
            f"{len(points)} points struck in {len(self.struck)} runs ({dict(modes)}), "
            f"{len(self.runs) - len(self.struck)} runs beside; ends {dict(ends)}; "
            f"violations {sum(len(run.verdict.violations) for run in self.runs)}, "
            f"void {sum(bool(run.void) for run in self.runs)}, broken {len(self.broken)}"
        )


def _told(strike: Strike | None) -> str:
    return f"{strike.workflow}/{strike.activity}/{strike.occurrence}/{strike.mode}" if strike else ""


def say(line: str) -> None:
    """To whoever watches."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


async def discover(setting: Setting, report: Report, chain: Sequence[str], kind: ProjectKind) -> list[Point]:
    """Live a chain without a fault, and read its points from the histories."""
    found: set[Point] = set()

    async def after(life: Life, stage: str) -> None:
        found.update(await points_of(life, stage))

    await live(setting, report, chain, {}, kind, after=after)
    return sorted(found)


async def live(
    setting: Setting,
    report: Report,
    chain: Sequence[str],
    struck: dict[str, Point],
    kind: ProjectKind,
    *,
    after: object = None,
) -> None:
    """One life: each stage struck at its point, if it has one. A stage that was undone is tried again."""
    begin = Life.unborn if chain[0].startswith("import") else Life.begin
    life: Life | None = None
    try:
        life = await begin(setting, kind)
        for stage in chain:
            point = struck.get(stage)
            run = await life.live(stage, point.strike if point else None)
            report.add(run)
            if callable(after):
                await after(life, stage)
            if run.code is not None and "undone" not in stage and stage != chain[-1]:
                report.add(await life.live(stage))
    except Exception as error:
        logging.getLogger(__name__).exception("a life broke")
        report.broken.append(f"{chain[0]} ... {struck}: {error!r}")
    finally:
        if life is not None:
            await life.end()


def lives_for(points: Iterable[Point]) -> list[tuple[tuple[str, ...], dict[str, Point]]]:
    """Chains with points on them, so that each point is struck once and no life is longer than needed."""
    waiting: dict[str, list[Point]] = {}
    for point in points:
        waiting.setdefault(point.stage, []).append(point)
    found = []
    for chain in CHAINS:
        while any(waiting.get(stage) for stage in chain):
            last = max(place for place, stage in enumerate(chain) if waiting.get(stage))
            chosen = {
                stage: waiting[stage].pop()
                for stage in dict.fromkeys(chain[: last + 1])
                if waiting.get(stage)
            }
            found.append((chain[: last + 1], chosen))
    return found


async def strike_all(setting: Setting, report: Report, points: Iterable[Point], width: int) -> None:
    """Strike each point once, `width` lives at a time."""
    places = asyncio.Semaphore(width)

    async def one(number: int, chain: tuple[str, ...], struck: dict[str, Point]) -> None:
        async with places:
            await live(setting, report, chain, struck, KINDS[number % len(KINDS)])

    lives = lives_for(points)
    say(f"{sum(len(struck) for _, struck in lives)} points on {len(lives)} lives")
    await asyncio.gather(*(one(number, *life) for number, life in enumerate(lives)))


def covered() -> list[Point]:
    """The points of the last whole campaign."""
    return [Point.parse(text) for text in json.loads(COVERED.read_text())["points"]]


async def campaign(arguments: argparse.Namespace, path: Path) -> Report:
    """Discover and strike everything, or what was asked for."""
    report = Report()
    with (
        Stack(path / "stack", workers=0, tuned=True, timing=BRISK, local=NO_QUOTA) as stack,
        Yard(stack) as yard,
        stack.acting_as("operator"),
    ):
        setting = await Setting.make(stack, yard, path)
        if arguments.only:
            points = [Point.parse(text) for text in arguments.only]
        else:
            found = await asyncio.gather(*(discover(setting, report, chain, KINDS[0]) for chain in CHAINS))
            points = [point for some in found for point in some]
            say(f"{len(points)} points found")
        if arguments.sample:
            points = random.Random(arguments.seed).sample(points, min(arguments.sample, len(points)))
        await strike_all(setting, report, points, arguments.width)
    return report


def main() -> int:
    """Run a campaign; exit 1 if anything was violated, void or broken."""
    parser = argparse.ArgumentParser(prog="tests.faults.crash_points", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="strike only this point; may be repeated")
    parser.add_argument("--sample", type=int, help="strike so many points, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=8, help="projects at once")
    parser.add_argument("--directory", type=Path, help="where stack, logs and recordings are kept")
    arguments = parser.parse_args()
    path = arguments.directory or Path(tempfile.mkdtemp(prefix="labelbridge-faults-"))
    say(f"logs and recordings: {path}")
    began = time.monotonic()
    report = asyncio.run(campaign(arguments, path))
    for one in report.bad:
        say(one)
    say(f"{report.summary()} in {(time.monotonic() - began) / 60:.1f} minutes")
    if not report.bad and not arguments.only and not arguments.sample:
        points = sorted({str(Point(r.stage, **r.strike.__dict__)) for r in report.struck if r.strike})
        COVERED.write_text(
            json.dumps({"date": f"{datetime.now(UTC):%Y-%m-%d}", "points": points}, indent=1) + "\n"
        )
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
