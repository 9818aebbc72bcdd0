"""Sync and train as tasks of a DAG.

Prevents worker slots that are taken for as long as people's labels take to travel (both defer by default), and
a second operation where a task is only tried again (see `attaching`). What was asked for goes on in Labelbridge
whatever becomes of the task: `labelbridge cancel` stops it.
"""

import asyncio
from abc import abstractmethod
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator

from labelbridge._submit import noun
from labelbridge.airflow._failures import failure
from labelbridge.airflow.attaching import TaskTry, attach, settings_for
from labelbridge.airflow.triggers import OperationTrigger
from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ErrorInfo,
    MergePolicy,
    OperationResult,
    ProjectRef,
    Request,
    SplitPolicy,
    SyncRequest,
    TrainRequest,
)

OPERATION_ID = "operation_id"
"""XCom key of the operation's id; there from the moment the operation was accepted."""


class _OperationOperator(BaseOperator):
    """Start an operation, or find the one that an earlier try started, and answer with what it made."""

    template_fields: tuple[str, ...] = ("project", "language_resource", "key")
    ui_color = "#d8e9f7"

    def __init__(
        self,
        *,
        project: str,
        language_resource: str | None = None,
        key: str | None = None,
        wait_for_roles: timedelta = timedelta(0),
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.language_resource = language_resource
        self.key = key
        self.wait_for_roles = wait_for_roles
        self.deferrable = deferrable

    @abstractmethod
    def request(self) -> Request:
        """What the task asks for, its templates rendered."""

    @abstractmethod
    def answer(self, result: OperationResult) -> dict[str, Any]:
        """What the task gives to others, as JSON."""

    def execute(self, context: Any) -> dict[str, Any]:
        """Start or find the operation; then wait in the triggerer, or here.

        Raises:
            AirflowFailException: the refusal; another try would be refused too.
            AirflowException: what may succeed when it is tried again.
        """
        try:
            project, operation_id = asyncio.run(self._begin(context))
        except LabelbridgeError as error:
            raise failure(error) from error
        self.log.info("%s is operation %s", self.request().kind, operation_id)
        context["ti"].xcom_push(OPERATION_ID, operation_id)
        trigger = OperationTrigger(project.name, operation_id, project.language_resource)
        if self.deferrable:
            self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)
        return self.execute_complete(context, asyncio.run(_first_event(trigger)))

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Go on where the trigger ended: answer, or fail with the operation's error."""
        if "error" in event:
            raise failure(LabelbridgeError.from_info(ErrorInfo.model_validate(event["error"])))
        result = OperationResult.model_validate(event["result"])
        if result.snapshot is not None and result.snapshot.quarantined:
            self.log.warning(
                "%s rows are in quarantine: %s", result.snapshot.quarantined, result.snapshot.quarantine
            )
        return self.answer(result)

    async def _begin(self, context: Any) -> tuple[ProjectRef, str]:
        request, keys = self.request(), _task_try(context).keys(self.key)
        async with Labelbridge.connect(settings_for(self.language_resource)) as bridge:
            project = bridge.project(self.project)
            handle = await attach(bridge, project, request, keys, wait_for_roles=self.wait_for_roles)
        return project, handle.operation_id


class LabelbridgeSyncOperator(_OperationOperator):
    """Bring Language up to date with the active studio; answers with the snapshot.

    The labels were exported after the task began, however many tasks ask at once.

    Args:
        project: name of the Language project (template).
        language_resource: ARM id of its resource (template); `LABELBRIDGE_LANGUAGE_RESOURCE` if None.
        merge: give Language the merge of both studios' labels instead of the active studio's.
        policy: what decides documents that both studios changed: `active`, `refuse` or `union`.
        split: `service`, `keep`, or None to leave Train and Test as they are.
        test_percent: with `keep`, the share of new documents in Test.
        allow_quarantine: go on although some rows cannot be read.
        key: start of the idempotency key (template); made of DAG, run, task and map index if None.
        wait_for_roles: how long to wait for a role assignment that is not there yet.
        deferrable: wait in the triggerer (the default) or in the worker's slot.

    XCom `return_value` is the snapshot (`id`, `documents`, `labels`, `taken_at`, ...), `operation_id` the operation.
    """

    template_fields = (*_OperationOperator.template_fields, "policy", "split")

    def __init__(
        self,
        *,
        merge: bool = False,
        policy: MergePolicy = "active",
        split: SplitPolicy | None = None,
        test_percent: int = 20,
        allow_quarantine: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.merge = merge
        self.policy = policy
        self.split = split
        self.test_percent = test_percent
        self.allow_quarantine = allow_quarantine

    def request(self) -> SyncRequest:
        """A sync."""
        return noun(
            SyncRequest,
            merge=self.merge,
            policy=self.policy,
            split=self.split or None,
            test_percent=self.test_percent,
            allow_quarantine=self.allow_quarantine,
        )

    def answer(self, result: OperationResult) -> dict[str, Any]:
        """The snapshot."""
        if result.snapshot is None:
            raise failure(LabelbridgeError("read_back_differs", "The sync named no snapshot."))
        return result.snapshot.model_dump(mode="json")


class LabelbridgeTrainOperator(_OperationOperator):
    """Train a model on named labels; answers with the model, which names the snapshot that was used.

    Args:
        project: name of the Language project (template).
        model: name of the model (template).
        labels: `latest`, `as-is`, or a snapshot's id (template), such as `{{ ti.xcom_pull("sync")["id"] }}`.
        deployment: deploy the model under this name (template).
        training_config_version: version of Language's training configuration (template).
        train_percent: share of the documents to train on.
        split: `service`, `keep`, or None; see `labelbridge train --split`.
        allow_quarantine: go on although some rows cannot be read.
        language_resource: see `LabelbridgeSyncOperator`, as for `key`, `wait_for_roles` and `deferrable`.

    XCom `return_value` is the model (`label`, `snapshot`, `evaluation`, ...), `operation_id` the operation.
    """

    template_fields = (
        *_OperationOperator.template_fields,
        "model",
        "labels",
        "deployment",
        "training_config_version",
        "split",
    )

    def __init__(
        self,
        *,
        model: str,
        labels: str = "latest",
        deployment: str | None = None,
        training_config_version: str = "latest",
        train_percent: int = 80,
        split: SplitPolicy | None = None,
        allow_quarantine: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.labels = labels
        self.deployment = deployment
        self.training_config_version = training_config_version
        self.train_percent = train_percent
        self.split = split
        self.allow_quarantine = allow_quarantine

    def request(self) -> TrainRequest:
        """A training."""
        return noun(
            TrainRequest,
            model=self.model,
            labels=self.labels,
            deployment=self.deployment or None,
            training_config_version=self.training_config_version,
            train_percent=self.train_percent,
            split=self.split or None,
            allow_quarantine=self.allow_quarantine,
        )

    def answer(self, result: OperationResult) -> dict[str, Any]:
        """The model."""
        if result.model is None:
            raise failure(LabelbridgeError("read_back_differs", "The training named no model."))
        return result.model.model_dump(mode="json")


def _task_try(context: Any) -> TaskTry:
    ti = context["ti"]
    return TaskTry.of(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        retries=context["task"].retries or 0,
    )


async def _first_event(trigger: OperationTrigger) -> dict[str, Any]:
    """What the trigger says, waited for in this process."""
    event = await anext(trigger.run())
    payload: dict[str, Any] = event.payload
    return payload
