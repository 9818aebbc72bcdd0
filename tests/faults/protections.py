"""What keeps the invariants, each with a switch that takes it out in one forked worker process.

Prevents protections that nothing would miss: a test takes out one at a time and must turn red. They are
changed from outside, in memory; the product has no such switch.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from temporalio import activity, workflow

import workers.main
import workflows._ledger
import workflows.project
from activities.gates import Gates
from activities.records import Records
from labelbridge.azure import transport
from labelbridge.azure.blobs import Blobs
from labelbridge.model import Claim, JobRef, SnapshotRef, StoredRecord, Studio
from labelbridge.model.steps import Intent, LedgerEntry
from labelbridge.registry import Registry
from workflows._carrying import Carrying
from workflows._ledger import Ledger

workflow_definition = workflow._Definition.must_from_class


def swap(owner: object, name: str, stand_in: object) -> Any:
    """Put `stand_in` in the place of what `owner` calls `name`, which must exist; returns what was there."""
    original = getattr(owner, name)
    setattr(owner, name, stand_in)
    return original


def _no_settle_wait() -> None:
    """Labels are taken for settled at once: neither drain nor settle time, one export."""

    async def take(self: Carrying, studio: Studio) -> SnapshotRef:
        return await self.export(studio)

    swap(Carrying, "come_to_rest", take)


def _no_etag_condition() -> None:
    """A blob is replaced whatever stands there."""

    async def replace(self: Blobs, container: str, name: str, data: Any, etag: str, **options: Any) -> str:
        content = await self.read(container, name)
        written: str = await original(
            self, container, name, data, content.etag if content else etag, **options
        )
        return written

    original = swap(Blobs, "replace", replace)


def _no_read_back_of_the_source() -> None:
    """A studio opens without a look at the other one."""

    async def look_away(self: Gates, order: Any) -> None:
        return None

    swap(Gates, "_refuse_two_open", look_away)


def _no_epoch_check() -> None:
    """An operation goes on from the record as it stands, not from the one on which it was judged."""

    original = Records.intend

    class Careless(Records):
        @activity.defn(name="intend")
        async def intend(self, intent: Intent) -> StoredRecord:
            stored = await self._registry.load(intent.project)
            if stored is None:
                return await original(self, intent)
            changes = {"transition": intent.transition, "updated_by": intent.transition.operation_id}
            return await self._write(stored.record.model_copy(update=changes), stored.etag)

    swap(Records, "intend", Careless.intend)


def _no_claim() -> None:
    """Whoever asks for a job's name gets it, and a job of that name is taken for one's own."""

    async def claim(self: Registry, claim: Claim) -> Claim:
        return claim

    async def read_claim(self: Registry, job: JobRef) -> None:
        return None

    swap(Registry, "claim", claim)
    swap(Registry, "read_claim", read_claim)


def _no_gate_on_continue_as_new() -> None:
    """An entity that is about to continue as new goes on accepting requests."""
    submit = workflow_definition(workflows.project.ProjectWorkflow).updates["submit"]
    object.__setattr__(submit, "validator", lambda self, submission: None)


def _no_ledger() -> None:
    """An entity that continues as new forgets which requests it has answered."""

    class Forgetful(Ledger):
        def __init__(self, entries: Mapping[str, LedgerEntry]) -> None:
            super().__init__({})

    swap(workflows._ledger, "Ledger", Forgetful)


def _no_pause_guard() -> None:
    """A worker that was frozen goes on."""
    swap(workers.main, "PauseGuard", lambda _: nullcontext())


def _no_deadline() -> None:
    """A request is sent however late it is."""
    swap(transport, "check_deadline", lambda what: None)
    swap(transport, "remaining", lambda: None)


PROTECTIONS: dict[str, Callable[[], None]] = {
    "settle wait": _no_settle_wait,
    "etag": _no_etag_condition,
    "read-back": _no_read_back_of_the_source,
    "epoch check": _no_epoch_check,
    "claim": _no_claim,
    "gate on continue-as-new": _no_gate_on_continue_as_new,
    "ledger": _no_ledger,
    "pause guard": _no_pause_guard,
    "deadline": _no_deadline,
}
