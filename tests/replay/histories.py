"""Saved histories: how they are cleaned, stored, and read for what they are.

Prevents two failures: a repository that names the machine on which they were made (hosts, ports, folders
and process ids are taken out; they are no part of what a replay compares), and a list that says how a
history ended, which the history itself says better.
"""

import base64
import gzip
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

from labelbridge.lifecycle import State, ask_of, state_of
from labelbridge.model import Outcome, Phase, ProjectStatus
from labelbridge.model.steps import Begin, OperationOrder
from labelbridge.model.sweeps import DriftSeen
from tests.replay.endings import Ending

HERE = Path(__file__).parent
FOLDER = HERE / "histories"
MANIFEST = "manifest.json"
RELEASED = HERE / "released.json"
PRODUCT: str = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]["version"]
_OPERATION = re.compile(r"labelbridge\.(connect|switch|sync|train|import|disconnect|recover|reconcile)")
_LOOPBACK = re.compile(r"\bhttps?://(127\.0\.0\.1|localhost)(:\d+)?")
_LOOPBACK_HOST = re.compile(r"\b(127\.0\.0\.1|localhost)(:\d+)?\b")
_PATHS = re.compile(r'(?<![\w/.\-])/(tmp|work|home|root|usr|var)/[^\s",:]+')
_PROCESS = re.compile(r"\b\d+@[\w.\-]+")
"""A worker's identity, and the start of its sticky queue's name."""
_DROPPED = ("stackTrace", "workerVersion")
"""Of an event: what names a machine or a build, and no replay reads."""


@dataclass(frozen=True)
class Saved:
    """One history."""

    name: str
    product: str
    history: dict[str, Any]
    """As Temporal's JSON has it."""

    @classmethod
    def of(cls, name: str, history: WorkflowHistory) -> "Saved":
        """A history as the server gave it, cleaned."""
        return cls(re.sub(r"[^a-z0-9]+", "-", name), PRODUCT, cleaned(history.to_json_dict()))

    @classmethod
    def all(cls) -> "list[Saved]":
        """Every saved history, of every version."""
        found = []
        for file in FOLDER.glob("*/*.json.gz"):
            history = json.loads(gzip.decompress(file.read_bytes()))
            found.append(cls(file.name.removesuffix(".json.gz"), file.parent.name, history))
        return sorted(found, key=lambda one: (one.product, one.name))

    @property
    def replayable(self) -> WorkflowHistory:
        """What Temporal's replayer takes."""
        return WorkflowHistory.from_json(f"{self.product}/{self.name}", self.history)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events, in order."""
        return list(self.history["events"])

    @cached_property
    def workflow(self) -> str:
        """Name of the workflow's type."""
        return str(self.events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])

    @property
    def is_operation(self) -> bool:
        """True for an operation on a project."""
        return _OPERATION.fullmatch(self.workflow) is not None

    @property
    def end(self) -> str:
        """What Temporal calls it: `completed`, `failed`, `canceled`, `terminated`, `continued`, `running`."""
        found = re.fullmatch(r"EVENT_TYPE_WORKFLOW_EXECUTION_(\w+)", self.events[-1]["eventType"])
        known = ("COMPLETED", "FAILED", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW")
        if found is None or found[1] not in known:
            return "running"
        return "continued" if found[1] == "CONTINUED_AS_NEW" else found[1].lower()

    # Of an operation.

    @cached_property
    def order(self) -> OperationOrder:
        """What the operation was asked."""
        given = self.events[0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0]
        return OperationOrder.model_validate(_decoded(given))

    @property
    def ask(self) -> str:
        """The operation as the table of legal transitions names it; `recover` has no place there."""
        request = self.order.submission.request
        return request.kind if request.kind == "recover" else ask_of(request).value

    @property
    def ending(self) -> Ending:
        """How it ended, by the audit entry that it wrote and the last event."""
        outcomes = [entry["outcome"] for entry in self.inputs("announce")]
        asked_to_stop = any(one["eventType"].endswith("EXECUTION_CANCEL_REQUESTED") for one in self.events)
        match self.end, outcomes[-1:]:
            case "terminated", _:
                return Ending.TERMINATED_LATE if self._is_committed else Ending.TERMINATED
            case _, [Outcome.ROLLED_BACK]:
                return Ending.ROLLED_BACK
            case _, [Outcome.CANCELLED]:
                return Ending.CANCELLED
            case "failed", _ if outcomes != [Outcome.COMMITTED]:
                return Ending.REFUSED
            case _:
                return Ending.COMPLETED if asked_to_stop else Ending.COMMITTED

    @property
    def _is_committed(self) -> bool:
        writes = [write["record"].get("transition") or {} for write in self.inputs("write_record")]
        return any(transition.get("phase") == Phase.COMMITTED for transition in writes)

    @property
    def state(self) -> State | None:
        """The project's state when it began; None if it never looked."""
        for begun in self.results("begin"):
            return state_of(Begin.model_validate(begun).status)
        for seen in self.results("find_drift"):
            looked = DriftSeen.model_validate(seen)
            record = looked.stored.record if looked.stored else None
            return state_of(ProjectStatus.of(self.order.project, record, known=looked.known))
        return None

    @property
    def recovered(self) -> tuple[str, str] | None:
        """Of a recovery: whose transition it found, and whether that was undone or finished."""
        found = [
            one["stored"]["record"].get("transition") for one in self.results("begin") if one.get("stored")
        ]
        if not found or not found[-1]:
            return None
        done = "finished" if found[-1]["phase"] == Phase.COMMITTED else "undone"
        return str(found[-1]["kind"]), done

    def inputs(self, activity: str) -> list[dict[str, Any]]:
        """What an activity was given, each time."""
        return [_decoded(one["input"]["payloads"][0]) for one in self._scheduled(activity).values()]

    def results(self, activity: str) -> list[dict[str, Any]]:
        """What an activity answered, each time."""
        scheduled = self._scheduled(activity)
        completed = (one.get("activityTaskCompletedEventAttributes") for one in self.events)
        return [
            _decoded(one["result"]["payloads"][0])
            for one in completed
            if one and one["scheduledEventId"] in scheduled
        ]

    def _scheduled(self, activity: str) -> dict[str, dict[str, Any]]:
        found = {}
        for event in self.events:
            one = event.get("activityTaskScheduledEventAttributes")
            if one and one["activityType"]["name"] == activity:
                found[event["eventId"]] = one
        return found


def releases() -> list[str]:
    """The versions that were released: their workflows run somewhere, their histories are never written again."""
    found: list[str] = json.loads(RELEASED.read_text())
    return found


def store(saved: Iterable[Saved]) -> None:
    """Replace this version's histories by these, with their manifest. Equal histories give equal files."""
    folder = FOLDER / PRODUCT
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    rows = []
    for one in sorted(saved, key=lambda one: one.name):
        data = json.dumps(one.history, ensure_ascii=False, separators=(",", ":")).encode()
        (folder / f"{one.name}.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
        rows.append(manifest_row(one))
    (folder / MANIFEST).write_text(json.dumps(rows, indent=1) + "\n")


def manifest_row(one: Saved) -> dict[str, Any]:
    """One line of the manifest."""
    row = {"name": one.name, "workflow": one.workflow, "end": one.end, "events": len(one.events)}
    if one.is_operation:
        row |= {"operation": one.ask, "ending": one.ending.value}
    return row


def cleaned(history: dict[str, Any]) -> dict[str, Any]:
    """The history without what names a machine."""
    found: dict[str, Any] = _cleaned(history)
    return found


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        if "data" in value and "metadata" in value:
            data = _scrubbed(base64.b64decode(value["data"]).decode())
            return {**value, "data": base64.b64encode(data.encode()).decode()}
        return {name: _cleaned(one) for name, one in value.items() if name not in _DROPPED}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, str):
        return _PROCESS.sub("worker", _scrubbed(value))
    return value


def _scrubbed(text: str) -> str:
    text = _LOOPBACK.sub("https://azure.invalid", text)
    return _PATHS.sub("PATH", _LOOPBACK_HOST.sub("azure.invalid", text))


def _decoded(payload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(payload["data"]))
    return found


def texts(value: Any) -> Iterator[str]:
    """Every text in a history, decoded."""
    if isinstance(value, dict):
        if "data" in value and "metadata" in value:
            yield base64.b64decode(value["data"]).decode()
            return
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value
