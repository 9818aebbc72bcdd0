"""Standing in the queue of a Language resource, before a step that begins work there.

Prevents a wait for quota that eats a step's own time: the effect's deadline, its time-out and its patience
begin when the turn has come. The wait has a patience of its own and is in the timeline.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from labelbridge.errors import LabelbridgeError
from labelbridge.model import ProjectRef, StepProgress, StepState
from labelbridge.model.steps import Timing
from labelbridge.plans import Step
from labelbridge.throttling import turns

_AGAIN = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
"""A turn that ended with its worker is asked for again soon: there is no harm in it."""
_ATTEMPT = timedelta(minutes=30)
"""Longest that a turn may stand at the head of the line: through any `Retry-After` that is worth heeding."""


class Turns:
    """What an operation knows of its turns."""

    project: ProjectRef
    timing: Timing
    steps: dict[Step, StepProgress]
    queued: timedelta = timedelta(0)
    """How long this operation has stood in the queue so far."""

    async def turn(self, name: str, argument: object, *, urgent: bool = False) -> None:
        """Wait for this project's turn if the step needs one.

        An urgent step, which must be done, stands before all others, and goes on without a turn if none
        came; the turnstile in front of its request still holds it to the limit.

        Raises:
            LabelbridgeError: `throttled` if no turn came in `turn_patience`.
        """
        if not self.timing.turns or not turns.takes_turn(name, argument):
            return
        notes, since = self._say_that_it_waits(), workflow.now()
        try:
            await workflow.execute_activity(
                turns.TAKE_TURN,
                self.project,
                task_queue=turns.turn_queue(workflow.info().task_queue, self.project.resource_key),
                priority=Priority(
                    priority_key=turns.URGENT if urgent else None,
                    fairness_key=turns.fairness_key(self.project),
                ),
                start_to_close_timeout=_ATTEMPT,
                heartbeat_timeout=self.timing.effect_timeout,
                schedule_to_close_timeout=self.timing.turn_patience,
                retry_policy=_AGAIN,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            if not urgent:
                raise LabelbridgeError(
                    "throttled",
                    f"The Language resource's quota gave no turn within {self.timing.turn_patience}.",
                ) from error
            workflow.logger.warning("no turn came; an urgent step goes on without one")
        # Not in a `finally`: an eviction from the worker's cache would come by there too.
        self.queued += workflow.now() - since
        for step, note in notes.items():
            self.steps[step] = self.steps[step].model_copy(update={"note": note})

    def _say_that_it_waits(self) -> dict[Step, str]:
        """Put it beside the running steps; returns what stood there."""
        running = {s: p for s, p in self.steps.items() if p.state is StepState.RUNNING}
        for step, progress in running.items():
            self.steps[step] = progress.model_copy(update={"note": turns.WAITING})
        return {step: progress.note for step, progress in running.items()}
