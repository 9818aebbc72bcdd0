"""An automatic sync: one look at a project's policy, for its Schedule or for a label export.

Prevents a sync that Labelbridge's own export starts: while an operation runs that may have made the export,
this waits and asks again. The workflow's id comes from the event's source and id, so an event that is
delivered twice starts one.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior

from labelbridge import names
from labelbridge.events.orders import AutoSync, AutoSyncOutcome

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
_ATTEMPT = timedelta(minutes=2)
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(minutes=5)
"""Between two looks while an operation runs: a training of a day then makes some three hundred."""


@workflow.defn(name=names.AUTO_SYNC_WORKFLOW)
class AutoSyncWorkflow:
    """One reason for a sync."""

    versioning_behavior = VersioningBehavior.PINNED

    @workflow.run
    async def run(self, order: AutoSync) -> AutoSyncOutcome:
        """Ask for the sync, or say why not; does not wait for its end."""
        pause = _FIRST_PAUSE
        while True:
            found: AutoSyncOutcome = await workflow.execute_activity(
                "auto_sync",
                order,
                result_type=AutoSyncOutcome,
                start_to_close_timeout=_ATTEMPT,
                heartbeat_timeout=timedelta(seconds=30),
                retry_policy=_RETRY,
            )
            if found.outcome != "busy":
                return found
            await workflow.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
