"""What was witnessed of one project while faults struck: the only thing that the checker knows.

Prevents a checker that asks the product: everything here was noted by somebody else (the labelers, the
studios, a sampler, the callers), and a recording can be saved, changed by hand and judged again.
Times are seconds since 1970. Labels are in one canonical form, whatever the studio: sorted tuples.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Labels = dict[str, Any]
"""Document -> canonical labels; a document without labels may be missing."""
LANGUAGE, AZUREML = "language", "azureml"


@dataclass(frozen=True)
class Line:
    """One line of the studios' log: a gate that took effect, or a write that was accepted."""

    sequence: int
    studio: str
    subject: str
    """The Language project, or one labeling job."""
    event: str
    """`opened`, `closed` or `write`."""
    at: float
    document: str = ""
    labels: Any = None


@dataclass(frozen=True)
class Write:
    """One write as the labeler knows it; `sequence` is the studio's own number for it."""

    studio: str
    document: str
    labels: Any
    at: float
    """When the answer was read."""
    sequence: int | None
    acknowledged: bool = True
    """False: no answer came, so it may or may not have happened."""


@dataclass(frozen=True)
class Look:
    """Somebody asked both studios whether they take labels (None: there is no such project, or no such job)."""

    at: float
    language: bool | None
    azureml: bool | None
    sampled: bool = True
    """False: it was not the sampler that looked, but whoever was about to judge or to meddle."""


@dataclass(frozen=True)
class Export:
    """One line of the studios' own list of exports that they were asked for, by Labelbridge's workers."""

    at: float
    studio: str
    subject: str


@dataclass(frozen=True)
class Disturbance:
    """A fault after which a request may be repeated: from when to when, and how many times at most."""

    start: float
    end: float
    times: int


@dataclass(frozen=True)
class Version:
    """The record as somebody read it; `etag` tells versions apart."""

    at: float
    etag: str
    record: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """Who holds a labeling job's name, as somebody read it."""

    at: float
    job: str
    project: str
    operation: str
    deleted: bool = False
    """Somebody deleted this one past Labelbridge."""


@dataclass(frozen=True)
class Ask:
    """A request of an operator or a pipeline, and the answer that it got."""

    kind: str
    asked_at: float
    answered_at: float | None = None
    """None: it still waits."""
    operation: str | None = None
    """None: it was turned away at once."""
    code: str | None = None
    """None: it was told that the operation committed; else the error's code."""
    snapshot: str | None = None
    burst: str | None = None
    """Callers that asked at once."""
    again: bool = False
    """It repeats an earlier request by its key: it gets that one's answer, however old."""


@dataclass(frozen=True)
class Entry:
    """One line of the audit trail, with the snapshots that the report or its notes name."""

    operation: str
    kind: str
    outcome: str
    active: str
    epoch: int
    started_at: float
    ended_at: float
    snapshots: tuple[str, ...] = ()
    model: str | None = None
    labels: str | None = None
    """What a training was asked to use."""


@dataclass(frozen=True)
class Final:
    """How the project stood when everybody had gone home."""

    language: Labels
    azureml: Labels
    trained: dict[str, Labels] = field(default_factory=dict)
    """Model label -> the labels that Language says it was trained on."""
    jobs: dict[str, Labels] = field(default_factory=dict)
    """The studios' name of a labeling job that was connected before -> what it still holds."""


@dataclass(frozen=True)
class Recording:
    """All of it."""

    project: str
    final: Final
    log: tuple[Line, ...] = ()
    writes: tuple[Write, ...] = ()
    looks: tuple[Look, ...] = ()
    versions: tuple[Version, ...] = ()
    claims: tuple[Claim, ...] = ()
    asks: tuple[Ask, ...] = ()
    trail: tuple[Entry, ...] = ()
    snapshots: dict[str, Labels] = field(default_factory=dict)
    exports: tuple[Export, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    since: float = 0.0
    """When the verdict before this one was passed: what was looked at before it is no evidence any more."""

    def save(self, path: Path) -> None:
        """Write it as JSON, to be judged again."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote."""
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        final = found["final"]
        trained = {model: labels_of(one) for model, one in final["trained"].items()}
        jobs = {job: labels_of(one) for job, one in final.get("jobs", {}).items()}
        return cls(
            project=found["project"],
            final=Final(labels_of(final["language"]), labels_of(final["azureml"]), trained, jobs),
            log=tuple(Line(**frozen(one)) for one in found["log"]),
            writes=tuple(Write(**frozen(one)) for one in found["writes"]),
            looks=tuple(Look(**frozen(one)) for one in found["looks"]),
            versions=tuple(Version(**frozen(one)) for one in found["versions"]),
            claims=tuple(Claim(**frozen(one)) for one in found["claims"]),
            asks=tuple(Ask(**frozen(one)) for one in found["asks"]),
            trail=tuple(Entry(**frozen(one)) for one in found["trail"]),
            snapshots={one: labels_of(labels) for one, labels in found["snapshots"].items()},
            exports=tuple(Export(**one) for one in found["exports"]),
            disturbances=tuple(Disturbance(**one) for one in found["disturbances"]),
            since=found["since"],
        )


def canonical(labels: Any) -> Any:
    """Labels with their lists as tuples, so that they compare and hash."""
    return tuple(canonical(one) for one in labels) if isinstance(labels, list | tuple) else labels


def labels_of(found: dict[str, Any]) -> Labels:
    """Labels that came from JSON."""
    return {document: canonical(labels) for document, labels in found.items()}


def frozen(fields: dict[str, Any]) -> dict[str, Any]:
    """A line from JSON; only records stay as they are."""
    return {name: value if name == "record" else canonical(value) for name, value in fields.items()}
