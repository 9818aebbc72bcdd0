"""What the preflight reads, each thing once however many checks need it.

Prevents one failing read from hiding other findings: a read that Azure refuses becomes a finding of
its own (`CannotCheckError`) in every check that needs it, and the other checks go on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from activities import _preflight_commands as commands
from activities._preflight_codes import FindingCode
from labelbridge.azure import roles
from labelbridge.azure.arm import LanguageAccount
from labelbridge.azure.assignments import RoleAssignment
from labelbridge.azure.azureml import Datastore, LabelingJob, WorkspaceInfo
from labelbridge.azure.language import LanguageProject
from labelbridge.azure.session import AzureSession, Identity
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ConnectRequest,
    Finding,
    ImportRequest,
    JobRef,
    PreflightLook,
    Record,
    Severity,
    arm_name,
    same_resource,
)
from labelbridge.registry import Registry
from labelbridge.settings import Settings

COUNTED = 5000
"""Documents that the preflight counts: what a page of Azure's listing holds."""
_T = TypeVar("_T")


class CannotCheckError(Exception):
    """A check could not be made; `finding` says why and what mends it."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def error(code: FindingCode, message: str, command: str | None = None, *, waitable: bool = False) -> Finding:
    """A finding that stops the operation."""
    return Finding(code=code, severity=Severity.ERROR, message=message, command=command, waitable=waitable)


def warning(code: FindingCode, message: str, command: str | None = None) -> Finding:
    """A finding that does not stop it."""
    return Finding(code=code, severity=Severity.WARNING, message=message, command=command)


def fine(code: FindingCode, message: str) -> Finding:
    """A finding that nothing is wrong."""
    return Finding(code=code, severity=Severity.OK, message=message)


class Facts:
    """Lazily read facts of one look. Use as an async context manager: it ends reads still under way."""

    def __init__(
        self, session: AzureSession, registry: Registry, settings: Settings, look: PreflightLook
    ) -> None:
        """Nothing is read yet."""
        self.session = session
        self.registry = registry
        self.settings = settings
        self.look = look
        self._reads: dict[tuple[str, ...], asyncio.Task[Any]] = {}

    async def __aenter__(self) -> "Facts":
        """Nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End reads that nobody waits for any more."""
        for read in self._reads.values():
            read.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)

    # What the request says

    @property
    def resource(self) -> str:
        """ARM id of the Language resource."""
        return self.look.project.language_resource

    @property
    def importing(self) -> ImportRequest | None:
        """The request, if it is an import."""
        return self.look.request if isinstance(self.look.request, ImportRequest) else None

    @property
    def connecting(self) -> ConnectRequest | None:
        """The request, if it is a connect."""
        return self.look.request if isinstance(self.look.request, ConnectRequest) else None

    async def job_ref(self) -> JobRef | None:
        """The labeling job that is meant: the one to make, or the connected one."""
        if self.connecting:
            return self.connecting.job
        record = await self.record()
        return record.connection.job if record and record.connection else None

    # What is read

    async def identity(self) -> Identity:
        """Who the worker is."""
        return await self._once(("identity",), self.session.identity, None)

    async def record(self) -> Record | None:
        """The project's record: as the operation gave it, else as the registry has it."""
        if self.look.record is not None:
            return self.look.record

        async def read() -> Record | None:
            stored = await self.registry.load(self.look.project)
            return stored.record if stored else None

        return await self._once(("record",), read, self._registry_blame())

    async def claimed_by(self, job: JobRef) -> str | None:
        """Name of the project that claimed the job, or None."""

        async def read() -> str | None:
            claim = await self.registry.read_claim(job)
            return claim.project.name if claim else None

        return await self._once(("claim", job.claim_key), read, self._registry_blame())

    async def account(self) -> LanguageAccount:
        """The Language resource."""
        return await self._once(
            ("account",),
            self.session.language(self.resource).account,
            (FindingCode.LANGUAGE_UNREADABLE, roles.READER, self.resource),
        )

    async def project(self) -> LanguageProject | None:
        """The Language project, or None."""

        async def read() -> LanguageProject | None:
            await self.account()
            return await self.session.language(self.resource).project(self.look.project.name)

        blame = (FindingCode.PROJECT_UNREADABLE, self.worker_language_role, self.resource)
        return await self._once(("project",), read, blame)

    async def workspace_id(self) -> str | None:
        """ARM id of the workspace of the job that is meant."""
        job = await self.job_ref()
        return job.workspace if job else None

    async def workspace(self) -> WorkspaceInfo | None:
        """The workspace, or None if no job is meant."""
        if (workspace := await self.workspace_id()) is None:
            return None
        blame = (FindingCode.WORKSPACE_UNREADABLE, roles.AZUREML_DATA_SCIENTIST, workspace)
        return await self._once(("workspace",), self.session.workspace(workspace).info, blame)

    async def datastores(self) -> tuple[Datastore, ...]:
        """The workspace's datastores; none if no job is meant."""
        if (workspace := await self.workspace_id()) is None:
            return ()
        blame = (FindingCode.WORKSPACE_UNREADABLE, roles.AZUREML_DATA_SCIENTIST, workspace)
        return await self._once(("datastores",), self.session.workspace(workspace).datastores, blame)

    async def job(self, ref: JobRef) -> LabelingJob | None:
        """The labeling job, or None."""
        blame = (FindingCode.WORKSPACE_UNREADABLE, roles.AZUREML_DATA_SCIENTIST, ref.workspace)
        workspace = self.session.workspace(ref.workspace)
        return await self._once(("job", ref.name), lambda: workspace.job(ref.name), blame)

    async def assignments(self, scope: str, principal: str) -> tuple[RoleAssignment, ...]:
        """Role assignments of a principal at a scope, inherited ones included."""
        blame = (FindingCode.ROLES_UNREADABLE, roles.READER, scope)
        return await self._once(
            ("roles", scope.casefold(), principal),
            lambda: self.session.assignments.at(scope, principal),
            blame,
        )

    async def storage(self) -> str | None:
        """ARM id of the storage account that the Language resource is linked to, or None."""
        linked = (await self.account()).storage_accounts
        return linked[0] if linked else None

    async def place(self) -> tuple[str, str] | None:
        """Account name and container of the documents, or None if there is no project."""
        if self.importing:
            return self.importing.account, self.importing.container
        project, storage = await asyncio.gather(self.project(), self.storage())
        return (arm_name(storage), project.container) if project and storage else None

    async def documents(self, account: str, container: str) -> int:
        """How many documents Language would find: non-empty .txt blobs at the container's root.

        At most `COUNTED`: a container is not listed to its end only to say that it is not empty.
        """

        async def read() -> int:
            count = 0
            async with aclosing(self.session.blobs(account).each(container)) as blobs:
                async for blob in blobs:
                    count += blob.size > 0 and "/" not in blob.name and blob.name.casefold().endswith(".txt")
                    if count >= COUNTED:
                        break
            return count

        linked = await self.storage()
        known = linked if linked and arm_name(linked).casefold() == account.casefold() else None
        scope = known or commands.storage_scope(account)
        blame = (FindingCode.DOCUMENTS_UNREADABLE, roles.STORAGE_BLOB_DATA_CONTRIBUTOR, scope)
        return await self._once(("documents", account, container), read, blame)

    async def datastore(self) -> Datastore | None:
        """The datastore that reaches the documents: the one named, or any."""
        place = await self.place()
        if place is None:
            return None
        wanted = self.connecting.datastore if self.connecting else None
        if not self.connecting:
            record = await self.record()
            wanted = record.connection.datastore if record and record.connection else None
        return next(
            (
                d
                for d in sorted(await self.datastores(), key=lambda d: d.is_default)
                if (d.account.casefold(), d.container) == (place[0].casefold(), place[1])
                and (wanted is None or d.name.casefold() == wanted.casefold())
            ),
            None,
        )

    @property
    def worker_language_role(self) -> str:
        """The role to grant the worker on the Language resource: deleting and deploying take Owner."""
        return roles.LANGUAGE_OWNER if self.needs_language_owner else roles.LANGUAGE_WRITER

    @property
    def needs_language_owner(self) -> bool:
        """True if the operation may have to delete (undo of an import) or to deploy."""
        return self.importing is not None or bool(getattr(self.look.request, "deployment", None))

    def same_storage(self, a: str, b: str) -> bool:
        """True if two ARM ids, or an id and a name, mean one storage account (names are global)."""
        return same_resource(a, b) or arm_name(a).casefold() == arm_name(b).casefold()

    def _registry_blame(self) -> "_Blame":
        scope = commands.storage_scope(self.settings.registry.account)
        return FindingCode.REGISTRY_UNUSABLE, roles.STORAGE_BLOB_DATA_CONTRIBUTOR, scope

    async def _once(
        self, key: tuple[str, ...], read: Callable[[], Awaitable[_T]], blame: "_Blame | None"
    ) -> _T:
        """Read once. A final error becomes `CannotCheckError` after `blame`; a passing one is raised."""
        if key not in self._reads:
            self._reads[key] = asyncio.ensure_future(self._blamed(read, blame))
        value: _T = await asyncio.shield(self._reads[key])
        return value

    async def _blamed(self, read: Callable[[], Awaitable[_T]], blame: "_Blame | None") -> _T:
        try:
            return await read()
        except LabelbridgeError as failure:
            if not failure.final or blame is None:
                raise
            raise CannotCheckError(await self._finding(failure, blame)) from failure

    async def _finding(self, failure: LabelbridgeError, blame: "_Blame") -> Finding:
        code, role, scope = blame
        if failure.code != "forbidden":
            return error(code, failure.message)
        worker = await self.identity()
        command = commands.grant(
            role, object_id=worker.object_id, principal_type=worker.principal_type, scope=scope
        )
        return error(code, f"The worker may not look: {failure.message}", command, waitable=True)


_Blame = tuple[FindingCode, str, str]
"""Code of the finding, role that would allow the read, scope to grant it at."""
