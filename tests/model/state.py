"""The explicit state of the model: two gates, labels, the record, one operation, requests in flight.

Prevents a model whose assumptions hide in its code: everything that can differ between two moments is a
field here, small and hashable, so that the explorer can tell every state from every other.
"""

from typing import NamedTuple

LANGUAGE, AZUREML = 0, 1
"""The studios, as indices of `State.gates` and `State.labels`."""
NOTHING = -1
"""No labels were named (0: an empty project's were)."""


class Gate(NamedTuple):
    """What lets people label in one studio. It opens at once; it shuts late, and may read as it was till then."""

    open: bool
    """Whether labels are accepted now."""
    asked: bool
    """What was asked for last; shutting takes effect in `left` ticks."""
    left: int = 0

    def ask(self, open_: bool, delay: int) -> "Gate":
        """The gate after a request for an absolute state."""
        if open_:
            return OPEN
        return self if self.asked is False else Gate(self.open, False, delay)

    @property
    def readings(self) -> tuple[bool, ...]:
        """What a read may say, the fresh answer first."""
        return (self.asked,) if self.left == 0 else (self.asked, self.open)


SHUT, OPEN = Gate(False, False), Gate(True, True)


class Record(NamedTuple):
    """The record: one blob, of which each write makes a new version."""

    version: int
    connected: bool
    active: int
    epoch: int
    writer: int = 0
    """Number of the operation whose transition stands in it; 0: none."""
    kind: str = ""
    phase: str = ""
    """`gating`, `draining`, `delivering` or `committed`; empty: no transition."""
    source: int = 0
    target: int = 0
    restore: int = NOTHING
    """Language's own labels before a delivery, once they are named in it."""


class Flight(NamedTuple):
    """A request that left and was given up on: it lands or dies before `left` ticks are over."""

    what: str
    """`gate`, `import`, `create`, `retire` or `record`."""
    studio: int = 0
    open: bool = False
    labels: int = 0
    record: Record | None = None
    expects: int = 0
    left: int = 1


class Operation(NamedTuple):
    """One run: where it stands in its program, and what it holds in memory (Temporal's history)."""

    number: int
    kind: str
    program: str
    """Name of the instructions that are carried out now."""
    place: int = 0
    back: tuple[tuple[str, int], ...] = ()
    """Where detours return to, the last one last."""
    timer: int = 0
    version: int = 0
    """Of the record as this operation last read or wrote it."""
    wrote: Record | None = None
    """What it tried to write and got no answer to: found standing there, it was written."""
    seen: int = 0
    """Labels of the last export."""
    before: int = 0
    """Labels of Language before a delivery."""
    imported: bool = False
    """An import needed more than one attempt: a second may be on its way."""
    unsettled: tuple[bool, bool] = (False, False)
    """Studios that were told to shut (or a job to come into being) and were not waited out since."""
    committing: bool = False
    """The commit was tried: from here the operation heeds no cancellation."""


class Budget(NamedTuple):
    """What may still happen; the model is finite because these only shrink."""

    requests: int
    writes: int
    cancel: int = 0
    terminate: int = 0
    resume: int = 0
    """A person resumes the gated labeling job by hand."""
    touch: int = 0
    """A person edits the record by hand."""
    unanswered: int = 0
    """Attempts whose answer is lost, that are late, or that are delivered twice: a crash of the worker too."""


class State(NamedTuple):
    """Everything."""

    gates: tuple[Gate, Gate]
    labels: tuple[int, int]
    """Labels in each studio: a bit for each write; each write is of a document of its own."""
    job: str
    """`none`, `ready` or `retired`."""
    record: Record
    left: tuple[int, int]
    """Labels of each studio when it was last left, as the record names them."""
    kept: int
    """Labels in snapshots that a report names."""
    operation: Operation | None
    flights: tuple[Flight, ...]
    budget: Budget
    foreign: bool = False
    """A person opened the labeling job, and it has not been shut since."""
    by_hand: int = 0
    """Labels that were made through such a gate."""
    written: int = 0
    """All labels that a studio acknowledged."""
    numbers: int = 0
    """Operations so far."""
