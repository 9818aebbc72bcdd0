"""How our errors become Airflow's; prevents a task that is tried again for an hour and refused each time."""

from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from labelbridge.airflow.attaching import explained, worth_another_try
from labelbridge.errors import LabelbridgeError


def failure(error: LabelbridgeError) -> Any:
    """The exception to raise: `AirflowFailException` ends a task whatever retries it has left."""
    kind = AirflowException if worth_another_try(error) else AirflowFailException
    return kind(explained(error))
