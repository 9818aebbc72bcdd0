"""However often a task is tried, it is one operation, until that fails or somebody clears the task."""

from datetime import UTC, datetime, timedelta

import pytest

from labelbridge.airflow.attaching import TaskTry, attach, explained, settings_for, worth_another_try
from labelbridge.client import Labelbridge
from labelbridge.errors import CATALOGUE, LabelbridgeError
from labelbridge.model import ErrorInfo, Finding, Outcome, Severity, Submission, SyncRequest, TrainRequest
from tests.conftest import NewProject

FIRST = TaskTry("labels", "scheduled__2026-01-01T00:00:00+00:00", "sync", -1, 1)


def _again(**changed: object) -> TaskTry:
    return TaskTry(**{**FIRST.__dict__, **changed})


def test_each_try_knows_the_keys_of_the_tries_before_it() -> None:
    third = _again(try_number=3).keys()
    assert len(set(third)) == 3
    assert third[:1] == FIRST.keys()
    assert third[:2] == _again(try_number=2).keys()


@pytest.mark.parametrize(
    "changed", [{"dag_id": "other"}, {"run_id": "other"}, {"task_id": "other"}, {"map_index": 0}]
)
def test_another_task_has_other_keys(changed: dict[str, object]) -> None:
    assert not set(_again(**changed).keys()) & set(FIRST.keys())


def test_a_task_that_was_cleared_shares_no_key_with_its_tries_before() -> None:
    cleared = _again(try_number=4, first_try=4)
    assert len(cleared.keys()) == 1
    assert not set(cleared.keys()) & set(_again(try_number=3).keys())


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "first"),
    [(1, 2, 2, 1), (3, 2, 2, 1), (3, 4, 2, 3), (5, 4, 2, 3), (1, 0, 0, 1), (2, 1, 0, 2), (2, 2, 5, 1)],
)
def test_airflows_counts_tell_the_first_try_since_a_task_was_cleared(
    try_number: int, max_tries: int, retries: int, first: int
) -> None:
    made = TaskTry.of(
        dag_id="d",
        run_id="r",
        task_id="t",
        map_index=-1,
        try_number=try_number,
        max_tries=max_tries,
        retries=retries,
    )
    assert made.first_try == first


def test_ids_of_any_length_and_a_key_of_the_dags_author_make_keys_that_a_request_takes() -> None:
    longest = _again(dag_id="d" * 250, run_id="r" * 250, task_id="t" * 250, try_number=99)
    assert max(map(len, longest.keys())) <= 200
    assert longest.keys("nightly-7")[-1] == "nightly-7-99"
    assert Submission.model_fields["request_id"].metadata


def test_what_may_pass_is_tried_again_and_what_was_refused_for_good_is_not() -> None:
    again = {code for code in CATALOGUE if worth_another_try(LabelbridgeError(code))}
    assert {
        "temporal_unreachable",
        "no_worker",
        "operation_running",
        "drain_deadline",
        "azure_job_failed",
    } <= again
    assert not again & {
        "not_connected",
        "cancelled",
        "input_invalid",
        "preflight_failed",
        "labels_quarantined",
    }


def test_a_refusal_is_explained_with_the_command_that_mends_it() -> None:
    missing = Finding(
        code="role",
        severity=Severity.ERROR,
        message="A role is missing.",
        command="az role assignment create",
    )
    fine = Finding(code="reach", severity=Severity.OK, message="All is well.")
    error = LabelbridgeError.from_info(
        ErrorInfo(code="preflight_failed", message="The preflight found errors.", findings=(missing, fine))
    )
    text = explained(error)
    assert "az role assignment create" in text
    assert "All is well." not in text


def test_a_language_resource_that_is_no_arm_id_is_refused() -> None:
    with pytest.raises(LabelbridgeError, match="input_invalid"):
        settings_for("contoso-language")


async def test_a_retry_finds_the_operation_unless_that_failed(
    bridge: Labelbridge, new_project: NewProject
) -> None:
    project = new_project(documents=12, labelled=12).ref
    keys = _again(try_number=3).keys()

    # Refused on the way in: the next try asks anew.
    with pytest.raises(LabelbridgeError, match="not_connected"):
        await attach(bridge, project, SyncRequest(), keys[:1])
    with pytest.raises(LabelbridgeError, match="not_connected"):
        await attach(bridge, project, SyncRequest(), keys[:2])

    # Failed on its way: the same key finds the failure, the next try has an operation of its own.
    keys = _again(task_id="train", try_number=3).keys()
    unknown = TrainRequest(model="m1", labels="0" * 64)
    failed = await attach(bridge, project, unknown, keys[:1])
    with pytest.raises(LabelbridgeError):
        await failed.result(300)
    assert (await attach(bridge, project, unknown, keys[:1])).operation_id == failed.operation_id
    second = await attach(bridge, project, unknown, keys[:2])
    assert second.operation_id != failed.operation_id
    with pytest.raises(LabelbridgeError):
        await second.result(300)

    # Running, and then done: every later try finds it.
    keys = _again(task_id="again", try_number=3).keys()
    request = TrainRequest(model="m1")
    begun = datetime.now(UTC) - timedelta(minutes=5)
    first = await attach(bridge, project, request, keys[:1])
    assert (await attach(bridge, project, request, keys[:2])).operation_id == first.operation_id
    await first.result(300)
    assert (await attach(bridge, project, request, keys)).operation_id == first.operation_id
    entries = [one for one in await bridge.history(project) if one.started_at > begun]
    assert [one.outcome for one in entries].count(Outcome.COMMITTED) == 1
