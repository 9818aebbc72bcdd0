"""The truth that outlives everything else: records, claims, snapshots and the audit trail, in Blob.

Prevents two writers from each believing that they won: a record changes only by compare-and-swap on
its ETag, a claim is created once and never deleted, and a snapshot's name is the hash of its content.
A write whose answer was lost is told apart from somebody else's by reading the blob back.

Layout, below one container:

    projects/<project key>/record.json
    claims/<workspace>/<job>.json
    snapshots/<project key>/<sha256>.jsonl, .json (manifest)
    raw/<sha256>.json          Language project files as they were exported
    uploads/<sha256>.jsonl     files handed in for an import
    quarantine/<sha256>.jsonl  rows that could not be read
    reports/<sha256>.jsonl     conflicts of a merge, with both values
    catalog/<account>/<container>.sqlite   measures of documents: a cache
    shards/<conversion>/...    parts of a conversion under way; left over only if it was cut off
    audit/<project key>/<operation id>.json
    projects/<project key>/labels/latest.json, policy.json
    events/log/<place>.json    the outbox; beside it what each subscriber was told (docs/events.md)
    exports/<sha256>.json      exports of Azure ML that Labelbridge made itself
    throttle/<resource>.json   what a Language resource was asked in the last minute, by all workers
"""

import asyncio
from datetime import UTC, datetime
from urllib.parse import unquote

from labelbridge.errors import LabelbridgeError
from labelbridge.forms import M, parsed
from labelbridge.model import (
    AuditEntry,
    Claim,
    JobRef,
    Model,
    ProjectRef,
    Record,
    StoredRecord,
)
from labelbridge.stored import Contents, segment

_PARALLEL_READS = 8
"""Blobs read at once when many are: enough to hide latency, far below the account's limits."""


class Registry(Contents):
    """Records, claims, snapshots and audit entries in one container."""

    async def ensure(self) -> None:
        """Create the container unless it exists.

        Raises:
            LabelbridgeError: `registry_unreachable` if the account cannot be reached or used.
        """
        try:
            await self._blobs.ensure_container(self._container)
        except LabelbridgeError as error:
            if error.code not in ("unavailable", "forbidden", "throttled"):
                raise
            raise LabelbridgeError(
                "registry_unreachable", error.message, retry_after=error.retry_after, data=error.data
            ) from error

    async def answers(self) -> None:
        """One small read: proof that the store answers and lets this identity in; raises if not."""
        if not await self._blobs.exists(self._container):
            raise LabelbridgeError("registry_unreachable", f"There is no container {self._container}.")

    async def probe(self) -> None:
        """Write, read and delete a blob: proof that this identity may keep the registry."""
        await self._blobs.probe(self._container)

    # Records

    async def load(self, ref: ProjectRef) -> StoredRecord | None:
        """The project's record with its ETag, or None if the project has none."""
        content = await self._blobs.read(self._container, _record_name(ref))
        if content is None:
            return None
        return StoredRecord(record=parsed(Record, content.data, _record_name(ref)), etag=content.etag)

    async def create(self, record: Record) -> StoredRecord:
        """Write the first record of a project.

        The same record may be created again (a lost answer): it is found to be the same.

        Raises:
            LabelbridgeError: `record_conflict` if there is another.
        """
        name, data = _record_name(record.project), _dumped(record)
        etag = await self._blobs.create(self._container, name, data)
        return await self._ours(record, data) if etag is None else StoredRecord(record=record, etag=etag)

    async def save(self, record: Record, etag: str) -> StoredRecord:
        """Replace the record that has `etag`. One blob write: this is what commits an operation.

        The same record may be saved again with the old ETag (a lost answer): it is found to be done.

        Raises:
            LabelbridgeError: `record_conflict` if somebody else changed it; nothing was overwritten.
        """
        name, data = _record_name(record.project), _dumped(record)
        try:
            return StoredRecord(
                record=record, etag=await self._blobs.replace(self._container, name, data, etag)
            )
        except LabelbridgeError as error:
            if error.code != "record_conflict":
                raise
            return await self._ours(record, data)

    async def records(self) -> tuple[Record, ...]:
        """The records of all projects, by project key; those that cannot be read are left out."""
        return (await self.survey())[0]

    async def survey(self) -> tuple[tuple[Record, ...], tuple[LabelbridgeError, ...]]:
        """The records of all projects, by project key, and why others cannot be read.

        One broken blob must not hide all other projects from those who look after them.
        """
        names = [b.name for b in await self._blobs.list(self._container, "projects/")]
        found = await self._each(Record, [n for n in names if n.endswith("/record.json")])
        broken = tuple(one for one in found if isinstance(one, LabelbridgeError))
        return tuple(one for one in found if isinstance(one, Record)), broken

    async def _ours(self, record: Record, data: bytes) -> StoredRecord:
        """The stored record if it is byte for byte what we wrote, else `record_conflict`."""
        content = await self._blobs.read(self._container, _record_name(record.project))
        if content is not None and content.data == data:
            return StoredRecord(record=record, etag=content.etag)
        name = _record_name(record.project)
        other = None if content is None else parsed(Record, content.data, name)
        raise LabelbridgeError(
            "record_conflict",
            f"The record of {record.project.key} was changed by somebody else."
            if other
            else f"The record of {record.project.key} is gone.",
            data={"epoch": str(other.epoch), "updated_by": other.updated_by} if other else {},
        )

    # Claims

    async def claim(self, claim: Claim) -> Claim:
        """Take a labeling job's name, for ever, unless it is taken.

        Returns:
            The claim that stands: the one given, or the one of whoever was first. Compare
            `project` and `operation_id` to know.
        """
        data = _dumped(claim)
        if await self._blobs.create(self._container, claim.job.claim_key, data) is not None:
            return claim
        standing = await self.read_claim(claim.job)
        if standing is None:
            raise LabelbridgeError(
                "unavailable", f"The claim of {claim.job.name} exists and cannot be read yet."
            )
        return standing

    async def read_claim(self, job: JobRef) -> Claim | None:
        """Who took the job's name, or None if nobody did."""
        content = await self._blobs.read(self._container, job.claim_key)
        return None if content is None else parsed(Claim, content.data, job.claim_key)

    async def claim_keys(self) -> frozenset[str]:
        """The blob names of all claims (`JobRef.claim_key`)."""
        return frozenset(b.name for b in await self._blobs.list(self._container, "claims/"))

    # Audit

    async def audit(self, entry: AuditEntry) -> None:
        """Keep one line of the audit trail. An operation has one; the first written stays."""
        name = f"audit/{segment(entry.project.key)}/{segment(entry.operation_id)}.json"
        await self._blobs.create(self._container, name, _dumped(entry))

    async def history(self, ref: ProjectRef, limit: int | None = None) -> tuple[AuditEntry, ...]:
        """The project's audit trail, oldest first; of a long one only the newest `limit` are read."""
        prefix = f"audit/{segment(ref.key)}/"
        if limit is None:
            names = [b.name for b in await self._blobs.list(self._container, prefix)]
        else:
            names = [f"{prefix}{name}.json" for name in await self._newest(prefix, limit)]
        entries: list[AuditEntry] = []
        for entry in await self._each(AuditEntry, names):
            if isinstance(entry, LabelbridgeError):
                raise entry
            entries.append(entry)
        return tuple(sorted(entries, key=lambda e: (e.ended_at, e.operation_id)))

    async def recent(self, ref: ProjectRef, limit: int) -> tuple[str, ...]:
        """Ids of the last `limit` operations that ended, newest first; reads no entry."""
        prefix = f"audit/{segment(ref.key)}/"
        return tuple(unquote(name) for name in await self._newest(prefix, limit))

    async def audit_entry(self, ref: ProjectRef, operation_id: str) -> AuditEntry | None:
        """How an operation ended, or None if it has not, or there was none."""
        name = f"audit/{segment(ref.key)}/{segment(operation_id)}.json"
        content = await self._blobs.read(self._container, name)
        return None if content is None else parsed(AuditEntry, content.data, name)

    async def recent_snapshots(self, ref: ProjectRef, limit: int) -> tuple[str, ...]:
        """Ids of the last `limit` snapshots, newest first; reads no manifest."""
        return await self._newest(f"snapshots/{segment(ref.key)}/", limit)

    async def _newest(self, prefix: str, limit: int) -> tuple[str, ...]:
        """Last parts of the names of the newest `.json` blobs below `prefix`, without `.json`."""
        found = [b for b in await self._blobs.list(self._container, prefix) if b.name.endswith(".json")]
        long_ago = datetime.min.replace(tzinfo=UTC)
        found.sort(key=lambda b: (b.last_modified or long_ago, b.name), reverse=True)
        return tuple(b.name.removeprefix(prefix).removesuffix(".json") for b in found[:limit])

    async def _each(self, model: type[M], names: list[str]) -> tuple[M | LabelbridgeError, ...]:
        """The blobs of these names, each as its model or as the error that says why it is none."""
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def one(name: str) -> M | LabelbridgeError | None:
            async with gate:
                content = await self._blobs.read(self._container, name)
            try:
                return None if content is None else parsed(model, content.data, name)
            except LabelbridgeError as error:
                return error

        found = await asyncio.gather(*(one(name) for name in names))
        return tuple(m for m in found if m is not None)


def _record_name(ref: ProjectRef) -> str:
    return f"projects/{segment(ref.key)}/record.json"


def _dumped(model: Model) -> bytes:
    return model.model_dump_json(indent=1).encode()
