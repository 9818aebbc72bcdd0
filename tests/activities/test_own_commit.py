"""A commit whose answer was lost, in a record that a person edited before it was tried again."""

from datetime import UTC, datetime

from activities.records import _is_written
from labelbridge.model import (
    Actor,
    OperationKind,
    Phase,
    ProjectKind,
    ProjectRef,
    Record,
    Studio,
    Transition,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"


def _record(operation: str, phase: Phase, by: str) -> Record:
    transition = Transition(
        operation_id=operation,
        kind=OperationKind.SWITCH,
        source=Studio.LANGUAGE,
        target=Studio.AZUREML,
        epoch=1,
        phase=phase,
        actor=Actor(object_id="o"),
        started_at=NOW,
    )
    project = ProjectRef(language_resource=RESOURCE, name="letters")
    return Record(
        project=project, kind=ProjectKind.ENTITIES, transition=transition, updated_at=NOW, updated_by=by
    )


def test_a_commit_that_stands_there_is_ones_own_although_somebody_edited_the_record_since() -> None:
    ours = _record("1-switch", Phase.COMMITTED, "1-switch")
    assert _is_written(ours, ours)
    assert _is_written(ours, _record("1-switch", Phase.COMMITTED, "somebody"))


def test_nothing_else_that_was_edited_since_counts_as_written() -> None:
    ours = _record("1-switch", Phase.COMMITTED, "1-switch")
    assert not _is_written(ours, _record("1-switch", Phase.DELIVERING, "somebody"))
    assert not _is_written(ours, _record("2-switch", Phase.COMMITTED, "2-switch"))
    draining = _record("1-switch", Phase.DRAINING, "1-switch")
    assert not _is_written(draining, _record("1-switch", Phase.DRAINING, "somebody"))
