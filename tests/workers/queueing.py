"""An operation that only takes turns, for `test_taking_turns`."""

import asyncio
from datetime import timedelta

from pydantic import BaseModel
from temporalio import workflow

from labelbridge.errors import LabelbridgeError
from labelbridge.model import ProjectRef, StepProgress, StepState
from labelbridge.model.steps import Timing
from labelbridge.plans import Step
from workflows._errors import as_failure
from workflows._turns import Turns

SECOND = timedelta(seconds=1)
MARGINS = Timing(
    effect_deadline=SECOND,
    effect_timeout=3 * SECOND,
    drain=SECOND,
    settle=SECOND,
    drain_deadline=SECOND,
    look_again=SECOND,
    step_patience=SECOND,
    poll=SECOND,
    role_poll=SECOND,
    turns=True,
)


class Ask(BaseModel):
    """Whose turns, how many beside each other, how urgent, and how patient."""

    project: ProjectRef
    turns: int = 1
    urgent: bool = False
    patience: timedelta = timedelta(minutes=5)


@workflow.defn
class Queueing(Turns):
    """Takes its turns and says how long it stood in line."""

    @workflow.init
    def __init__(self, ask: Ask) -> None:
        self.project = ask.project
        self.timing = MARGINS.model_copy(update={"turn_patience": ask.patience})
        self.steps = {
            Step.EXPORT: StepProgress(name=Step.EXPORT, state=StepState.RUNNING, note="as before"),
            Step.COMMIT: StepProgress(name=Step.COMMIT, state=StepState.WAITING),
        }

    @workflow.run
    async def run(self, ask: Ask) -> timedelta:
        try:
            turns = [self.turn("start_import", None, urgent=ask.urgent) for _ in range(ask.turns)]
            await asyncio.gather(*turns)
        except LabelbridgeError as error:
            raise as_failure(error.info) from error
        return self.queued

    @workflow.query
    def notes(self) -> list[str]:
        return [step.note for step in self.steps.values()]
