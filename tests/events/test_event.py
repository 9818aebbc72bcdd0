"""What the end of an operation tells."""

from datetime import UTC, datetime

import pytest

from labelbridge.events import event
from labelbridge.events.event import EventType
from labelbridge.model import (
    Actor,
    AuditEntry,
    Drift,
    DriftCode,
    ErrorInfo,
    ModelRecord,
    OperationKind,
    OperationResult,
    Outcome,
    ProjectRef,
    Studio,
)

PROJECT = ProjectRef(
    language_resource="/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a",
    name="tickets",
)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Actor(object_id="1", name="ann")


def _entry(kind: OperationKind, outcome: Outcome, **result: object) -> AuditEntry:
    done = OperationResult.model_validate(
        {
            "operation_id": "000007-x",
            "kind": kind,
            "active": Studio.LANGUAGE,
            "epoch": 3,
            "started_at": AT,
            "ended_at": AT,
            **result,
        }
    )
    committed = outcome is Outcome.COMMITTED
    return AuditEntry(
        operation_id="000007-x",
        project=PROJECT,
        kind=kind,
        actor=ANN,
        outcome=outcome,
        epoch=3,
        active=Studio.LANGUAGE,
        started_at=AT,
        ended_at=AT,
        result=done if committed else None,
        error=None if committed else ErrorInfo(code="drain_deadline", message="m", remedy="r"),
    )


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.CANCELLED, Outcome.REFUSED])
def test_an_operation_that_did_not_commit_tells_how_and_why(outcome: Outcome) -> None:
    (found,) = event.events_of(_entry(OperationKind.SWITCH, outcome))
    assert found.type == EventType.ROLLED_BACK
    assert found.data["outcome"] == outcome.value
    assert found.data["error"] == {"code": "drain_deadline", "message": "m", "remedy": "r"}
    assert found.data["operation"]["actor"] == {"object_id": "1", "name": "ann"}


def test_a_training_tells_its_model() -> None:
    model = ModelRecord(label="m1", snapshot="a" * 64, labels="latest", trained_at=AT)
    found = event.events_of(_entry(OperationKind.TRAIN, Outcome.COMMITTED, model=model))
    assert [one.type for one in found] == [EventType.COMMITTED, EventType.TRAINED]
    assert found[1].data["model"]["snapshot"] == "a" * 64


def test_a_look_at_the_fleet_tells_only_what_it_found() -> None:
    drift = [Drift(code=DriftCode.AZUREML_OPEN, message="open", outcome="closed")]
    (found,) = event.events_of(_entry(OperationKind.RECONCILE, Outcome.COMMITTED, drift=drift))
    assert found.type == EventType.DRIFT
    assert found.data["drift"][0]["code"] == "azureml_open"
    assert event.events_of(_entry(OperationKind.RECONCILE, Outcome.COMMITTED)) == ()
    assert event.started(PROJECT, "000007-x", OperationKind.RECONCILE, ANN, AT) is None


def test_the_same_occurrence_has_one_id_and_others_have_others() -> None:
    twice = [event.started(PROJECT, "000007-x", OperationKind.SYNC, ANN, AT) for _ in range(2)]
    assert twice[0] is not None
    assert twice[1] is not None
    assert twice[0].id == twice[1].id
    other = PROJECT.model_copy(update={"name": "other"})
    errors = [ErrorInfo(code=code, message="") for code in ("forbidden", "job_gone")]
    more = [
        event.started(other, "000007-x", OperationKind.SYNC, ANN, AT),
        event.started(PROJECT, "000008-x", OperationKind.SYNC, ANN, AT),
        *event.events_of(_entry(OperationKind.SYNC, Outcome.COMMITTED)),
        *(event.person_needed(PROJECT, "000007-x", OperationKind.SYNC, error, AT) for error in errors),
    ]
    ids = {one.id for one in more if one} | {twice[0].id}
    assert len(ids) == 6
    assert not any("." in one for one in ids), "Standard Webhooks joins id, time and body with full stops"


def test_an_event_is_a_cloudevent_of_small_size() -> None:
    (found,) = event.events_of(_entry(OperationKind.SYNC, Outcome.COMMITTED))
    plain = found.model_dump(mode="json")
    assert (plain["specversion"], plain["datacontenttype"]) == ("1.0", "application/json")
    assert plain["source"] == f"{PROJECT.language_resource}/projects/tickets"
    assert plain["time"] == "2026-03-01T12:00:00Z"
    assert len(found.encoded()) < 2000
