"""Run by a test's Airflow: tasks that lose their worker, one for each project; and the sensor, looking often."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowException

from labelbridge.airflow.operators import LabelbridgeSyncOperator
from labelbridge.airflow.sensors import LabelbridgeSyncSensor

START = datetime(2026, 1, 1, tzinfo=UTC)


class LosesItsWorker(LabelbridgeSyncOperator):
    """Its first try is lost once the request was accepted, before anything of it is kept."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Sync; not deferred, so that both ways of waiting are tried."""
        self.lost = context["ti"].try_number == 1
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """The worker is gone when the answer comes."""
        if self.lost:
            raise AirflowException("the worker is lost")
        return super().execute_complete(context, event)


@task
def projects(names: str) -> list[str]:
    """Names of projects, separated by spaces."""
    return names.split()


@task
def report(found: Any, path: str) -> None:
    """Write down what the tasks before answered."""
    Path(path).write_text(json.dumps(list(found) if not isinstance(found, dict) else found))


PARAMS = {"projects": "", "report": ""}

with DAG("tried", schedule=None, start_date=START, params=PARAMS):
    names = projects("{{ params.projects }}")
    tried = LosesItsWorker.partial(
        task_id="sync", deferrable=False, retries=2, retry_delay=timedelta(0)
    ).expand(project=names)
    report(tried.output, "{{ params.report }}")

with DAG("waits", schedule=None, start_date=START, params=PARAMS):
    waits = LabelbridgeSyncSensor(task_id="synced", project="{{ params.projects }}", poke_interval=1)
    report(waits.output, "{{ params.report }}")
