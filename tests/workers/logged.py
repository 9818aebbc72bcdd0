"""A workflow and an activity that log, for `test_logs`."""

from datetime import timedelta

from pydantic import BaseModel
from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import structlog

log = structlog.get_logger("labelbridge.test")


class Step(BaseModel):
    """An activity argument that knows its epoch."""

    epoch: int


@activity.defn
async def speak(step: Step) -> None:
    log.info("from activity", step=step.epoch)


@workflow.defn
class Logged:
    """Three workflow tasks, so that without a cache the first two are replayed."""

    def __init__(self) -> None:
        self.epoch = 7

    @workflow.run
    async def run(self) -> None:
        for number in range(3):
            log.info("from workflow", number=number)
            workflow.logger.warning("from the SDK's logger %d", number)
            await workflow.execute_activity(
                speak, Step(epoch=number), start_to_close_timeout=timedelta(seconds=30)
            )
