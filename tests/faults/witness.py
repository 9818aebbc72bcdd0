"""Writes down what happens to one project: the logs of studios and labelers, the record, the trail.

Prevents evidence that comes from the product: blobs are read as bytes and parsed as plain JSON, the
studios' log is the local Azure's own, and what callers were told is noted as they were told it.
"""

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from labelbridge.local.api import Caller, CallError
from labelbridge.local.demo_evidence import RECORDS_CONTAINER, Evidence
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.labelers import Labelers
from labelbridge.local.seed import ADMIN, RECORDS_ACCOUNT, SeededProject
from labelbridge.local.stack import Stack
from labelbridge.local.studios import is_open
from labelbridge.model import JobRef, Studio, arm_name
from tests.faults.recording import (
    Ask,
    Claim,
    Disturbance,
    Entry,
    Export,
    Final,
    Labels,
    Line,
    Look,
    Recording,
    Version,
    Write,
    canonical,
)
from tests.faults.sampler import Pace, Sampler

PACE = Pace(least=0.3, most=1.0, share=8.0)
"""Of the looks at record and gates: at most a ninth of the time is spent on them, unless that were seldom."""
OVERLAP = 5.0
"""Seconds of exports that are read once more: two of them may have begun at one time."""
_SNAPSHOT = re.compile(r"\b[0-9a-f]{64}\b")


class StudioLog:
    """The studios' log of a whole local Azure, read once and kept."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._last = 0
        self._rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """Subject, case folded -> its lines: a long campaign's log is too long to search for each verdict."""
        self._exports: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def of(self, subjects: Iterable[str]) -> list[dict[str, Any]]:
        """All lines of these subjects up to now; names are compared without case."""
        wanted = {subject.casefold() for subject in subjects}
        with self._lock:
            while more := self._caller.request("GET", f"/studio/log?since={self._last}").body["value"]:
                for row in more:
                    self._rows[row["subject"].casefold()].append(row)
                self._last = more[-1]["sequence"]
            found = [row for subject in wanted for row in self._rows.get(subject, ())]
        return sorted(found, key=lambda row: row["sequence"])

    def exports(self, subjects: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """All exports that were asked of these subjects up to now (of all, if None), in order of time."""
        wanted = None if subjects is None else {subject.casefold() for subject in subjects}
        with self._lock:
            since = max((row["at"] for row in self._exports.values()), default=0.0) - OVERLAP
            for row in self._caller.request("GET", f"/studio/exports?since={max(since, 0.0)}").body["value"]:
                self._exports[row["id"]] = row
            rows = sorted(self._exports.values(), key=lambda row: row["at"])
        return [row for row in rows if wanted is None or row["subject"].casefold() in wanted]


class Witness:
    """Watches one project and its labeling job; `recording` is all that was seen."""

    pace = PACE

    def __init__(
        self,
        stack: Stack,
        log: StudioLog,
        project: SeededProject,
        folder: ProjectFolder,
        job: JobRef,
        path: Path,
    ) -> None:
        self.project = project
        self.job = job
        self.evidence = Evidence(stack.tenant, project, folder, job, stack.offset_unit)
        self.labelers = Labelers.of(
            stack.tenant, project, path / f"{project.ref.name}.jsonl", people=("ann",), pace=0.3, job=job
        )
        self.asks: list[Ask] = []
        self._log = log
        self.tenant = stack.tenant
        self._looks: list[Look] = []
        self._versions: list[Version] = []
        self._claims: list[Claim] = []
        self._snapshots: dict[str, Labels] = {}
        self.disturbances: list[Disturbance] = []
        self._since = 0.0
        self._labelled = 0
        self._looking = threading.RLock()
        """One look at a time: of two, the slower would note the older record last."""
        self._sampler = Sampler(self.look, self.pace)

    def watch(self) -> None:
        """Let the sampler begin."""
        self._sampler.start()

    def leave(self) -> None:
        """Everybody goes home."""
        self._sampler.stop()
        self.labelers.stop()

    def recording(self) -> Recording:
        """All that was witnessed so far; call it while nobody labels, and once for each verdict.

        Raises:
            BlindError: the sampler has died; or whatever else keeps it from seeing.
        """
        self._sampler.heed()
        until = time.time()
        self.look(sampled=False)
        trail = self._trail()
        models = self._versions[-1].record["models"] if self._versions else []
        named = {one for entry in trail for one in entry.snapshots}
        named |= {ask.snapshot for ask in self.asks if ask.snapshot} | {model["snapshot"] for model in models}
        for one in named - self._snapshots.keys():
            self._snapshots[one] = dict(self.evidence.snapshot(one))
        found = Recording(
            project=self.project.ref.name,
            final=Final(
                language=self._held(Studio.LANGUAGE),
                azureml=self._held(Studio.AZUREML) if self._has_job else {},
                trained={m["label"]: dict(self.evidence.language_labels(m["label"])) for m in models},
                jobs=self._jobs_before(),
            ),
            log=tuple(self._lines()),
            writes=tuple(self._writes()),
            looks=tuple(self._looks),
            versions=tuple(self._versions),
            claims=tuple(self._claims),
            asks=tuple(self.asks),
            trail=tuple(trail),
            snapshots=dict(self._snapshots),
            exports=tuple(self._exports()),
            disturbances=tuple(self.disturbances),
            since=self._since,
        )
        self._since, self._labelled = until, self.labelers.acknowledged()
        return found

    @property
    def has_news(self) -> bool:
        """True once somebody labelled and the sampler looked since the last verdict."""
        since = (look for look in reversed(self._looks) if look.sampled and look.at > self._since)
        looked = any(look.azureml is not None or not self._has_job for look in since)
        return looked and self.labelers.acknowledged() > self._labelled

    def exists(self) -> bool:
        """True if Language has the project."""
        return is_open(self.evidence.studios[Studio.LANGUAGE]) is not None

    @property
    def record(self) -> dict[str, Any] | None:
        """The record as it was last read."""
        return self._versions[-1].record if self._versions else None

    def edit_record(self, changes: dict[str, Any]) -> None:
        """Change the record past Labelbridge, and see that it has changed."""
        blob = self._records.get_blob_client(f"projects/{self.project.ref.key}/record.json")
        found = blob.download_blob()
        record = {**json.loads(found.readall()), **changes}
        blob.upload_blob(
            json.dumps(record, indent=1),
            overwrite=True,
            etag=found.properties.etag,
            match_condition=MatchConditions.IfNotModified,
        )
        self.look(sampled=False)

    def delete_claim(self) -> None:
        """Delete the labeling job's claim past Labelbridge."""
        with self._looking:
            self._look(sampled=False)
            self._records.delete_blob(self.job.claim_key)
            self._claims.append(replace(self._claims[-1], at=time.time(), deleted=True))

    def look(self, *, sampled: bool = True) -> None:
        """One look at record, claim and both gates."""
        with self._looking:
            self._look(sampled=sampled)

    def _look(self, *, sampled: bool) -> None:
        began = time.time()
        studios = self.evidence.studios
        language, azureml = is_open(studios[Studio.LANGUAGE]), is_open(studios[Studio.AZUREML])
        self._looks.append(Look(began, language, azureml, sampled))
        found = self._blob(f"projects/{self.project.ref.key}/record.json")
        if found and (not self._versions or self._versions[-1].etag != found[1]):
            self._versions.append(Version(began, found[1], found[0]))
        claim = self._blob(self.job.claim_key)
        if claim:
            holder = claim[0]
            self._claims.append(
                Claim(began, self.job.name, holder["project"]["name"], holder["operation_id"])
            )

    @property
    def _has_job(self) -> bool:
        return any(look.azureml is not None for look in self._looks)

    def _held(self, studio: Studio) -> Labels:
        """What a studio shows now; nothing if it has no such project."""
        try:
            return dict(self.evidence.studio_labels(studio))
        except CallError as error:
            if error.status != 404:
                raise
            return {}

    def _jobs_before(self) -> dict[str, Labels]:
        """What labeling jobs hold that are not connected any more."""
        return {}

    @cached_property
    def _records(self) -> ContainerClient:
        return self.tenant.blobs("operator", RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)

    def _blob(self, name: str) -> tuple[dict[str, Any], str] | None:
        try:
            download = self._records.download_blob(name)
        except ResourceNotFoundError:
            return None
        return json.loads(download.readall()), str(download.properties.etag)

    def _trail(self) -> list[Entry]:
        names = [blob.name for blob in self._records.list_blobs(f"audit/{self.project.ref.key}/")]
        found = [self._blob(name) for name in names]
        return sorted((_entry(one[0]) for one in found if one), key=lambda entry: entry.ended_at)

    def opened_by_people(self) -> set[int]:
        """Numbers of the studios' lines in which a person, and not Labelbridge, opened a gate."""
        admin = self.tenant.principals[ADMIN].object_id
        rows = self._log.of(self._subjects())
        return {row["sequence"] for row in rows if row["event"] == "opened" and row["by"] == admin}

    def _subjects(self) -> dict[str, Studio]:
        """The studios' own names of this project and its labeling job."""
        account = arm_name(self.project.ref.language_resource)
        return {
            f"{account}/{self.project.ref.name}".casefold(): Studio.LANGUAGE,
            self.job.resource_id.casefold(): Studio.AZUREML,
        }

    def _exports(self) -> Iterable[Export]:
        worker = self.tenant.principals["worker"].object_id
        subjects = self._subjects()
        for row in self._log.exports(subjects):
            if row["by"] == worker:
                yield Export(row["at"], row["studio"], row["subject"])

    def _lines(self) -> Iterable[Line]:
        subjects = self._subjects()
        for row in self._log.of(subjects):
            studio = subjects[row["subject"].casefold()]
            document = row["document"] or ""
            labels = self._canonical(studio, document, row["labels"]) if document else None
            yield Line(
                row["sequence"], studio.value, row["subject"], row["event"], row["at"], document, labels
            )

    def _canonical(self, studio: Studio, document: str, labels: Any) -> Any:
        text = self.evidence.texts[document]
        return canonical(self.evidence.studios[studio].canonical(self.project.kind, text, labels))

    def _writes(self) -> Iterable[Write]:
        for write in self.labelers.log():
            at = datetime.fromisoformat(write.at).timestamp()
            labels = canonical(write.labels)
            answered = write.outcome == "acknowledged"
            yield Write(write.studio.value, write.document, labels, at, write.sequence, answered)


def _entry(found: dict[str, Any]) -> Entry:
    result = found.get("result") or {}
    merge = result.get("merge") or {}
    named = [(result.get("snapshot") or {}).get("id"), merge.get("snapshot"), *merge.get("originals", ())]
    for note in (*found.get("notes", ()), *result.get("notes", ())):
        named += _SNAPSHOT.findall(note)
    model = result.get("model") or {}
    return Entry(
        operation=found["operation_id"],
        kind=found["kind"],
        outcome=found["outcome"],
        active=found["active"],
        epoch=found["epoch"],
        started_at=datetime.fromisoformat(found["started_at"]).timestamp(),
        ended_at=datetime.fromisoformat(found["ended_at"]).timestamp(),
        snapshots=tuple(dict.fromkeys(one for one in named if one)),
        model=model.get("label"),
        labels=model.get("labels"),
    )
