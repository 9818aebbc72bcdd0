"""What is told: CloudEvents 1.0, in their JSON form.

Prevents two failures: one occurrence that is told under two ids (a repeated step makes the same id from
the same operation), and an event that carries labels or secrets (its data is counts, names and ids).
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from labelbridge.model import Actor, AuditEntry, ErrorInfo, Model, OperationKind, Outcome, ProjectRef


class EventType(StrEnum):
    """`type` of every event that Labelbridge writes; docs/events.md has the data of each."""

    STARTED = "io.labelbridge.operation.started"
    COMMITTED = "io.labelbridge.operation.committed"
    ROLLED_BACK = "io.labelbridge.operation.rolled_back"
    SYNCED = "io.labelbridge.labels.synced"
    TRAINED = "io.labelbridge.model.trained"
    DRIFT = "io.labelbridge.drift.found"
    PERSON = "io.labelbridge.person.needed"
    TEST = "io.labelbridge.events.test"


SILENT = frozenset({OperationKind.RECONCILE})
"""Operations of which only the findings are told: the scheduled look at a fleet is no news."""


class Event(Model):
    """One CloudEvent. `time` is when it happened; `sequence` is its place in the outbox."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    sequence: str = ""
    """CloudEvents' Sequence extension: decimal, of one width, so that text order is number order."""
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def cursor(self) -> int:
        """Its place in the outbox; 0 while it has none."""
        return int(self.sequence or 0)

    def encoded(self) -> bytes:
        """The bytes that are stored, signed and sent (`application/cloudevents+json`)."""
        return self.model_dump_json().encode()


def event_id(*parts: str) -> str:
    """An id that the same parts always give. It has no full stop: Standard Webhooks signs `id.time.body`."""
    return "evt_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def source_of(project: ProjectRef) -> str:
    """`source`: the Language resource's ARM id and the project, a path that no other project has."""
    return f"{project.language_resource}/projects/{project.name}"


def started(
    project: ProjectRef, operation_id: str, kind: OperationKind, actor: Actor, at: datetime
) -> Event | None:
    """An operation has begun; None for those of which that is no news."""
    if kind in SILENT:
        return None
    operation = {"id": operation_id, "kind": kind.value, "actor": _plain(actor), "started_at": at}
    return _event(EventType.STARTED, project, operation_id, at, {"operation": operation})


def person_needed(
    project: ProjectRef, operation_id: str, kind: OperationKind, error: ErrorInfo, at: datetime
) -> Event:
    """An operation cannot go on until somebody mends something; told once for each code."""
    operation = {"id": operation_id, "kind": kind.value}
    data = {"operation": operation, "error": _error(error)}
    return _event(EventType.PERSON, project, operation_id, at, data, error.code)


def events_of(entry: AuditEntry, synced: Model | None = None) -> tuple[Event, ...]:
    """What the end of an operation tells, in order.

    Args:
        entry: the operation's audit entry.
        synced: what `labels/latest.json` says if this operation moved it on.
    """
    found = list(_end(entry))
    if synced is not None:
        found.append(_of(entry, EventType.SYNCED, {"latest": _plain(synced)}))
    result = entry.result
    if result is not None and result.model is not None:
        found.append(_of(entry, EventType.TRAINED, {"model": _plain(result.model)}))
    if result is not None and result.drift:
        found.append(_of(entry, EventType.DRIFT, {"drift": [_plain(one) for one in result.drift]}))
    return tuple(found)


def _end(entry: AuditEntry) -> Iterable[Event]:
    if entry.kind in SILENT:
        return
    data: dict[str, Any] = {"outcome": entry.outcome.value, "active": entry.active.value}
    data |= {"epoch": entry.epoch, "notes": list(entry.notes)}
    if entry.outcome is Outcome.COMMITTED:
        result = entry.result
        data["snapshot"] = result.snapshot.id if result and result.snapshot else None
        data["labels_disabled_seconds"] = result.labels_disabled_seconds if result else None
        yield _of(entry, EventType.COMMITTED, data)
        return
    data["error"] = _error(entry.error) if entry.error else None
    yield _of(entry, EventType.ROLLED_BACK, data)


def _of(entry: AuditEntry, kind: EventType, data: dict[str, Any]) -> Event:
    operation = {
        "id": entry.operation_id,
        "kind": entry.kind.value,
        "actor": _plain(entry.actor),
        "started_at": entry.started_at,
        "ended_at": entry.ended_at,
    }
    return _event(kind, entry.project, entry.operation_id, entry.ended_at, {"operation": operation, **data})


def _event(
    kind: EventType, project: ProjectRef, operation_id: str, at: datetime, data: dict[str, Any], *more: str
) -> Event:
    place = {"name": project.name, "key": project.key, "language_resource": project.language_resource}
    return Event(
        id=event_id(project.key, operation_id, kind.value, *more),
        source=source_of(project),
        type=kind.value,
        subject=operation_id,
        time=at,
        data={"project": place, **data},
    )


def _error(error: ErrorInfo) -> dict[str, str]:
    """Code, message and remedy; findings and data stay in the audit trail."""
    return {"code": error.code, "message": error.message, "remedy": error.remedy}


def _plain(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json")
