"""A preflight at hand: what the tests of it share."""

import shlex
import uuid
from datetime import UTC, datetime
from typing import Any

from activities.preflight import Preflights
from labelbridge.azure.session import AzureSession
from labelbridge.local.api import MACHINE_LEARNING_VERSION
from labelbridge.local.seed import (
    DATA_ACCOUNT,
    GROUP,
    RECORDS_ACCOUNT,
    SeededProject,
    grant,
)
from labelbridge.local.stack import Stack
from labelbridge.model import (
    Actor,
    BlobRef,
    Connection,
    ConnectRequest,
    Finding,
    ImportRequest,
    JobRef,
    Preflight,
    PreflightLook,
    ProjectRef,
    Record,
    Request,
    Severity,
    Studio,
)
from labelbridge.registry import Registry

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Desk:
    """A worker's preflight, as a principal, without a worker."""

    def __init__(self, stack: Stack, session: AzureSession, principal: str) -> None:
        self.stack = stack
        self.session = session
        self.settings = stack.settings(principal)
        self.registry = Registry(session.blobs(RECORDS_ACCOUNT), self.settings.registry.container)
        self.preflights = Preflights(session, self.registry, self.settings)

    async def look(
        self, project: ProjectRef, request: Request, *, who: str = "operator", record: Record | None = None
    ) -> Preflight:
        actor = Actor(object_id=self.stack.tenant.principals[who].object_id, name=who)
        look = PreflightLook(project=project, actor=actor, request=request, record=record)
        return await self.preflights.preflight(look)

    def job(self, name: str | None = None, workspace: str | None = None) -> JobRef:
        return JobRef(
            workspace=workspace or self.stack.tenant.workspace, name=name or f"j{uuid.uuid4().hex[:12]}"
        )

    def connect(self, **more: Any) -> ConnectRequest:
        return ConnectRequest(**{"job": self.job(), **more})


def by_code(seen: Preflight) -> dict[str, Finding]:
    """Findings that are not ok, by code."""
    return {f.code: f for f in seen.findings if f.severity is not Severity.OK}


def option(command: str | None, name: str) -> str:
    """The value of an option of a command."""
    words = shlex.split(command or "")
    return words[words.index(name) + 1]


def connected_record(made: SeededProject, job: JobRef, active: Studio = Studio.LANGUAGE) -> Record:
    connection = Connection(
        job=job,
        datastore=made.datastore,
        container=made.container,
        data_asset="documents",
        connected_at=NOW,
        connected_by=Actor(object_id="o"),
    )
    return Record(project=made.ref, kind=made.kind, active=active, connection=connection, updated_at=NOW)


async def other_workspace(stack: Stack, *, account: str, role: str | None) -> str:
    """A workspace of its own, on that storage account, whose identity has that role there."""
    admin, name = stack.tenant.caller("admin"), f"w{uuid.uuid4().hex[:10]}"
    workspace = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
    storage = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{account}"
    body = {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "properties": {"storageAccount": storage},
    }
    admin.arm("PUT", workspace, body, version=MACHINE_LEARNING_VERSION)
    made = admin.arm("GET", workspace, version=MACHINE_LEARNING_VERSION).body
    if role:
        grant(admin, made["identity"]["principalId"], role, storage)
    return workspace


def reaching(stack: Stack, workspace: str, made: SeededProject) -> None:
    """A datastore of that workspace that reaches the project's container."""
    properties = {
        "datastoreType": "AzureBlob",
        "accountName": DATA_ACCOUNT,
        "containerName": made.container,
        "protocol": "https",
        "credentials": {"credentialsType": "None"},
    }
    path = f"{workspace}/datastores/{made.datastore}"
    stack.tenant.caller("admin").arm(
        "PUT", path, {"properties": properties}, version=MACHINE_LEARNING_VERSION
    )


def an_import(made: SeededProject, source: BlobRef, **more: Any) -> ImportRequest:
    values = {
        "source": source,
        "account": DATA_ACCOUNT,
        "container": made.container,
        "project_kind": made.kind,
        "language": "en-us",
    }
    return ImportRequest(**{**values, **more})
