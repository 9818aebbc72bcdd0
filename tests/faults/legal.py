"""Recordings of an ideal Labelbridge: what the checker must find nothing wrong with.

Prevents a checker that cries wolf: a few lines of model play a project's life (writes, switches that
commit or are undone, syncs, trainings, disconnect and connect anew) and write down what everybody
would have witnessed. The red proofs change one thing in such a recording.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.faults.recording import (
    AZUREML,
    LANGUAGE,
    Ask,
    Claim,
    Entry,
    Export,
    Final,
    Labels,
    Line,
    Look,
    Recording,
    Version,
    Write,
)


@dataclass
class Ideal:
    """One project whose operations do exactly what they promise."""

    name: str = "letters"
    labels: dict[str, Labels] = field(default_factory=lambda: {LANGUAGE: {"d0": ("Oslo",)}, AZUREML: {}})
    active: str = LANGUAGE
    epoch: int = 0
    jobs: int = 0
    connected: bool = False
    exports: list[Export] = field(default_factory=list)
    log: list[Line] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    trail: list[Entry] = field(default_factory=list)
    snapshots: dict[str, Labels] = field(default_factory=dict)
    models: list[dict[str, str]] = field(default_factory=list)
    trained: dict[str, Labels] = field(default_factory=dict)
    left: dict[str, Labels] = field(default_factory=dict)
    """What each studio held when it was last left: merges start there, whatever syncs gave Language since."""

    def __post_init__(self) -> None:
        self._clock = itertools.count(1)
        self._gate(LANGUAGE, is_open=True)

    # What can happen.

    def write(self, document: str, labels: str, *, answered: bool = True) -> None:
        """Somebody labels where that is possible."""
        line = self._line(self.active, "write", document, (labels,))
        self.labels[self.active][document] = (labels,)
        number = line.sequence if answered else None
        self.writes.append(Write(self.active, document, (labels,), self._now(), number, answered))

    def look(self) -> None:
        """The sampler asks both studios."""
        azureml = self.active == AZUREML if self.connected else None
        self.looks.append(Look(self._now(), self.active == LANGUAGE, azureml))

    def connect(self) -> None:
        """A new labeling job, unless there is one."""
        if self.connected:
            return
        self.jobs += 1
        self.connected = True
        self.labels[AZUREML] = {}
        self.left[AZUREML] = {}
        operation = f"{len(self.trail)}-connect"
        self.claims.append(Claim(self._now(), self._job, self.name, operation))
        self._operate("connect", operation, [self._keep(LANGUAGE)], gates=True)

    def switch(self, *, undone: bool = False) -> None:
        """To the other studio, or nearly."""
        if not self.connected:
            return
        operation = f"{len(self.trail)}-switch"
        named = [self._keep(self.active)]
        if not undone:
            self.epoch += 1
            named += self._carry(named[0])
        self._operate("switch", operation, named, gates=True, moves=not undone)

    def sync(self) -> None:
        """Language gets what the active studio has."""
        if not self.connected:
            return
        asked = self._now()
        one = self._keep(self.active)
        self.labels[LANGUAGE] = dict(self.snapshots[one])
        self._operate("sync", f"{len(self.trail)}-sync", [one], asked=asked)

    def train(self) -> None:
        """A model on the active studio's labels."""
        one = self._keep(self.active)
        self.labels[LANGUAGE] = dict(self.snapshots[one])
        model = f"m{len(self.models)}"
        self.models.append({"label": model, "snapshot": one, "labels": "latest"})
        self.trained[model] = dict(self.snapshots[one])
        self._operate("train", f"{len(self.trail)}-train", [one], model=model)

    def disconnect(self) -> None:
        """For ever; with Azure ML active its labels are carried first."""
        if not self.connected:
            return
        moves = self.active == AZUREML
        named = [self._keep(self.active)] if moves else []
        named += self._carry(named[0]) if moves else []
        self.epoch += moves
        self.connected = False
        self._operate("disconnect", f"{len(self.trail)}-disconnect", named, gates=moves, moves=moves)

    def recording(self) -> Recording:
        """What was witnessed."""
        return Recording(
            project=self.name,
            final=Final(dict(self.labels[LANGUAGE]), dict(self.labels[AZUREML]), dict(self.trained)),
            log=tuple(self.log),
            writes=tuple(self.writes),
            looks=tuple(self.looks),
            versions=tuple(self.versions),
            claims=tuple(self.claims),
            asks=tuple(self.asks),
            trail=tuple(self.trail),
            snapshots=dict(self.snapshots),
            exports=tuple(self.exports),
        )

    # How it is written down.

    @property
    def _job(self) -> str:
        return f"job-{self.name}-{self.jobs}"

    def _now(self) -> float:
        return float(next(self._clock))

    def _line(self, studio: str, event: str, document: str = "", labels: Any = None) -> Line:
        subject = self.name if studio == LANGUAGE else self._job
        line = Line(len(self.log) + 1, studio, subject, event, self._now(), document, labels)
        self.log.append(line)
        return line

    def _gate(self, studio: str, *, is_open: bool) -> None:
        self._line(studio, "opened" if is_open else "closed")

    def _keep(self, studio: str) -> str:
        self.exports.append(Export(self._now(), studio, self.name if studio == LANGUAGE else self._job))
        one = f"{len(self.snapshots):064x}"
        self.snapshots[one] = dict(self.labels[studio])
        return one

    def _carry(self, left: str) -> list[str]:
        """On the way to Language: both originals, and the merge, in which wins what Azure ML changed."""
        before = self.left.get(self.active, {})
        self.left[self.active] = held = dict(self.snapshots[left])
        if self.active == LANGUAGE:
            return []
        original = self._keep(LANGUAGE)
        changed = {document: labels for document, labels in held.items() if before.get(document) != labels}
        self.labels[LANGUAGE] = {**self.left[LANGUAGE], **changed}
        return [original, self._keep(LANGUAGE)]

    def _operate(
        self,
        kind: str,
        operation: str,
        named: list[str],
        *,
        gates: bool = False,
        moves: bool = False,
        asked: float | None = None,
        model: str | None = None,
    ) -> None:
        asked = asked or self._now()
        undone = kind == "switch" and not moves
        if gates:
            self._gate(self.active, is_open=False)
        if moves:
            self.active = AZUREML if self.active == LANGUAGE else LANGUAGE
        if gates:
            self._gate(self.active, is_open=True)
        self._version()
        outcome = "cancelled" if undone else "committed"
        entry = Entry(operation, kind, outcome, self.active, self.epoch, asked, self._now(), tuple(named))
        if model:
            entry = Entry(**{**entry.__dict__, "model": model, "labels": "latest"})
        self.trail.append(entry)
        code = "cancelled" if undone else None
        snapshot = named[0] if kind == "sync" else None
        self.asks.append(Ask(kind, asked, self._now(), operation, code, snapshot))

    def _version(self) -> None:
        job = {"job": {"name": self._job}} if self.connected else None
        retired = [{"name": f"job-{self.name}-{n + 1}"} for n in range(self.jobs - self.connected)]
        record = {
            "active": self.active,
            "epoch": self.epoch,
            "connection": job,
            "transition": None,
            "retired": retired,
            "models": list(self.models),
        }
        self.versions.append(Version(self._now(), f"e{len(self.versions)}", record))


Happening = Callable[[Ideal], None]

_WRITES = st.builds(
    lambda document, labels, answered: lambda one: one.write(document, labels, answered=answered),
    st.sampled_from(["d0", "d1", "d2"]),
    st.sampled_from(["Oslo", "Lisbon", "kettle"]),
    st.booleans(),
)
_OPERATIONS = st.sampled_from(
    [
        Ideal.connect,
        Ideal.switch,
        lambda one: one.switch(undone=True),
        Ideal.sync,
        Ideal.train,
        Ideal.disconnect,
        Ideal.look,
    ]
)
HAPPENINGS: st.SearchStrategy[list[Happening]] = st.lists(
    st.one_of(_WRITES, _WRITES, _OPERATIONS), max_size=40
)


def lived(happenings: list[Happening], name: str = "letters") -> Recording:
    """A project that was connected, and then lived through all of them."""
    ideal = Ideal(name)
    ideal.connect()
    for happening in happenings:
        happening(ideal)
    return ideal.recording()


def story(name: str = "letters") -> Recording:
    """A life with everything in it, the same each time: what the red proofs start from."""
    ideal = Ideal(name)
    ideal.connect()
    ideal.write("d1", "Lisbon")
    ideal.look()
    ideal.switch()
    ideal.write("d1", "kettle")
    ideal.write("d2", "Oslo")
    ideal.sync()
    ideal.train()
    ideal.write("d2", "Lisbon")
    ideal.switch(undone=True)
    ideal.switch()
    ideal.write("d0", "Malmö")
    ideal.disconnect()
    ideal.write("d0", "Bergen")
    return ideal.recording()
