"""Every operation, cancelled at each of its steps, and terminated at each of its steps.

Prevents a step at which a cancellation or a termination leaves a project half-way. The steps are those
of the operation's own plan, so a new step is interrupted without anybody listing it.
"""

import logging
import random
from collections.abc import Sequence

from labelbridge.model import ProjectKind, Studio
from labelbridge.plans import Step, steps_of
from tests.faults.lives import Life, Setting
from tests.faults.report import Report
from tests.faults.stages import CANCEL, STAGES, TERMINATE, interrupted

PRELUDES: dict[str, tuple[str, ...]] = {
    "connect": (),
    "to azureml": ("connect",),
    "to language": ("connect", "to azureml"),
    "sync": ("connect", "to azureml"),
    "train": ("connect", "to azureml"),
    "import": (),
    "disconnect": ("connect", "to azureml"),
}
"""What a project lives through before an operation can be asked for."""
PACES = (0.2, 0.6, 1.5)
"""Seconds by which each activity is held up: more at each try, if the step passed before anybody saw it."""
UNSEEN = (Step.SNAPSHOT, Step.ANNOUNCE)
"""The first passes together with the step after it; at the second nothing is left to stop."""


async def interrupt(
    setting: Setting, report: Report, name: str, stop: str, only: Sequence[Step] = ()
) -> None:
    """Stop one operation at each of its steps (or at these), on as many projects as it takes."""
    waiting, missed = list(only), 0
    life: Life | None = None
    try:
        while True:
            life = await _prepared(setting, report, name)
            waiting = waiting or [step for step in _steps(life, name) if step not in UNSEEN]
            ready = True
            while waiting and ready:
                run = await life.live(interrupted(name, stop, waiting[0], PACES[missed]))
                report.add(run)
                missed = 0 if run.reached else missed + 1
                if missed in (0, len(PACES)):
                    waiting, missed = waiting[1:], 0
                ready = _is_ready(life, name)
            await life.end()
            if not waiting:
                return
    except Exception as error:
        logging.getLogger(__name__).exception("a life broke")
        report.broken.append(f"{name}: {stop}, {[step.name for step in waiting]} were left: {error!r}")
        if life is not None:
            await life.end()


async def _prepared(setting: Setting, report: Report, name: str) -> Life:
    kind = random.Random(name).choice(tuple(ProjectKind))
    life = await (Life.unborn if name == "import" else Life.begin)(setting, kind)
    for stage in PRELUDES[name]:
        report.add(await life.live(stage))
    return life


def _steps(life: Life, name: str) -> tuple[Step, ...]:
    before = PRELUDES[name]
    active = Studio.AZUREML if "to azureml" in before else Studio.LANGUAGE
    return steps_of(life.request(STAGES[name]), active=active, connected="connect" in before)


def _is_ready(life: Life, name: str) -> bool:
    """True if the operation can be asked for once more: of connect and import only on another project."""
    record, before = life.witness.record, PRELUDES[name]
    if not before or record is None or record["connection"] is None:
        return False
    return bool(record["active"] == ("azureml" if "to azureml" in before else "language"))


def all_interruptions() -> list[tuple[str, str]]:
    """Operation and way to stop it."""
    return [(name, stop) for name in PRELUDES for stop in (CANCEL, TERMINATE)]
