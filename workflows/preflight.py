"""Preflight on its own: what `doctor` and `--dry-run` ask. Changes nothing."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError

from labelbridge import names
from labelbridge.model import Preflight, PreflightLook
from workflows._errors import as_failure, as_info


@workflow.defn(name=names.PREFLIGHT_WORKFLOW)
class PreflightWorkflow:
    """One look."""

    versioning_behavior = VersioningBehavior.PINNED

    @workflow.run
    async def run(self, look: PreflightLook) -> Preflight:
        """All findings at once."""
        try:
            seen: Preflight = await workflow.execute_activity(
                "preflight",
                look,
                result_type=Preflight,
                start_to_close_timeout=timedelta(minutes=5),
                retry_policy=RetryPolicy(maximum_attempts=3),
            )
        except ActivityError as error:
            raise as_failure(as_info(error)) from error
        return seen
