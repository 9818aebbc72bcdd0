"""What the console reads of Azure, with one session for all who look.

Prevents a page that costs a sign-in and a dozen requests each time somebody looks: the credential and
its connections are shared, what never changes (manifests, audit entries) is read once, and what does
change is read again only when it is older than its time. Whoever shows it also shows how old it is.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Generic, TypeVar

import msgspec

from labelbridge.azure.azureml_models import LabelingJob
from labelbridge.azure.language_models import LanguageProject
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.manifest import Manifest
from labelbridge.model import AuditEntry, ProjectRef, Record
from labelbridge.registry import Registry
from labelbridge.settings import Settings

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

PROGRESS_AGE = timedelta(seconds=30)
"""How old label progress may get. One request to ARM serves a whole workspace for this long."""
PROJECTS_AGE = timedelta(seconds=60)
"""How old the list of Language's projects may get: the service allows 100 reads a minute for everybody."""
REMEMBERED = 4000
"""Manifests and audit entries kept in memory; each is a few kilobytes."""
_PARALLEL_READS = 8


@dataclass(frozen=True)
class Aged(Generic[T]):
    """A value and when it was read. `error` says why it could not be read again."""

    value: T
    read_at: datetime
    error: LabelbridgeError | None = None


class Cache(Generic[K, T]):
    """Reads a value by key, once for all who ask at the same time, and again when it is too old.

    When reading fails, the last value is given with the error; with no value yet the error is raised.
    """

    def __init__(
        self,
        read: Callable[[K], Awaitable[T]],
        age: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`age`: a value that is older is read again."""
        self._read = read
        self._age = age.total_seconds()
        self._clock = clock
        self._kept: dict[K, tuple[float, Aged[T]]] = {}
        self._under_way: dict[K, asyncio.Task[Aged[T]]] = {}

    async def get(self, key: K) -> Aged[T]:
        """The value; raises LabelbridgeError if it was never read and cannot be."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < self._age:
            return kept[1]
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._renew(key))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    def forget(self, key: K) -> None:
        """Read this key again when it is next asked for."""
        self._kept.pop(key, None)

    async def _renew(self, key: K) -> Aged[T]:
        try:
            found = Aged(await self._read(key), datetime.now(UTC))
        except LabelbridgeError as error:
            kept = self._kept.get(key)
            if kept is None:
                raise
            found = Aged(kept[1].value, kept[1].read_at, error)
        self._kept[key] = (self._clock(), found)
        return found


class Reading:
    """One per application; nothing is opened until something is read."""

    def __init__(self, settings: Settings) -> None:
        """`settings` say where everything is."""
        self._settings = settings
        self._stack = AsyncExitStack()
        self._session: AzureSession | None = None
        self._lock = asyncio.Lock()
        self._immutable: OrderedDict[str, object] = OrderedDict()
        self.jobs: Cache[str, dict[str, LabelingJob]] = Cache(self._jobs, PROGRESS_AGE)
        """Workspace (ARM id) -> its labeling jobs by case-folded name."""
        self.language: Cache[str, tuple[LanguageProject, ...]] = Cache(self._language, PROJECTS_AGE)
        """Language resource (ARM id) -> its projects of the kinds that Labelbridge handles."""

    async def close(self) -> None:
        """Close the credential and the connections."""
        await self._stack.aclose()
        self._session = None

    async def session(self) -> AzureSession:
        """The session, opened when it is first needed."""
        async with self._lock:
            if self._session is None:
                self._session = await self._stack.enter_async_context(AzureSession(self._settings))
            return self._session

    async def registry(self) -> Registry:
        """The record store."""
        if not self._settings.registry.account:
            raise LabelbridgeError("settings_invalid", "registry.account: the storage account of the record")
        blobs = (await self.session()).blobs(self._settings.registry.account)
        return Registry(blobs, self._settings.registry.container)

    async def record(self, project: ProjectRef) -> Record | None:
        """The project's record as it is now."""
        stored = await (await self.registry()).load(project)
        return stored.record if stored else None

    async def language_project(self, project: ProjectRef) -> LanguageProject | None:
        """The project as Language has it now, or None if it has none of this name."""
        return await (await self.session()).language(project.language_resource).project(project.name)

    async def records(self) -> tuple[Record, ...]:
        """The records of all projects."""
        return await (await self.registry()).records()

    # Snapshots and history: each blob is read once.

    async def manifests(self, project: ProjectRef, limit: int) -> list[Manifest]:
        """The manifests of the project's newest `limit` snapshots, newest first."""
        registry = await self.registry()
        ids = await registry.recent_snapshots(project, limit)
        found = await self._each(ids, lambda one: self.manifest(project, one))
        return sorted(found, key=lambda one: (one.taken_at, one.id), reverse=True)

    async def manifest(self, project: ProjectRef, snapshot_id: str) -> Manifest:
        """A snapshot's manifest by its id or how that begins; `snapshot_unknown` if there is none."""
        registry = await self.registry()
        whole = await registry.snapshot_id(project, snapshot_id)
        known = self._immutable.get(f"{project.key}/{whole}")
        if isinstance(known, Manifest):
            return known
        found = await registry.read_manifest(project, whole)
        if found is None:
            raise LabelbridgeError("snapshot_unknown", f"{project.name} has no snapshot {snapshot_id}.")
        try:
            return self._remember(f"{project.key}/{whole}", msgspec.convert(found, Manifest, strict=False))
        except msgspec.ValidationError as error:
            raise LabelbridgeError("snapshot_unreadable", f"The manifest of {whole}: {error}") from error

    async def snapshot(self, project: ProjectRef, snapshot_id: str) -> BinaryIO:
        """A snapshot's content as a temporary file; the caller closes it. Errors as `manifest`."""
        registry = await self.registry()
        found = await registry.open_snapshot(project, await registry.snapshot_id(project, snapshot_id))
        if found is None:
            raise LabelbridgeError("snapshot_unknown", f"{project.name} has no snapshot {snapshot_id}.")
        return found

    async def history(self, project: ProjectRef, *, skip: int = 0, limit: int = 25) -> list[AuditEntry]:
        """Audit entries, newest first; reads only the blobs of this page."""
        ids = await (await self.registry()).recent(project, skip + limit)
        found = await self._each(ids[skip:], lambda one: self.audit_entry(project, one))
        return [entry for entry in found if entry is not None]

    async def audit_entry(self, project: ProjectRef, operation_id: str) -> AuditEntry | None:
        """How an operation ended; None if the audit trail does not have it."""
        name = f"{project.key}/{operation_id}"
        known = self._immutable.get(name)
        if isinstance(known, AuditEntry):
            return known
        found = await (await self.registry()).audit_entry(project, operation_id)
        return None if found is None else self._remember(name, found)

    def _remember(self, name: str, value: T) -> T:
        self._immutable[name] = value
        while len(self._immutable) > REMEMBERED:
            self._immutable.popitem(last=False)
        return value

    async def _each(self, names: Sequence[str], read: Callable[[str], Awaitable[T]]) -> list[T]:
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def one(name: str) -> T:
            async with gate:
                return await read(name)

        return list(await asyncio.gather(*(one(name) for name in names)))

    # What grows old.

    async def _jobs(self, workspace: str) -> dict[str, LabelingJob]:
        jobs = await (await self.session()).workspace(workspace).jobs()
        return {job.name.casefold(): job for job in jobs}

    async def _language(self, resource: str) -> tuple[LanguageProject, ...]:
        projects = await (await self.session()).language(resource).projects()
        return tuple(project for project in projects if project.kind is not None)
