"""What passes between the workflows and activities that hold projects against their records."""

from labelbridge.model._nouns import Drift, DriftPolicy, Model, ProjectRef, StoredRecord
from labelbridge.model._progress import ErrorInfo
from labelbridge.model.steps import Timing


class DriftOrder(Model):
    """Compare a project with its record."""

    project: ProjectRef
    policy: DriftPolicy | None = None


class DriftSeen(Model):
    """What a comparison found. `outcome` says of each difference whether it is to be put right."""

    timing: Timing
    stored: StoredRecord | None = None
    known: bool
    drift: tuple[Drift, ...] = ()


class Suspect(Model):
    """A project that seems to differ from its record."""

    project: ProjectRef
    interrupted: bool = False
    """An operation stands in the record: to be recovered, unless it runs."""


class Survey(Model):
    """What one look at the whole fleet found."""

    projects: int
    suspects: tuple[Suspect, ...] = ()
    problems: tuple[ErrorInfo, ...] = ()
    """Records and lists that could not be read."""


class Asking(Model):
    """Ask a project's entity to reconcile; `sweep` is the look that found it."""

    suspect: Suspect
    sweep: str


class SweepResult(Model):
    """How a sweep ended."""

    projects: int
    asked: tuple[str, ...] = ()
    """Keys of the projects that were asked to reconcile."""
    problems: tuple[ErrorInfo, ...] = ()
