"""Sweep: one look at the whole fleet, by lists; projects that seem to differ are asked to reconcile.

Promises: an idle fleet costs one step, whatever its size; a project is never touched from here, only by
its own entity, between two of its operations. Started by a Schedule (docs/decisions/0013).
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError

from labelbridge import names
from labelbridge.model.sweeps import Asking, Survey, Suspect, SweepResult
from workflows._errors import as_failure, as_info

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_PARALLEL = 10
"""Entities asked at once."""


@workflow.defn(name=names.SWEEP_WORKFLOW)
class SweepWorkflow:
    """One sweep."""

    versioning_behavior = VersioningBehavior.PINNED

    @workflow.run
    async def run(self) -> SweepResult:
        """Look, and ask; a sweep that cannot look fails, and the next one looks again."""
        try:
            survey: Survey = await workflow.execute_activity(
                "survey",
                result_type=Survey,
                start_to_close_timeout=timedelta(minutes=30),
                schedule_to_close_timeout=timedelta(hours=1),
                heartbeat_timeout=timedelta(minutes=1),
                retry_policy=_RETRY,
            )
        except ActivityError as error:
            raise as_failure(as_info(error)) from error
        for problem in survey.problems:
            workflow.logger.warning("not looked at: %s: %s", problem.code, problem.message)
        gate = asyncio.Semaphore(_PARALLEL)

        async def ask(suspect: Suspect) -> str | None:
            async with gate:
                return suspect.project.key if await self._ask(suspect) else None

        answers = await asyncio.gather(*(ask(suspect) for suspect in survey.suspects))
        asked = tuple(key for key in answers if key is not None)
        return SweepResult(projects=survey.projects, asked=asked, problems=survey.problems)

    async def _ask(self, suspect: Suspect) -> bool:
        try:
            asked: bool = await workflow.execute_activity(
                "ask_to_reconcile",
                Asking(suspect=suspect, sweep=workflow.info().run_id),
                result_type=bool,
                start_to_close_timeout=timedelta(seconds=20),
                schedule_to_close_timeout=timedelta(minutes=2),
                retry_policy=_RETRY,
            )
        except ActivityError as error:  # the next sweep asks again
            workflow.logger.warning("%s was not asked: %s", suspect.project.key, as_info(error).message)
            return False
        return asked
