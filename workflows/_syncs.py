"""Which syncs have begun, so that a request that was made before one of them can share its export.

Prevents one failure: many callers ask at once, the server hands their requests to the entity a few
at a time, and those that are heard late cost an export each although they asked before an earlier
one began (I6). Callers say how many syncs had begun when they asked, which they read from the
entity's memo; every sync with a higher number has exported after they asked. No clock is compared.
"""

from labelbridge.model import Accepted, Submission, SyncRequest
from labelbridge.model.steps import BegunSync

REMEMBERED = 8
"""Begun syncs that late callers can still share."""


class BegunSyncs:
    """The last syncs of a project, numbered as they began."""

    def __init__(self, count: int, recent: tuple[BegunSync, ...]) -> None:
        """From what the entity carried."""
        self.count = count
        self.recent = list(recent)

    def begin(self, accepted: Accepted, request: SyncRequest) -> None:
        """Number a sync that is about to start."""
        self.count += 1
        self.recent.append(BegunSync(number=self.count, accepted=accepted, request=request))
        del self.recent[:-REMEMBERED]

    def failed(self, operation_id: str) -> None:
        """Forget a sync that brought no labels: nobody else shall share its end."""
        self.recent = [one for one in self.recent if one.accepted.operation_id != operation_id]

    def serving(self, submission: Submission) -> Accepted | None:
        """The oldest begun sync that serves `submission`, or None."""
        known = submission.syncs_begun
        if known is None or not isinstance(submission.request, SyncRequest):
            return None
        for one in self.recent:
            if one.number > known and one.request == submission.request:
                return one.accepted.model_copy(update={"joined": True})
        return None
