"""Scripted people who label in whichever studio accepts it, and note what was acknowledged.

Their log is the evidence for the two invariants that matter most: nothing that a studio acknowledged
may be lost, and never may both accept. So a write is noted as acknowledged only after the answer was
read, and one whose answer never came is noted as unknown: it may or may not have happened.

`python -m labelbridge.local.labelers --stack DIRECTORY --project NAME --job NAME` labels until it is
interrupted.
"""

import argparse
import json
import random
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from urllib3.exceptions import HTTPError

from labelbridge.local.api import CallError
from labelbridge.local.config import LocalConfig
from labelbridge.local.decisions import decide, surfaces
from labelbridge.local.seed import SeededProject, Tenant
from labelbridge.local.stack import CONFIG_FILE, TENANT_FILE
from labelbridge.local.studios import Canonical, Span, StudioClient, azureml_studio, language_studio
from labelbridge.model import JobRef, ProjectKind, ProjectRef, Studio

PACE = 0.25
"""Seconds a labeler thinks about a document."""
REFUSED_PAUSE = 0.2
"""Seconds until a labeler who was refused tries again, in the other studio first."""


@dataclass(frozen=True)
class Write:
    """One line of the labelers' log."""

    outcome: Literal["acknowledged", "unknown"]
    studio: Studio
    document: str
    labels: Canonical
    by: str
    at: str
    """When the answer was read (UTC, ISO 8601)."""
    sequence: int | None
    """The studio's own number for an acknowledged write."""

    def line(self) -> str:
        """As JSON."""
        return json.dumps({**self.__dict__, "studio": self.studio.value}, ensure_ascii=False)

    @classmethod
    def parse(cls, line: str) -> "Write":
        """Read what `line` wrote."""
        fields = json.loads(line)
        labels = tuple(tuple(one) if isinstance(one, list) else one for one in fields.pop("labels"))
        return cls(**{**fields, "labels": labels, "studio": Studio(fields["studio"])})


@dataclass
class _Desk:
    """What the labelers know together: texts, categories, surface forms."""

    kind: ProjectKind
    documents: tuple[str, ...]
    categories: tuple[str, ...]
    texts: dict[str, str]
    known: dict[str, str]


@dataclass
class Labelers:
    """A few people at work on one project; `start` and `stop` as often as one likes."""

    tenant: Tenant
    project: ProjectRef
    kind: ProjectKind
    log_file: Path
    people: tuple[str, ...] = ("ann", "ben")
    seed: int = 1
    pace: float = PACE
    unit: str = "utf16"
    """How this local Azure's Azure ML studio counts spans."""
    job: JobRef | None = None
    """The labeling job, once there is one; may be set while they work."""
    _writes: list[Write] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _failure: BaseException | None = None
    refusals: int = 0
    """How often a studio turned them away because it was gated."""

    @classmethod
    def of(cls, tenant: Tenant, project: SeededProject, log_file: Path, **options: Any) -> "Labelers":
        """Labelers of a project that was just made."""
        return cls(tenant, project.ref, project.kind, log_file, **options)

    def start(self) -> None:
        """Everybody sits down; returns at once after the project's texts were read."""
        desk = self._read_desk()
        self._ended.clear()
        self._threads = [
            threading.Thread(target=self._work, args=(person, desk), name=person, daemon=True)
            for person in self.people
        ]
        for thread in self._threads:
            thread.start()

    @property
    def at_work(self) -> bool:
        """True from `start` to `stop`."""
        return bool(self._threads)

    def stop(self) -> None:
        """Everybody finishes the document at hand; raises what ended somebody's work early."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self.check()

    def check(self) -> None:
        """Raise what ended somebody's work early."""
        if self._failure is not None:
            raise self._failure

    def log(self) -> tuple[Write, ...]:
        """All writes so far, in the order in which their answers were read."""
        with self._lock:
            return tuple(self._writes)

    def acknowledged(self, studio: Studio | None = None) -> int:
        """How many writes were acknowledged, in one studio or both."""
        return sum(write.outcome == "acknowledged" and studio in (None, write.studio) for write in self.log())

    def _studios(self, person: str) -> list[StudioClient]:
        caller = self.tenant.caller(person)
        found = [language_studio(caller, self.project, self.tenant.language_endpoint)]
        if self.job is not None:
            found.append(azureml_studio(caller, self.job, self.unit))
        return found

    def _read_desk(self) -> _Desk:
        language = self._studios(self.people[0])[0]
        view = language.view()
        texts: dict[str, str] = {}
        known: dict[str, str] = {}
        if self.kind is ProjectKind.ENTITIES:
            texts = {document: language.text(document) for document in view.labels}
            for document, labels in view.labels.items():
                known |= surfaces(texts[document], _spans(texts[document], labels or []))
        return _Desk(self.kind, tuple(sorted(view.labels)), view.categories, texts, known)

    def _work(self, person: str, desk: _Desk) -> None:
        dice = random.Random(f"{self.seed}/{person}/{len(self.log())}")  # noqa: S311
        preferred = Studio.LANGUAGE
        studios: dict[Studio, StudioClient] = {}
        job: JobRef | None = None
        try:
            while not self._ended.wait(dice.uniform(0.5, 1.5) * self.pace):
                if not studios or self.job != job:
                    job = self.job
                    studios = {one.studio: one for one in self._studios(person)}
                preferred = self._label_one(person, desk, studios, preferred, dice)
        except BaseException as error:  # a labeler who cannot go on must not look like an idle one
            self._failure = error

    def _label_one(
        self,
        person: str,
        desk: _Desk,
        studios: dict[Studio, StudioClient],
        preferred: Studio,
        dice: random.Random,
    ) -> Studio:
        """Label one document where it is accepted; the studio to try first next time."""
        document = dice.choice(desk.documents)
        text = desk.texts.get(document, "")
        decision = decide(desk.kind, text, desk.categories, desk.known, dice)
        for studio in (preferred, preferred.other):
            if studio in studios and self._write(person, desk, studios[studio], document, text, decision):
                return studio
        self._ended.wait(REFUSED_PAUSE)
        return preferred.other

    def _write(
        self,
        person: str,
        desk: _Desk,
        client: StudioClient,
        document: str,
        text: str,
        decision: list[Span] | list[str],
    ) -> bool:
        """Send one write; False if the studio does not accept labels now."""
        labels = client.wire(desk.kind, text, decision)
        canonical = client.canonical(desk.kind, text, labels)
        try:
            reply = client.put(document, labels)
        except HTTPError:
            self._note("unknown", client.studio, document, canonical, person, None)
            return True
        if reply.status == 200:
            self._note("acknowledged", client.studio, document, canonical, person, reply.body["sequence"])
            return True
        if reply.status >= 500:
            self._note("unknown", client.studio, document, canonical, person, None)
            return True
        if reply.status in (404, 409):
            self.refusals += 1
            return False
        raise CallError(reply.status, f"{person} could not label {document} in {client.studio}: {reply.body}")

    def _note(
        self,
        outcome: Literal["acknowledged", "unknown"],
        studio: Studio,
        document: str,
        labels: Canonical,
        by: str,
        sequence: int | None,
    ) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        write = Write(outcome, studio, document, labels, by, at, sequence)
        with self._lock, self.log_file.open("a", encoding="utf-8") as file:
            file.write(write.line() + "\n")
            self._writes.append(write)


def _spans(text: str, labels: list[dict[str, Any]]) -> list[Span]:
    """Language's spans (UTF-16 units) in code points."""
    units = text.encode("utf-16-le")

    def index(offset: int) -> int:
        return len(units[: 2 * offset].decode("utf-16-le", "ignore"))

    return [
        Span(index(one["offset"]), index(one["offset"] + one["length"]), one["category"]) for one in labels
    ]


def main(arguments: list[str] | None = None) -> int:
    """Label a project of a running stack until interrupted."""
    parser = argparse.ArgumentParser(prog="labelbridge.local.labelers", description="Scripted labelers.")
    parser.add_argument("--stack", type=Path, required=True, help="directory of a running stack")
    parser.add_argument("--project", required=True)
    parser.add_argument("--job", help="name of the labeling job, if there is one")
    parser.add_argument("--log", type=Path, help="the stack's labelers.jsonl if not given")
    parser.add_argument("--pace", type=float, default=PACE, help="seconds per document")
    chosen = parser.parse_args(arguments)
    tenant = Tenant.load(chosen.stack / TENANT_FILE)
    unit = LocalConfig.load(chosen.stack / CONFIG_FILE).offset_unit
    project = ProjectRef(language_resource=tenant.language_resource, name=chosen.project)
    job = JobRef(workspace=tenant.workspace, name=chosen.job) if chosen.job else None
    kind = tenant.kind_of(project)
    log = chosen.log or chosen.stack / "labelers.jsonl"
    labelers = Labelers(tenant, project, kind, log, pace=chosen.pace, unit=unit, job=job)
    labelers.start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        labelers.stop()
    sys.stderr.write(f"{labelers.acknowledged()} writes acknowledged, {labelers.refusals} refused\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
