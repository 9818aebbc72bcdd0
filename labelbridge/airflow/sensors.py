"""Wait in a DAG for labels that somebody else syncs.

Prevents a pipeline that asks for a sync of its own where people, an export's event or `auto_sync` already make
them, and one that goes on with labels from before its run was due.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from labelbridge.airflow._failures import failure
from labelbridge.airflow.attaching import settings_for
from labelbridge.airflow.triggers import SyncedTrigger, synced_since
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.model import ErrorInfo, SnapshotRef

DUE = "{{ dag_run.run_after.isoformat() }}"
"""When the run was due: the end of its interval if it is scheduled, the moment it was asked for if not."""


class LabelbridgeSyncSensor(BaseSensorOperator):
    """Wait until a sync has committed whose labels were exported at or after `since`; starts none itself.

    Args:
        project: name of the Language project (template).
        since: ISO 8601 time with its zone (template); when the run was due if not given.
        language_resource: ARM id of its resource (template); `LABELBRIDGE_LANGUAGE_RESOURCE` if None.
        deferrable: look from the triggerer (the default) instead of from a worker, which then heeds `mode`.

    XCom `return_value` is that sync's snapshot.
    """

    template_fields = ("project", "since", "language_resource")
    ui_color = "#d8e9f7"

    def __init__(
        self,
        *,
        project: str,
        since: str = DUE,
        language_resource: str | None = None,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.since = since
        self.language_resource = language_resource
        self.deferrable = deferrable

    def execute(self, context: Any) -> Any:
        """Look here, or wait in the triggerer."""
        if self.deferrable:
            trigger = SyncedTrigger(
                self.project, self._moment().isoformat(), self.poke_interval, self.language_resource
            )
            self.defer(
                trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout)
            )
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Go on where the trigger ended: answer, or fail with what kept it from looking."""
        if "error" in event:
            raise failure(LabelbridgeError.from_info(ErrorInfo.model_validate(event["error"])))
        return SnapshotRef.model_validate(event["snapshot"]).model_dump(mode="json")

    def poke(self, context: Any) -> PokeReturnValue:
        """One look."""
        try:
            found = asyncio.run(self._look())
        except LabelbridgeError as error:
            if error.final:
                raise failure(error) from error
            self.log.warning("%s; looking again", error)
            found = None
        return PokeReturnValue(
            is_done=found is not None, xcom_value=found.model_dump(mode="json") if found else None
        )

    async def _look(self) -> SnapshotRef | None:
        async with Labelbridge.connect(settings_for(self.language_resource)) as bridge:
            return await synced_since(bridge, self.project, self._moment())

    def _moment(self) -> datetime:
        """`since` as a time; one without a zone is UTC, as all of Airflow's own are."""
        try:
            moment = datetime.fromisoformat(self.since)
        except ValueError as error:
            raise AirflowFailException(f"since: {self.since!r} is not an ISO 8601 time") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
