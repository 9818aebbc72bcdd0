"""What all projects of a campaign share, and what became of one of them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client

from labelbridge.client import Labelbridge
from labelbridge.events.stores import Stores
from labelbridge.local.stack import Stack
from labelbridge.model import JobRef
from tests.faults.campaign_events import EventGrid
from tests.faults.checker import Verdict
from tests.faults.recording import Disturbance
from tests.faults.witness import StudioLog

WITNESSED = ("I1", "I2", "I3", "I4")


@dataclass(frozen=True)
class Scene:
    """What all projects of a campaign share."""

    stack: Stack
    client: Client
    bridge: Labelbridge
    log: StudioLog
    path: Path
    ends_at: float = float("inf")
    """Monotonic time at which every project stops after the move that it is at."""
    taken: list[JobRef] = field(default_factory=list)
    """Labeling jobs that some project has: others try to steal them."""
    grid: EventGrid | None = None
    stores: Stores | None = None
    disturbances: list[Disturbance] = field(default_factory=list)
    blobs: Path | None = None
    """Where workers note what struck their requests to blobs."""


@dataclass
class Outcome:
    """What became of one project."""

    number: int
    project: str
    verdicts: list[Verdict] = field(default_factory=list)
    broken: str | None = None
    """Why it could not go on."""
    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Code -> requests that were turned away at once."""
    operations: Counter[str] = field(default_factory=Counter)
    """`kind outcome` -> operations that ended so."""
    meddled: Counter[str] = field(default_factory=Counter)
    lost: set[str] = field(default_factory=set)
    """Events of people's exports that were taken for Labelbridge's own."""
    jobs: set[str] = field(default_factory=set)

    @property
    def void(self) -> set[str]:
        """Invariants of which nothing was witnessed up to the end, and looks that a verdict lacked."""
        if not self.verdicts:
            return set(WITNESSED)
        wanted = set(WITNESSED)
        if not self.operations["connect committed"]:  # who was never connected need not have claimed a job
            wanted.discard("I4")
        return self.verdicts[-1].void(*wanted).union(*(one.void("I1") for one in self.verdicts))

    @property
    def bad(self) -> list[str]:
        """Everything that must not be."""
        found = dict.fromkeys(str(one) for verdict in self.verdicts for one in verdict.violations)
        return [
            *found,
            *(f"void: {one}" for one in sorted(self.void)),
            *(f"event {one} was taken for Labelbridge's own" for one in sorted(self.lost)),
            *([self.broken] if self.broken else []),
        ]
