"""Every point at which a worker can die: found in histories, struck one by one, judged by the checker.

Prevents a step that nobody ever killed: the points come from what ran, not from a list. The list of
what was covered (`covered.json`) is written here, and an activity that is not in it fails the tests.

    python -m tests.faults.crash_points                      the whole matrix: workers killed
    python -m tests.faults.crash_points --what zombies       workers frozen in mid-effect, and woken
    python -m tests.faults.crash_points --what stops         cancelled and terminated at each step
    python -m tests.faults.crash_points --what proofs        each protection needed, and each enough
    python -m tests.faults.crash_points --only "sync/labelbridge.sync/export_labels/1/after"
    python -m tests.faults.crash_points --stop "to azureml: cancel at drain"
    python -m tests.faults.crash_points --no-cache           every workflow task replays
    python -m tests.faults.crash_points --journal FILE --save    writes down what FILE says was struck
"""

import argparse
import asyncio
import logging
import random
import re
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from labelbridge.plans import Step
from tests.faults import coverage
from tests.faults.interruptions import all_interruptions, interrupt
from tests.faults.lives import Life, Setting
from tests.faults.margins import BRISK, LATE_GATES
from tests.faults.points import Point, points_of
from tests.faults.report import COMMAND, Report, point_of, say
from tests.faults.scenarios import PROOFS
from tests.faults.stages import CHAINS, STAGES
from tests.faults.yard import Yard

KINDS = tuple(ProjectKind)


async def discover(setting: Setting, report: Report, chain: Sequence[str], kind: ProjectKind) -> set[Point]:
    """Live a chain without a fault, and read its points from the histories."""
    found: set[Point] = set()

    async def after(life: Life, stage: str) -> None:
        found.update(await points_of(life, stage))

    await live(setting, report, chain, {}, kind, after=after)
    return found


async def live(
    setting: Setting,
    report: Report,
    chain: Sequence[str],
    struck: dict[str, Point],
    kind: ProjectKind,
    *,
    after: Any = None,
    **options: Any,
) -> None:
    """One life: each stage struck at its point, if it has one. A stage that was undone is tried again."""
    begin = Life.unborn if chain[0].startswith("import") else Life.begin
    life: Life | None = None
    wanted, struck = [str(point) for point in struck.values()], dict(struck)
    try:
        life = await begin(setting, kind)
        for stage in chain:
            point = struck.pop(stage, None)
            run = await life.live(stage, point.strike if point else None, **options)
            report.add(run)
            if after is not None:
                await after(life, stage)
            if run.code is not None and not STAGES[stage].stop and stage != chain[-1]:
                run = await life.live(stage, **options)
                report.add(run)
                assert run.code is None, f"{stage} does not commit: {run.code}"
    except Exception as error:
        logging.getLogger(__name__).exception("a life broke")
        report.broken.append(f"{' > '.join(chain)}, to be struck at {wanted}: {error!r}")
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
            found.append((shortened(chain[: last + 1], chosen), chosen))
    return found


def shortened(chain: Sequence[str], wanted: Collection[str]) -> tuple[str, ...]:
    """The chain without what changes nothing for the stages that are wanted."""
    needed = {"sync"} if any(STAGES[stage].snapshot for stage in wanted) else set()
    return tuple(stage for stage in chain if stage in {*wanted, *needed} or not STAGES[stage].changes_nothing)


async def strike_all(
    setting: Setting, report: Report, points: Iterable[Point], width: int, **options: Any
) -> None:
    """Strike each point once, `width` lives at a time."""
    lives = lives_for(points)
    say(f"{sum(len(struck) for _, struck in lives)} points on {len(lives)} lives")
    await _wide(
        width,
        (
            live(setting, report, chain, struck, KINDS[number % len(KINDS)], **options)
            for number, (chain, struck) in enumerate(lives)
        ),
    )


async def _wide(width: int, works: Iterable[Any]) -> list[Any]:
    places = asyncio.Semaphore(width)

    async def one(work: Any) -> Any:
        async with places:
            return await work

    return await asyncio.gather(*(one(work) for work in works))


async def prove(setting: Setting, report: Report, name: str) -> None:
    """Play a protection's situation with it and without it: only without it may anything be violated."""
    proof, began = PROOFS[name], time.monotonic()
    try:
        well, ill = await asyncio.gather(proof.well(setting), proof.ill(setting))
    except Exception as error:
        logging.getLogger(__name__).exception("a proof broke")
        report.broken.append(f"{name}: {error!r}\n    {COMMAND} --what proofs --proof '{name}'")
        return
    again = f"\n    {COMMAND} --what proofs --proof '{name}'"
    report.broken += [f"{name}: violated although nothing was taken out: {one}{again}" for one in well]
    if not ill:
        report.broken.append(f"{name}: nobody missed it{again}")
    state = "needed" if ill and not well else "NOT SHOWN"
    say(f"{state:8} {time.monotonic() - began:5.1f} s  {name}: {ill[0] if ill else 'nothing was violated'}")


async def campaign(arguments: argparse.Namespace, path: Path) -> Report:
    """Do what was asked for."""
    report = Report(journal=arguments.journal)
    with (
        Stack(path / "stack", workers=0, tuned=True, timing=BRISK, local=LATE_GATES) as stack,
        Yard(stack) as yard,
        stack.acting_as("operator"),
    ):
        setting = await Setting.make(stack, yard, path)
        if arguments.stop:
            for one in arguments.stop:
                name, _, rest = one.partition(": ")
                stop, _, step = rest.partition(" at ")
                await interrupt(setting, report, name, stop, [Step[step.upper()]])
        elif arguments.what == "proofs":
            chosen = arguments.proof or list(PROOFS)
            await _wide(arguments.width, (prove(setting, report, name) for name in chosen))
        elif arguments.what == "stops":
            works = (interrupt(setting, report, name, stop) for name, stop in all_interruptions())
            await _wide(arguments.width, works)
        elif arguments.no_cache:
            await _wide(
                arguments.width,
                (live(setting, report, chain, {}, kind, cache=0) for chain in CHAINS for kind in KINDS),
            )
        else:
            points = await _points(setting, report, arguments)
            await strike_all(setting, report, points, arguments.width)
            for _ in range(2):  # a point on a way that a run happened not to take
                again = [Point.parse(point_of(run)) for run in (*report.missed, *report.idle)]
                if again:
                    await strike_all(setting, report, again, arguments.width)
        report.broken += yard.unreplayable()
    return report


async def _points(setting: Setting, report: Report, arguments: argparse.Namespace) -> list[Point]:
    if arguments.only:
        return [Point.parse(text) for text in arguments.only]
    found = await _wide(arguments.width, (discover(setting, report, chain, KINDS[0]) for chain in CHAINS))
    points = sorted({point for some in found for point in some})
    if arguments.discover:
        say("\n".join(map(str, points)))
    points = [point for point in points if point.is_zombie is (arguments.what == "zombies")]
    coverage.note_found(arguments.journal, map(str, points))
    if arguments.discover:
        return []
    points = [point for point in points if re.search(arguments.match, str(point))]
    say(f"{len(points)} points found")
    report.wanted = {str(point) for point in points}
    points = [point for point in points if str(point) not in report.done]
    if arguments.sample:
        points = random.Random(arguments.seed).sample(points, min(arguments.sample, len(points)))
    return points


def main() -> int:
    """Run a campaign; exit 1 if anything was violated, void, broken or not reached."""
    arguments = _arguments()
    if arguments.save and coverage.found(arguments.journal):
        say(coverage.save_journal(arguments.journal))
        return 0
    arguments.discover = arguments.discover or arguments.save
    path = arguments.directory or Path(tempfile.mkdtemp(prefix="labelbridge-faults-"))
    say(f"logs and recordings: {path}")
    began = time.monotonic()
    report = asyncio.run(campaign(arguments, path))
    minutes = (time.monotonic() - began) / 60
    for run in report.idle:
        say(f"nothing to change: {point_of(run)}")
    for one in report.bad:
        say(one)
    say(f"{report.summary()} in {minutes:.1f} minutes")
    every = arguments.what == "crashes" and not (arguments.no_cache or arguments.match)
    whole = bool(report.wanted) and report.wanted <= report.done and not report.bad
    if arguments.journal and (arguments.save or (every and whole)):
        say(coverage.save_journal(arguments.journal))
    elif every and whole:
        say(coverage.save(report.wanted, report.wanted, len(report.struck), 0))
    return 1 if report.bad else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults.crash_points", description="Strikes workers.")
    parser.add_argument("--what", choices=("crashes", "zombies", "stops", "proofs"), default="crashes")
    parser.add_argument("--only", action="append", help="strike only this point; may be repeated")
    parser.add_argument("--proof", action="append", choices=PROOFS, help="only this protection's")
    parser.add_argument("--stop", action="append", help="stop only this operation at this step")
    parser.add_argument("--no-cache", action="store_true", help="live all lives unhurt, without a cache")
    parser.add_argument("--discover", action="store_true", help="only say which points there are")
    parser.add_argument("--match", default="", help="strike only points that match this expression")
    parser.add_argument("--journal", type=Path, help="points struck so far; those in it are not struck again")
    parser.add_argument("--save", action="store_true", help="write covered.json from the journal, and end")
    parser.add_argument("--sample", type=int, help="strike so many points, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=8, help="projects at once")
    parser.add_argument("--directory", type=Path, help="where stack, logs and recordings are kept")
    arguments = parser.parse_args()
    if arguments.save and not arguments.journal:
        parser.error("--save needs --journal")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
