"""Reads back, through Azure's own APIs, what an operation says it did.

Prevents a demo that trusts the product's answers: gates, labels, claim, record, data asset and model
are read as anybody with the operator's roles would read them, and label files are parsed here once
more, apart from the product's parsers.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labelbridge.local.api import (
    LABELING_VERSION,
    LANGUAGE,
    MACHINE_LEARNING_VERSION,
    Caller,
    CallError,
    segment,
)
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.referee import Entry, Labels, read_log
from labelbridge.local.seed import RECORDS_ACCOUNT, SeededProject, Tenant
from labelbridge.local.studios import Canonical, StudioClient, azureml_studio, language_studio
from labelbridge.model import GateState, JobRef, ProjectKind, Studio, arm_name

RECORDS_CONTAINER = "labelbridge"
PATIENCE = 10.0
"""Seconds for a read that may be stale; the local Azure shows old gates for less than one."""


@dataclass
class Evidence:
    """One project, its labeling job and its record, as the operator sees them."""

    tenant: Tenant
    project: SeededProject
    folder: ProjectFolder
    job: JobRef
    unit: str

    def __post_init__(self) -> None:
        """Sign in as the operator and read the documents' texts."""
        self.caller: Caller = self.tenant.caller("operator")
        self.texts = {name: self.folder.content(name).decode() for name in self.project.documents}
        self.studios: dict[Studio, StudioClient] = {
            Studio.LANGUAGE: language_studio(self.caller, self.project.ref, self.tenant.language_endpoint),
            Studio.AZUREML: azureml_studio(self.caller, self.job, self.unit),
        }

    def gates(self) -> GateState:
        """Both gates as Language's and ARM's APIs show them now."""
        language = self._language("GET", "").body
        try:
            job = self.caller.arm("GET", self.job.resource_id, version=LABELING_VERSION).body["properties"]
        except CallError as error:
            if error.status != 404:
                raise
            job = None
        return GateState(
            language_open=not (language.get("settings") or {}).get("isLabelingLocked", False),
            azureml_open=None if job is None else job["status"] == "Running" and not job.get("isArchived"),
        )

    def gates_become(self, language: bool, azureml: bool) -> bool:
        """True once the gates read so; False if they do not within `PATIENCE`."""
        wanted = GateState(language_open=language, azureml_open=azureml)
        return _within(PATIENCE, lambda: self.gates() == wanted)

    def linked_job(self) -> str | None:
        """What Language's settings name as the connected labeling job."""
        path = (self._language("GET", "").body.get("settings") or {}).get("amlProjectPath")
        return str(path) if path else None

    def job_is_retired(self) -> bool:
        """True if the labeling job is archived and refuses to be resumed."""
        url = self.job.resource_id
        if not self.caller.arm("GET", url, version=LABELING_VERSION).body["properties"].get("isArchived"):
            return False
        reply = self.caller.arm("POST", f"{url}/resume", version=LABELING_VERSION, expect=None)
        return reply.status >= 400

    def language_labels(self, trained_model: str | None = None) -> Labels:
        """What Language exports now, or held when a model was trained."""
        path = "/:export?stringIndexType=Utf16CodeUnit"
        if trained_model:
            path += f"&trainedModelLabel={segment(trained_model)}"
        job = self.caller.language_job(
            "POST", self.tenant.language_endpoint, f"/{segment(self.project.ref.name)}{path}"
        )
        return self.file_labels(self.caller.request("GET", job["resultUrl"], resource=LANGUAGE).body)

    def file_labels(self, file: dict[str, Any]) -> Labels:
        """Labels of a Language project file; documents without labels are left out."""
        found: dict[str, Canonical] = {}
        for row in file["assets"]["documents"]:
            labels = _language_row(self.project.kind, row)
            if labels:
                found[row["location"]] = labels
        return found

    def studio_labels(self, studio: Studio) -> Labels:
        """What the studio itself shows now."""
        client = self.studios[studio]
        return {
            name: client.canonical(self.project.kind, self.texts[name], labels)
            for name, labels in client.view().labels.items()
            if labels
        }

    def asset_labels(self, snapshot_id: str) -> Labels:
        """The labelled data asset that a switch to Azure ML delivered, in Azure ML's own JSONL."""
        url = f"{self.job.workspace}/data/labelbridge-{self.job.name}/versions/{snapshot_id[:16]}"
        uri = self.caller.arm("GET", url, version=MACHINE_LEARNING_VERSION).body["properties"]["dataUri"]
        path = uri.partition("/paths/")[2]
        blob = self.tenant.blobs("operator").get_blob_client(self.project.container, path)
        client = self.studios[Studio.AZUREML]
        found: dict[str, Canonical] = {}
        for line in blob.download_blob().readall().splitlines():
            row = json.loads(line)
            name = row["image_url"].rsplit("/", 1)[-1]
            if row["label"]:
                found[name] = client.canonical(self.project.kind, self.texts[name], row["label"])
        return found

    def snapshot(self, snapshot_id: str) -> Labels:
        """A stored snapshot, its content checked against its id."""
        data = self._record_blob(f"snapshots/{self.project.ref.key}/{snapshot_id}.jsonl")
        if hashlib.sha256(data).hexdigest() != snapshot_id:
            raise CallError(200, f"snapshot {snapshot_id} does not have its content's hash")
        found: dict[str, Canonical] = {}
        for line in data.splitlines()[1:]:
            row = json.loads(line)
            spans = tuple(sorted((start, length, name) for start, length, name in row.get("spans", ())))
            labels = (
                spans if self.project.kind is ProjectKind.ENTITIES else tuple(sorted(row.get("classes", ())))
            )
            if labels:
                found[row["document"]] = labels
        return found

    def claim(self) -> dict[str, Any]:
        """Who took the labeling job's name, for ever."""
        return dict(json.loads(self._record_blob(self.job.claim_key)))

    def record(self) -> dict[str, Any]:
        """The project's record."""
        return dict(json.loads(self._record_blob(f"projects/{self.project.ref.key}/record.json")))

    def model(self, label: str) -> dict[str, Any]:
        """A trained model, as Language describes it."""
        return dict(self._language("GET", f"/models/{segment(label)}").body)

    def log(self) -> list[Entry]:
        """The studios' log of the project and its labeling job."""
        account = arm_name(self.project.ref.language_resource)
        subjects = {
            f"{account}/{self.project.ref.name}": Studio.LANGUAGE,
            self.job.resource_id: Studio.AZUREML,
        }
        return read_log(self.caller, subjects)

    def differences(
        self, found: Labels, expected: Labels, *, since_opened: Studio | None = None
    ) -> list[str]:
        """Documents whose labels are not as expected.

        With `since_opened`, people label in that studio meanwhile: then a document may also hold any of
        the labels that the studio accepted since it was last opened.
        """
        allowed: dict[str, set[Canonical]] = {}
        if since_opened:
            client = self.studios[since_opened]
            for entry in self.log():
                if entry.studio is since_opened and entry.event == "opened":
                    allowed.clear()
                elif entry.studio is since_opened and entry.event == "write" and entry.document:
                    text = self.texts[entry.document]
                    labels = client.canonical(self.project.kind, text, entry.labels)
                    allowed.setdefault(entry.document, set()).add(labels)
        return [
            name
            for name in sorted(found.keys() | expected.keys())
            if found.get(name) != expected.get(name) and found.get(name) not in allowed.get(name, ())
        ]

    def _language(self, method: str, path: str) -> Any:
        return self.caller.language(
            method, self.tenant.language_endpoint, f"/{segment(self.project.ref.name)}{path}"
        )

    def _record_blob(self, name: str) -> bytes:
        blobs = self.tenant.blobs("operator", RECORDS_ACCOUNT)
        return blobs.get_blob_client(RECORDS_CONTAINER, name).download_blob().readall()


def _language_row(kind: ProjectKind, row: dict[str, Any]) -> Canonical:
    if kind is ProjectKind.SINGLE_LABEL:
        return (row["class"]["category"],) if row.get("class") else ()
    if kind is ProjectKind.MULTI_LABEL:
        return tuple(sorted(one["category"] for one in row.get("classes") or ()))
    return tuple(
        sorted(
            (label["offset"], label["length"], label["category"])
            for region in row.get("entities") or ()
            for label in region["labels"]
        )
    )


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
