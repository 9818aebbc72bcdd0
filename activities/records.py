"""The record, the claims and the audit trail: steps whose effect is one conditional blob write.

Each may run twice because each reads back after a refused condition: if what stands there is what
it wanted to write, an earlier attempt of its own was applied and it reports success.
"""

from temporalio import activity

from activities._timing import timing_of
from activities.events_out import Announcer
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    AuditEntry,
    Claim,
    JobRef,
    Phase,
    ProjectRef,
    ProjectStatus,
    Record,
    StoredRecord,
)
from labelbridge.model.steps import (
    Begin,
    ClaimFound,
    Intent,
    OperationOrder,
    RecordFound,
    RecordWrite,
    Withdrawal,
)
from labelbridge.registry import Registry
from labelbridge.settings import Settings


class Records:
    """Steps on the record."""

    def __init__(
        self, session: AzureSession, registry: Registry, announcer: Announcer, settings: Settings
    ) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._announcer = announcer
        self._settings = settings

    @activity.defn(name="inspect")
    async def inspect(self, project: ProjectRef) -> ProjectStatus:
        """What record and Language say of a project now. May run twice: it only reads."""
        stored, known = await self._look(project)
        return ProjectStatus.of(project, stored.record if stored else None, known=known)

    @activity.defn(name="begin")
    async def begin(self, order: OperationOrder) -> Begin:
        """What an operation needs to begin: margins, status, record; tells that it has begun.

        May run twice: it reads, and the event's id is the operation's. From here on somebody serves the
        queue of the project's Language resource.
        """
        if self._session.throttling is not None:
            await self._session.throttling.meet(order.project)
        stored, known = await self._look(order.project)
        await self._announcer.begun(order)
        timing = timing_of(self._settings)
        status = ProjectStatus.of(order.project, stored.record if stored else None, known=known)
        return Begin(timing=timing, status=status, stored=stored)

    async def _look(self, project: ProjectRef) -> tuple[StoredRecord | None, bool]:
        stored = await self._registry.load(project)
        found = await self._session.language(project.language_resource).project(project.name)
        return stored, found is not None

    @activity.defn(name="read_claim")
    async def read_claim(self, job: JobRef) -> ClaimFound:
        """Who holds a labeling job's name. May run twice: it only reads."""
        return ClaimFound(claim=await self._registry.read_claim(job))

    @activity.defn(name="claim")
    async def claim(self, claim: Claim) -> Claim:
        """Take a labeling job's name for ever. May run twice: the claim names its operation."""
        standing = await self._registry.claim(claim)
        if standing.operation_id != claim.operation_id or standing.project != claim.project:
            raise LabelbridgeError(
                "job_claimed",
                f"{claim.job.name} was claimed by {standing.project.name} ({standing.operation_id}) "
                f"on {standing.claimed_at:%Y-%m-%d %H:%M}.",
                data={"job": claim.job.name, "holder": standing.project.name},
            )
        return standing

    @activity.defn(name="intend")
    async def intend(self, intent: Intent) -> StoredRecord:
        """Write the transition into the record. May run twice: see `write_record`."""
        stored = await self._registry.load(intent.project)
        if stored and stored.record.transition:
            if stored.record.transition.operation_id == intent.transition.operation_id:
                return stored
            raise LabelbridgeError(
                "record_conflict",
                f"{stored.record.transition.operation_id} is in progress on the record.",
            )
        if stored and stored.etag != intent.etag:
            raise LabelbridgeError("record_conflict")
        base = stored.record if stored else _first_record(intent)
        record = base.model_copy(
            update={
                "transition": intent.transition,
                "updated_at": intent.transition.started_at,
                "updated_by": intent.transition.operation_id,
            }
        )
        return await self._write(record, stored.etag if stored else None)

    @activity.defn(name="write_record")
    async def write_record(self, write: RecordWrite) -> StoredRecord:
        """One compare-and-swap. May run twice: a refusal is checked against what stands there."""
        return await self._write(write.record, write.etag)

    async def _write(self, record: Record, etag: str | None) -> StoredRecord:
        try:
            if etag is None:
                return await self._registry.create(record)
            return await self._registry.save(record, etag)
        except LabelbridgeError as error:
            if error.code != "record_conflict":
                raise
            standing = await self._registry.load(record.project)
            if standing is None or not _is_written(record, standing.record):
                raise
            return standing

    @activity.defn(name="withdraw")
    async def withdraw(self, withdrawal: Withdrawal) -> RecordFound:
        """Take an operation's transition out. May run twice: another's transition is left alone."""
        stored = await self._registry.load(withdrawal.project)
        if stored is None or stored.record.transition is None:
            return RecordFound(stored=stored)
        if stored.record.transition.operation_id != withdrawal.operation_id:
            return RecordFound(stored=stored)
        record = stored.record.model_copy(update={"transition": None, "updated_by": withdrawal.operation_id})
        try:
            return RecordFound(stored=await self._registry.save(record, stored.etag))
        except LabelbridgeError as error:
            if error.code == "record_conflict":
                raise LabelbridgeError("not_yet", "The record changed meanwhile; looking again.") from error
            raise

    @activity.defn(name="announce")
    async def announce(self, entry: AuditEntry) -> None:
        """Write the audit entry, the marker of the latest labels and the events.

        May run twice: one blob per operation, never overwritten; see `Announcer` for the others.
        """
        await self._registry.audit(entry)
        await self._announcer.ended(entry)


def _first_record(intent: Intent) -> Record:
    return Record(project=intent.project, kind=intent.kind, updated_at=intent.transition.started_at)


def _is_written(wanted: Record, standing: Record) -> bool:
    """True if `wanted` stands there, or was committed there and somebody edited the record since.

    Only the operation itself commits its transition: to take that for a conflict would undo what is
    committed.
    """
    if standing == wanted:
        return True
    ours, theirs = wanted.transition, standing.transition
    if ours is None or theirs is None or ours.operation_id != theirs.operation_id:
        return False
    return ours.phase is theirs.phase is Phase.COMMITTED
