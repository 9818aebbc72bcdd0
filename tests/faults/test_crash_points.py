"""A sample of what `make crashes` does whole: workers killed and frozen, operations stopped, no cache.

Everything here lives side by side on one stack, because a life mostly waits. `LABELBRIDGE_TESTS_SEED`
chooses other points.
"""

import asyncio
import os
import random

from labelbridge.model import ProjectKind
from tests.faults.coverage import covered
from tests.faults.crash_points import live, strike_all
from tests.faults.lives import Setting
from tests.faults.points import Point
from tests.faults.report import Report, point_of

SEED = int(os.environ.get("LABELBRIDGE_TESTS_SEED", "1"))
ZOMBIE = Point("to azureml", "labelbridge.switch", "set_gate", 2, "frozen late")
"""The worker that is about to open Azure ML freezes; the switch goes on without it, and then it wakes."""
IMPORT = Point("import", "labelbridge.import", "start_import", 1, "after")
"""The import is started, and nobody hears of it."""


async def test_whatever_dies_freezes_or_is_stopped_every_invariant_holds(setting: Setting) -> None:
    report, dice = Report(), random.Random(SEED)
    kinds = dice.sample(tuple(ProjectKind), 3)

    def somewhere(stage: str) -> Point:
        return dice.choice([point for point in covered() if point.stage == stage])

    await asyncio.gather(
        live(
            setting,
            report,
            ("connect", "to azureml"),
            {"connect": somewhere("connect"), "to azureml": ZOMBIE},
            kinds[0],
        ),
        live(setting, report, ("import",), {"import": IMPORT}, kinds[1]),
        live(setting, report, ("connect", "to azureml", "sync"), {}, kinds[2], cache=0),
        live(setting, report, ("connect undone early",), {}, kinds[0]),
        live(setting, report, ("connect", "to azureml terminated late"), {}, kinds[1]),
    )
    for _ in range(2):  # as `make crashes` does: a run may happen not to take the way to its point
        if missed := [Point.parse(point_of(run)) for run in report.missed]:
            await strike_all(setting, report, missed, len(missed))
    assert not report.bad, "\n".join(report.bad)
    assert len({point_of(run) for run in report.struck}) == 3, report.summary()
