"""Two DAGs: train every night on what was just synced; and use labels whenever somebody synced them."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from labelbridge.airflow.operators import LabelbridgeSyncOperator, LabelbridgeTrainOperator
from labelbridge.airflow.sensors import LabelbridgeSyncSensor

AGAIN = {"retries": 3, "retry_delay": timedelta(minutes=5)}

with DAG(
    "labels_train",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args=AGAIN,
    params={"project": "tickets", "model": "nightly"},
):
    sync = LabelbridgeSyncOperator(task_id="sync", project="{{ params.project }}")
    train = LabelbridgeTrainOperator(
        task_id="train",
        project="{{ params.project }}",
        model="{{ params.model }}",
        labels='{{ ti.xcom_pull("sync")["id"] }}',
    )
    sync >> train

with DAG(
    "labels_use",
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args=AGAIN,
    params={"project": "tickets"},
):
    synced = LabelbridgeSyncSensor(
        task_id="synced", project="{{ params.project }}", timeout=timedelta(hours=12), poke_interval=60
    )

    @task
    def use(snapshot: dict[str, str]) -> str:
        """Whatever comes next: the snapshot's id names its labels for ever."""
        return snapshot["id"]

    use(synced.output)
