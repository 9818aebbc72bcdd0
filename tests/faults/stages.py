"""What a project lives through under fault: the operations, how each is interrupted, and in which order.

Prevents a crash matrix that knows only the happy way: an undo and a recovery are operations too, so
there are stages that are cancelled or terminated at a step, and their activities are struck as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from labelbridge.model import Studio
from labelbridge.plans import Step

IN_PARTS = {"LABELBRIDGE_LABELS__SHARD_DOCUMENTS": "4"}
"""Azure ML's rows are then read in several parts, as those of a large project are."""
PARTS = ("read_shard", "join_shards", "drop_shards")
PERSON = ("announce_person_needed",)
MOVED = ("I1", "I2", "I3", "I4")
CANCEL, TERMINATE = "cancel", "terminate"


@dataclass(frozen=True)
class Stage:
    """One kind of operation in a life."""

    name: str
    kind: str
    witnessed: tuple[str, ...] = MOVED
    """What a run of it must have witnessed, or it is void."""
    to: Studio | None = None
    stop: str | None = None
    """`cancel` or `terminate`: how the operation is stopped, so that its undo or recovery is struck too."""
    at: Step | None = None
    """The step at which it is stopped; at its end if it never comes to that step, which is a miss."""
    exactly: bool = False
    """It must be stopped while that step is the last one that it has begun."""
    during: str | None = None
    """More exactly: while this activity runs."""
    waiting: bool = False
    """More exactly: while it waits at that step, and no activity runs."""
    snapshot: bool = False
    """A training on the labels of the last sync."""
    merge: bool = False
    """A sync that merges what both studios hold."""
    policy: str = "close"
    """What a reconciliation does with what it finds."""
    environment: Mapping[str, str] = field(default_factory=dict)
    drifted: str | None = None
    """What somebody did by hand before it: a name in `portal.DRIFTS`."""
    refused: str | None = None
    """This activity is refused once, as if a role were missing, so that a person is needed."""
    only: tuple[str, ...] = ()
    """The activities that this stage is there for; all others are struck in another stage. Empty: all."""
    pace: float = 0.0
    """Seconds by which each activity is held up, so that no step passes unseen."""

    @property
    def changes_nothing(self) -> bool:
        """True if who labels is the same after it, so that a life may do without it."""
        return self.kind in ("sync", "train", "reconcile") or self.stop == CANCEL

    @property
    def may_fail(self) -> bool:
        """True if the operation is not expected to commit."""
        return self.stop is not None


def _stages() -> Iterator[Stage]:
    to_azureml, to_language = ("switch", MOVED, Studio.AZUREML), ("switch", MOVED, Studio.LANGUAGE)
    synced, trained, imported = ((*MOVED, "I6"), (*MOVED, "I5"), ("I3",))
    yield Stage("connect", "connect")
    yield Stage("connect undone", "connect", stop=CANCEL, at=Step.LINK)
    yield Stage("connect undone early", "connect", stop=CANCEL, at=Step.GATE_JOB, waiting=True)
    yield Stage("connect terminated", "connect", stop=TERMINATE, at=Step.LINK)
    yield Stage("to azureml", *to_azureml)
    yield Stage("to azureml undone", *to_azureml, stop=CANCEL, at=Step.DRAIN)
    yield Stage("to azureml terminated", *to_azureml, stop=TERMINATE, at=Step.DRAIN)
    yield Stage("to azureml terminated late", *to_azureml, stop=TERMINATE, at=Step.LOOK_AGAIN)
    yield Stage("to language", *to_language)
    yield Stage("to language undone", *to_language, stop=CANCEL, at=Step.DELIVER)
    yield Stage(
        "to language terminated",
        *to_language,
        stop=TERMINATE,
        at=Step.DELIVER,
        during="await_import",
        pace=0.2,
    )
    yield Stage("to language in parts", *to_language, environment=IN_PARTS, only=PARTS)
    yield Stage("sync", "sync", synced)
    yield Stage("sync in parts", "sync", synced, environment=IN_PARTS)
    yield Stage("sync merging", "sync", synced, merge=True, only=("merge_labels",))
    yield Stage("train", "train", trained)
    yield Stage("train in parts", "train", trained, environment=IN_PARTS, only=PARTS)
    yield Stage("train on a snapshot", "train", trained, snapshot=True)
    yield Stage("train undone", "train", stop=CANCEL, at=Step.TRAIN, during="watch_training", pace=0.2)
    yield Stage("train terminated", "train", stop=TERMINATE, at=Step.TRAIN)
    yield Stage("import", "import", imported)
    yield Stage("import in parts", "import", imported, environment=IN_PARTS)
    yield Stage("import undone", "import", imported, stop=CANCEL, during="await_import", pace=0.2)
    yield Stage("import terminated", "import", (), stop=TERMINATE, during="await_import", pace=0.2)
    yield Stage("reconcile", "reconcile", drifted="gates")
    yield Stage("reconcile a claim", "reconcile", drifted="claim", only=("claim",))
    yield Stage("reconcile reporting", "reconcile", drifted="claim", policy="report", only=("write_record",))
    yield Stage("reconcile a retired job", "reconcile", drifted="retired", only=("retire_job",))
    yield Stage("disconnect", "disconnect")
    yield Stage("disconnect in parts", "disconnect", environment=IN_PARTS, only=PARTS)
    yield Stage("disconnect terminated", "disconnect", stop=TERMINATE, at=Step.UNLINK, pace=0.2)
    yield from _before_the_record()


def _for_a_person() -> Iterator[Stage]:
    """The entry of each operation is refused once: everybody can see that a person must give a role back."""
    for name in (
        "connect",
        "connect terminated",
        "to azureml",
        "sync",
        "train",
        "reconcile",
        "disconnect",
        "import",
    ):
        yield replace(STAGES[name], name=f"{name} for a person", refused="announce", only=PERSON)


def _before_the_record() -> Iterator[Stage]:
    """Cancelled before it has read the record, an operation reads it to say in its entry how that stands."""
    for kind in ("sync", "train"):
        early = Stage(f"{kind} undone early", kind, ("I1", "I2"), stop=CANCEL, during="begin", pace=0.6)
        yield replace(early, only=("withdraw",))


STAGES = {stage.name: stage for stage in _stages()}
STAGES |= {stage.name: stage for stage in _for_a_person()}
CHAINS: tuple[tuple[str, ...], ...] = (
    (
        "connect",
        "to azureml",
        "sync",
        "sync in parts",
        "train on a snapshot",
        "train",
        "train undone",
        "to language undone",
        "to language",
        "to azureml undone",
        "to azureml",
        "disconnect",
    ),
    (
        "connect for a person",
        "reconcile for a person",
        "reconcile a claim",
        "reconcile reporting",
        "to azureml for a person",
        "sync merging",
        "sync for a person",
        "sync undone early",
        "train in parts",
        "train for a person",
        "train undone early",
        "to language in parts",
        "disconnect for a person",
    ),
    ("connect", "to azureml", "disconnect in parts", "reconcile a retired job"),
    ("connect terminated for a person",),
    ("import for a person",),
    (
        "connect",
        "reconcile",
        "to azureml terminated",
        "to azureml terminated late",
        "train terminated",
        "to language terminated",
        "disconnect terminated",
    ),
    ("connect undone",),
    ("connect undone early",),
    ("connect terminated",),
    ("import",),
    ("import in parts",),
    ("import undone",),
    ("import terminated",),
)
"""Lives: each stage needs those before it."""


def interrupted(name: str, stop: str, step: Step, pace: float = 0.2) -> Stage:
    """A stage that is cancelled or terminated at one of its steps."""
    label = f"{name}: {stop} at {step.name.lower()}"
    # Before an import nobody can label; a connect that is stopped early leaves neither entry nor claim.
    witnessed = () if name == "import" else ("I1", "I2")
    return replace(STAGES[name], name=label, stop=stop, at=step, exactly=True, pace=pace, witnessed=witnessed)
