"""What the whole crash matrix has covered, held against what there is; this needs no stack."""

from typing import cast

import pytest
from temporalio import activity

import activities
from activities.turns import Turns
from labelbridge import names
from labelbridge.azure.session import AzureSession
from labelbridge.registry import Registry
from labelbridge.settings import RegistrySettings, Settings
from tests.faults.crash_points import covered
from tests.faults.stages import CHAINS, STAGES

BESIDE = {
    "deliver_events",
    "rewind_subscriber",
    "test_subscriber",
    "auto_sync",
    "survey",
    "ask_to_reconcile",
    "fleet_gather",
    "fleet_projects",
    "fleet_look",
    "fleet_submit",
    "fleet_await",
    "fleet_cancel",
    "fleet_page",
    "fleet_end",
}
"""Activities of no operation on a project (events, the fleet's schedule, fleet acts): no stage comes to them."""
NOT_YET = {
    "announce_person_needed",
    "begin",
    "cancel_training",
    "cancel_trainings",
    "claim",
    "create_job",
    "delete_project",
    "deploy_model",
    "drop_shards",
    "find_drift",
    "intend",
    "job_state",
    "join_shards",
    "merge_labels",
    "prepare_project",
    "read_labels_file",
    "retire_job",
    "take_turn",
}
"""Activities of operations that no recorded matrix has struck: the last one was cut off. The next whole
matrix strikes them, and then none may stand here."""
NO_OPERATION_YET = {"labelbridge.import", "labelbridge.reconcile", "labelbridge.recover"}
"""The same of operations."""


class _Session:
    """Stands for the clients: activities are only listed here, not run."""

    throttling = None

    def blobs(self, account: str) -> object:
        return object()


def _activities() -> set[str]:
    settings = Settings(_env_file=None, registry=RegistrySettings(account="records"))
    session, registry = cast("AzureSession", _Session()), cast("Registry", object())
    found = [*activities.all_activities(session, registry, settings), Turns(session).take_turn]
    return {str(activity._Definition.must_from_callable(one).name) for one in found}


def test_every_activity_that_a_worker_registers_has_been_struck() -> None:
    struck = {point.activity for point in covered()}
    missing = _activities() - struck - BESIDE - NOT_YET
    assert not missing, "run `make crashes`, with a stage that comes to them"


def test_every_operation_has_been_struck() -> None:
    known = {names.ENTITY_WORKFLOW, *names.OPERATION_WORKFLOWS.values()}
    missing = known - {point.workflow for point in covered()} - NO_OPERATION_YET
    assert not missing, "run `make crashes`, with a stage that comes to them"


def test_what_is_excused_exists_and_was_not_struck() -> None:
    excused = BESIDE | NOT_YET
    assert excused <= _activities()
    assert not excused & {point.activity for point in covered()}
    assert not NO_OPERATION_YET & {point.workflow for point in covered()}


@pytest.mark.parametrize("mode", ["before", "middle", "after"])
def test_workers_were_struck_before_in_the_middle_of_and_after_activities(mode: str) -> None:
    assert any(point.mode == mode for point in covered())


def test_every_stage_is_lived_through() -> None:
    assert {stage for chain in CHAINS for stage in chain} == STAGES.keys()
    assert {point.stage for point in covered()} <= STAGES.keys()
