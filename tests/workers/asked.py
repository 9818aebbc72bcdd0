"""A workflow that says in its memo what it came to, and is asked and updated meanwhile, for `test_whole_tasks`."""

from datetime import timedelta

from temporalio import workflow

WORK = "work"


@workflow.defn
class Asked:
    """Waits for one activity; its commands come in the order in which it hears of things."""

    def __init__(self) -> None:
        self.done = 0
        self.updates = 0

    @workflow.run
    async def run(self, queue: str) -> None:
        await workflow.execute_activity(WORK, task_queue=queue, start_to_close_timeout=timedelta(minutes=1))
        self.done += 1
        workflow.upsert_memo({"done": self.done})
        await workflow.wait_condition(lambda: self.updates > 1)

    @workflow.update
    async def hear(self) -> int:
        self.updates += 1
        workflow.upsert_memo({"updates": self.updates})
        return self.done

    @workflow.query
    def how_far(self) -> int:
        return self.done
