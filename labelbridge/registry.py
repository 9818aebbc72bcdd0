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
"""

import asyncio
from typing import TypeVar

from pydantic import ValidationError

from labelbridge.errors import LabelbridgeError
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

M = TypeVar("M", bound=Model)
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

    async def probe(self) -> None:
        """Write, read and delete a blob: proof that this identity may keep the registry."""
        await self._blobs.probe(self._container)

    # Records

    async def load(self, ref: ProjectRef) -> StoredRecord | None:
        """The project's record with its ETag, or None if the project has none."""
        content = await self._blobs.read(self._container, _record_name(ref))
        return (
            None if content is None else StoredRecord(record=_parsed(Record, content.data), etag=content.etag)
        )

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
        """The records of all projects, by project key."""
        names = [b.name for b in await self._blobs.list(self._container, "projects/")]
        return await self._all(Record, [n for n in names if n.endswith("/record.json")])

    async def _ours(self, record: Record, data: bytes) -> StoredRecord:
        """The stored record if it is byte for byte what we wrote, else `record_conflict`."""
        content = await self._blobs.read(self._container, _record_name(record.project))
        if content is not None and content.data == data:
            return StoredRecord(record=record, etag=content.etag)
        other = None if content is None else _parsed(Record, content.data)
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
        return None if content is None else _parsed(Claim, content.data)

    # Audit

    async def audit(self, entry: AuditEntry) -> None:
        """Keep one line of the audit trail. An operation has one; the first written stays."""
        name = f"audit/{segment(entry.project.key)}/{segment(entry.operation_id)}.json"
        await self._blobs.create(self._container, name, _dumped(entry))

    async def history(self, ref: ProjectRef) -> tuple[AuditEntry, ...]:
        """The project's audit trail, oldest first."""
        names = [b.name for b in await self._blobs.list(self._container, f"audit/{segment(ref.key)}/")]
        entries = await self._all(AuditEntry, names)
        return tuple(sorted(entries, key=lambda e: (e.ended_at, e.operation_id)))

    async def _all(self, model: type[M], names: list[str]) -> tuple[M, ...]:
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def one(name: str) -> M | None:
            async with gate:
                content = await self._blobs.read(self._container, name)
            return None if content is None else _parsed(model, content.data)

        found = await asyncio.gather(*(one(name) for name in names))
        return tuple(m for m in found if m is not None)


def _record_name(ref: ProjectRef) -> str:
    return f"projects/{segment(ref.key)}/record.json"


def _dumped(model: Model) -> bytes:
    return model.model_dump_json(indent=1).encode()


def _parsed(model: type[M], data: bytes) -> M:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise LabelbridgeError(
            "read_back_differs",
            f"A {model.__name__} in the registry cannot be read: {error.error_count()} errors.",
        ) from error
