"""The campaign: projects, labelers, operators and pipelines at work while faults strike, from one seed.

Prevents confidence that rests on the faults that somebody thought of one by one.

    python -m tests.faults.campaign --seed 7 --operations 500 --minutes 20
    python -m tests.faults.campaign --seed 7 --project 12       one project's plan again, same weather
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from labelbridge.azure.session import AzureSession
from labelbridge.client import Labelbridge
from labelbridge.events.stores import Stores
from labelbridge.local.stack import WORKER_READY, Stack
from tests.faults.blob_faults import BlobFaults, figures
from tests.faults.campaign_events import EventGrid
from tests.faults.campaign_life import Lived
from tests.faults.campaign_plan import MOVES, life, weather
from tests.faults.campaign_scene import Outcome, Scene
from tests.faults.campaign_weather import QUEUE, Crew, Weather
from tests.faults.margins import NAMES_AGAIN
from tests.faults.witness import StudioLog
from tests.faults.yard import Yard

TIMING = {
    "EFFECT_DEADLINE": "PT5S",
    "EFFECT_TIMEOUT": "PT6.5S",
    "GATE_DELAY": "PT0.8S",
    "DRAIN": "PT7S",
    "SETTLE": "PT0.6S",
    "DRAIN_DEADLINE": "PT60S",
    "LOOK_AGAIN": "PT5S",
    "STEP_PATIENCE": "PT90S",
    "POLL": "PT0.3S",
    "ROLE_POLL": "PT0.3S",
}
"""Margins for gates that are 0.4 s late, effects that are held for up to 0.5 s, and a busy machine: an
effect that left before its deadline has 2 s to land. Shorter ones would try the machine, not the product."""


@dataclass
class Report:
    """What a campaign saw."""

    seed: int
    moves: int
    outcomes: list[Outcome] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    blobs: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    unreplayable: list[str] = field(default_factory=list)
    """What workers said of histories that they could not replay."""
    minutes: float = 0.0

    @property
    def operations(self) -> int:
        """Operations that ended, however; recoveries not counted."""
        return sum(n for o in self.outcomes for kind, n in o.operations.items() if "recover" not in kind)

    @property
    def bad(self) -> list[str]:
        """Everything that must not be, each with the command line that repeats it."""
        found = list(self.unreplayable)
        for outcome in self.outcomes:
            again = f"python -m tests.faults.campaign --seed {self.seed} --project {outcome.number}"
            if self.moves != MOVES:
                again += f" --moves {self.moves}"
            found += [f"{what}\n    {again}    ({outcome.project})" for what in outcome.bad]
        holders: dict[str, str] = {}
        for outcome in self.outcomes:
            for job in outcome.jobs:
                if holders.setdefault(job, outcome.project) != outcome.project:
                    found.append(f"I4: {job} is connected to {holders[job]} and to {outcome.project}")
        return found

    def figures(self) -> dict[str, object]:
        """For the report and for machines."""
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "seed": self.seed,
            "minutes": round(self.minutes, 1),
            "projects": len(self.outcomes),
            "requests": sum(o.requests for o in self.outcomes),
            "operations": self.operations,
            "ends": dict(_sum(o.operations for o in self.outcomes)),
            "refused at once": dict(_sum(o.refused for o in self.outcomes)),
            "by hand": dict(_sum(o.meddled for o in self.outcomes)),
            "struck": dict(sorted(self.struck.items())),
            "struck at blobs": dict(sorted(self.blobs.items())),
            "events": dict(sorted(self.events.items())),
            "workers that died": self.deaths,
            "writes judged": sum(one.witnessed["I1"] for o in self.outcomes for one in o.verdicts),
            "violations": len(self.unreplayable) + sum(len(o.bad) for o in self.outcomes),
        }

    def save(self, path: Path) -> None:
        """Leave the figures so far beside the recordings."""
        text = json.dumps(self.figures(), indent=1, ensure_ascii=False)
        (path / "figures.json").write_text(text + "\n", encoding="utf-8")


def _sum(counters: Iterator[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counters:
        total.update(one)
    return total


@dataclass(frozen=True)
class Order:
    """What a campaign was asked for."""

    seed: int
    operations: int
    minutes: float
    width: int
    project: int | None
    moves: int
    great_every: float
    small_every: float
    blob_rate: float


async def campaign(order: Order, path: Path, report: Report) -> None:
    """Run it; `report` is filled while it runs."""
    # The Temporal client leaves a future behind for each update that a killed server did not answer.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    with (
        Stack(path / "stack", workers=0, tuned=True, timing=TIMING, local=NAMES_AGAIN) as stack,
        Yard(stack) as yard,
        stack.acting_as("operator"),
    ):
        note = path / "blob-faults.jsonl"
        endpoint = stack.place.storage_endpoint.partition("{")[0]
        crew = Crew(yard, blobs=BlobFaults(endpoint, order.blob_rate, str(order.seed), str(note)))
        await _ready(crew)
        settings = stack.settings("operator")
        temporal = settings.temporal.model_copy(update={"task_queue": QUEUE})
        settings = settings.model_copy(update={"temporal": temporal})
        async with Labelbridge.connect(settings) as bridge, AzureSession(settings) as session:
            await bridge.actor()
            log, ends_at = StudioLog(stack.tenant.caller("operator")), time.monotonic() + 60 * order.minutes
            grid = EventGrid(bridge.client, session, settings, log, order.seed)
            scene = Scene(stack, bridge.client, bridge, log, path, ends_at, grid=grid, blobs=note)
            scene = replace(scene, stores=Stores.of(session, settings))
            sky = Weather(stack, crew, scene.disturbances)
            report.struck, report.events = sky.struck, grid.figures
            strikes = weather(order.seed, great_every=order.great_every, small_every=order.small_every)
            blowing = [asyncio.create_task(sky.blow(strikes)), asyncio.create_task(grid.blow())]
            try:
                await _live(order, scene, report)
            finally:
                for one in blowing:
                    one.cancel()
                await asyncio.gather(*blowing, return_exceptions=True)
                await grid.lift()
                await sky.lift()
                report.deaths, report.blobs = crew.deaths, figures(note)
                report.unreplayable = yard.unreplayable()
        stack.failure = None  # parts died because they were told to


async def _ready(crew: Crew) -> None:
    while not all(hand.log.exists() and WORKER_READY in hand.log.read_text() for hand in crew.hands):
        crew.keep()
        await asyncio.sleep(0.05)


async def _live(order: Order, scene: Scene, report: Report) -> None:
    """`width` projects at a time, until there were enough operations or the time is over."""
    began = time.monotonic()
    numbers = itertools.count() if order.project is None else iter((order.project,))

    async def one() -> None:
        for number in numbers:
            lived = Lived(scene, life(order.seed, number, order.moves))
            outcome = await lived.live()
            report.outcomes.append(outcome)
            report.minutes = (time.monotonic() - began) / 60
            _tell(report, outcome)
            report.save(scene.path)
            if report.operations >= order.operations or report.minutes >= order.minutes:
                return

    await asyncio.gather(*(one() for _ in range(order.width)))


def _tell(report: Report, outcome: Outcome) -> None:
    state = "VIOLATED" if outcome.bad else "held"
    rate = report.operations / report.minutes if report.minutes else 0
    say(
        f"{state:8} {outcome.project} {outcome.requests:4} requests {sum(outcome.operations.values()):3} "
        f"operations; all: {report.operations} in {report.minutes:.1f} min ({rate:.0f}/min)"
    )
    for one in outcome.bad:
        say(f"         {one}")


def say(line: str) -> None:
    """To whoever watches."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run(order: Order, path: Path) -> Report:
    """A campaign from beginning to end; figures and failing recordings are left in `path`."""
    report = Report(order.seed, order.moves)
    asyncio.run(campaign(order, path, report))
    report.save(path)
    return report


def main() -> int:
    """Run a campaign; exit 1 if anything was violated, void or broken."""
    parser = argparse.ArgumentParser(
        prog="tests.faults.campaign", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--width", type=int, default=16, help="projects at once")
    parser.add_argument("--project", type=int, help="only this project's plan")
    parser.add_argument("--moves", type=int, default=MOVES, help="requests of one project")
    parser.add_argument("--great-every", type=float, default=20.0, help="seconds between great faults")
    parser.add_argument("--small-every", type=float, default=1.2, help="seconds between small faults")
    parser.add_argument(
        "--blob-rate", type=float, default=0.02, help="share of a worker's writes to blobs that is struck"
    )
    parser.add_argument("--directory", type=Path, help="where stack, logs and recordings are kept")
    found = vars(parser.parse_args())
    path = found.pop("directory") or Path(tempfile.mkdtemp(prefix="labelbridge-campaign-"))
    order = Order(**found)
    say(f"seed {order.seed}; logs and recordings: {path}")
    report = run(order, path)
    for one in report.bad:
        say(one)
    say(json.dumps(report.figures(), indent=1, ensure_ascii=False))
    return 1 if report.bad or not report.outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
