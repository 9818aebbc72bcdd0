"""The requests that an entity has answered, so that each is answered once and always in the same way.

Prevents a request that runs twice because its caller, who did not hear the answer, repeated it.
"""

from collections.abc import Mapping

from labelbridge.errors import LabelbridgeError
from labelbridge.model import Submission
from labelbridge.model.steps import LedgerEntry

LIMIT = 500
"""Request ids remembered through continue-as-new. Repeating an older one would run it again."""


class Ledger:
    """Answers by request id, the newest last."""

    def __init__(self, entries: Mapping[str, LedgerEntry]) -> None:
        """From what the entity carried."""
        self.entries = dict(entries)

    def __contains__(self, request_id: str) -> bool:
        """True if the request was answered."""
        return request_id in self.entries

    def known(self, submission: Submission) -> LedgerEntry | None:
        """The answer that was given; the same id with another request is refused."""
        entry = self.entries.get(submission.request_id)
        if entry is None or entry.digest == submission.digest:
            return entry
        return LedgerEntry(refused=LabelbridgeError("key_reused").info)

    def remember(self, request_id: str, entry: LedgerEntry) -> None:
        """Keep an answer; the oldest are forgotten."""
        self.entries[request_id] = entry
        while len(self.entries) > LIMIT:
            del self.entries[next(iter(self.entries))]
