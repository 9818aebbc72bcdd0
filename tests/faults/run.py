"""One stage of a project's life that was lived through, and what is to be said about it."""

from dataclasses import dataclass, field

from tests.faults.checker import Verdict
from tests.faults.worker import Strike


@dataclass
class Run:
    """One stage that was lived through, and what the checker says."""

    stage: str
    strike: Strike | None
    struck: bool
    code: str | None
    """None: committed."""
    verdict: Verdict
    seconds: float
    project: str
    void: set[str] = field(default_factory=set)
    """Invariants of which this stage should have witnessed something and did not."""
    came_to: str | None = None
    """Of an operation that was stopped: the last step that it had begun then."""
    reached: bool = True
    """False: it was to be stopped somewhere, and did not come there."""
    idle: bool = False
    """The worker was to freeze before it changed something, and its activity had nothing to change."""
