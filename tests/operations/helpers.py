"""A project on the bench: made, labelled and read back past the product, by Azure's own APIs.

Prevents tests that believe the product's answers: what an operation left is read as anybody with the
operator's roles reads it, and what a refusal must not have touched is compared before and after.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import LANGUAGE, MACHINE_LEARNING_VERSION, Caller, segment
from labelbridge.local.demo_evidence import RECORDS_CONTAINER, Evidence
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.referee import Labels
from labelbridge.local.seed import (
    ADMIN,
    DATA_ACCOUNT,
    GROUP,
    RECORDS_ACCOUNT,
    SeededProject,
    Tenant,
    grant,
    make_project,
)
from labelbridge.local.stack import Stack
from labelbridge.local.studios import Canonical, Span, azureml_studio, language_studio
from labelbridge.model import (
    AuditEntry,
    ConnectRequest,
    GateState,
    JobRef,
    OperationResult,
    Outcome,
    Preflight,
    ProjectKind,
    ProjectRef,
    Request,
    StepState,
    Studio,
)
from labelbridge.plans import plan
from tests.operations.rehearsal import eventually
from tests.projects import CLASSES, ENTITIES, write_folder

TIMEOUT = 300.0
"""Seconds until an operation is taken for stuck; the longest takes about twenty."""
FileChange = Callable[[dict[str, Any]], None]
"""Changes the labels file of a folder before the project is made from it."""


@dataclass(frozen=True)
class Standing:
    """All that a refused request must leave as it was. Blobs are compared by name and ETag."""

    record: Mapping[str, str]
    claims: Mapping[str, str]
    """Claims of this project's job names, and of the job that is meant."""
    gates: GateState
    log: int
    """Gate changes and label writes so far, in both studios."""
    operations: frozenset[str] = field(compare=False)
    """Names of the audit entries."""


@dataclass(frozen=True)
class Bench:
    """One project of its own, the labeling job that is meant for it, and the way to look at both."""

    stack: Stack
    project: SeededProject
    folder: ProjectFolder
    job: JobRef

    @classmethod
    async def make(
        cls,
        stack: Stack,
        path: Path,
        kind: ProjectKind = ProjectKind.ENTITIES,
        *,
        documents: int = 12,
        labelled: int = 8,
        change: FileChange | None = None,
    ) -> "Bench":
        """A project with a name that nobody used before, made from a folder below `path`."""
        name = f"t{uuid.uuid4().hex[:12]}"
        folder = write_folder(path / name, kind, documents=documents, labelled=labelled)
        if change:
            change(folder.labels)
            (folder.path / "labels.json").write_text(json.dumps(folder.labels))
            folder = ProjectFolder.read(folder.path)
        project = await asyncio.to_thread(make_project, stack.tenant, folder, name=name)
        return cls.of(stack, project, folder)

    @classmethod
    def of(cls, stack: Stack, project: SeededProject, folder: ProjectFolder) -> "Bench":
        """A bench for a project that exists or will."""
        job = JobRef(workspace=stack.tenant.workspace, name=f"job-{project.ref.name}")
        return cls(stack, project, folder, job)

    def with_job(self, job: JobRef) -> "Bench":
        """The same project beside another labeling job."""
        return replace(self, job=job)

    @property
    def ref(self) -> ProjectRef:
        """The project."""
        return self.project.ref

    @property
    def kind(self) -> ProjectKind:
        """Its kind."""
        return self.project.kind

    @property
    def tenant(self) -> Tenant:
        """Who and what there is."""
        return self.stack.tenant

    @cached_property
    def evidence(self) -> Evidence:
        """The project as the operator sees it through Azure's APIs; blocking."""
        return Evidence(self.tenant, self.project, self.folder, self.job, self.stack.offset_unit)

    @cached_property
    def _ann(self) -> Caller:
        return self.tenant.caller("ann")

    @cached_property
    def _records(self) -> ContainerClient:
        return self.tenant.blobs("operator", RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)

    # Labels.

    async def label(self, studio: Studio, document: str, choice: int) -> Canonical:
        """Ann labels a document; returns the labels in the form that both studios share.

        Different choices give different labels; 0 to 5 are good for every document.
        """
        return await asyncio.to_thread(self._label, studio, document, choice)

    def _label(self, studio: Studio, document: str, choice: int) -> Canonical:
        if studio is Studio.LANGUAGE:
            client = language_studio(self._ann, self.ref, self.tenant.language_endpoint)
        else:
            client = azureml_studio(self._ann, self.job, self.stack.offset_unit)
        text = self.folder.content(document).decode()
        labels = client.wire(self.kind, text, decision(self.kind, text, choice))
        reply = client.put(document, labels)
        assert reply.status == 200, f"{studio} refused a label of {document}: {reply.body}"
        return client.canonical(self.kind, text, labels)

    async def in_language(self, trained_model: str | None = None) -> Labels:
        """What Language exports now, or held when that model was trained."""
        return await asyncio.to_thread(self.evidence.language_labels, trained_model)

    async def language_file(self) -> dict[str, Any]:
        """The Language project file as it is exported now."""
        return await asyncio.to_thread(self._language_file)

    def _language_file(self) -> dict[str, Any]:
        caller = self.evidence.caller
        path = f"/{segment(self.ref.name)}/:export?stringIndexType=Utf16CodeUnit"
        job = caller.language_job("POST", self.tenant.language_endpoint, path)
        return dict(caller.request("GET", job["resultUrl"], resource=LANGUAGE).body)

    async def in_azureml(self) -> Labels:
        """What the Azure ML studio shows now."""
        return await asyncio.to_thread(self.evidence.studio_labels, Studio.AZUREML)

    async def in_snapshot(self, snapshot_id: str) -> Labels:
        """What a stored snapshot holds."""
        return await asyncio.to_thread(self.evidence.snapshot, snapshot_id)

    # How things stand.

    async def gates_become(self, *, language: bool, azureml: bool) -> bool:
        """True once both gates read so through Azure's APIs."""
        return await asyncio.to_thread(self.evidence.gates_become, language, azureml)

    async def record(self) -> dict[str, Any]:
        """The project's record."""
        return await asyncio.to_thread(self.evidence.record)

    async def standing(self) -> Standing:
        """All that a refusal must not change."""
        return await asyncio.to_thread(self._standing)

    def _standing(self) -> Standing:
        claims = self._listed("claims/")
        ours = (self.ref.name.casefold(), self.job.claim_key)
        return Standing(
            record=self._listed(f"projects/{self.ref.key}/"),
            claims={name: etag for name, etag in claims.items() if any(one in name for one in ours)},
            gates=self.evidence.gates(),
            log=len(self.evidence.log()),
            operations=frozenset(self._listed(f"audit/{self.ref.key}/")),
        )

    def _listed(self, prefix: str) -> dict[str, str]:
        return {blob.name: str(blob.etag) for blob in self._records.list_blobs(name_starts_with=prefix)}

    async def audit_entry(self, name: str) -> AuditEntry:
        """What the audit trail says of an operation."""
        download = await asyncio.to_thread(self._records.download_blob, name)
        return AuditEntry.model_validate_json(await asyncio.to_thread(download.readall))


def decision(kind: ProjectKind, text: str, choice: int) -> Sequence[Span] | Sequence[str]:
    """What somebody decides about a text: its last words as an entity, or one or two classes."""
    if kind is ProjectKind.ENTITIES:
        words = text.split(" ")[-1 - choice :]
        return [Span(len(text) - len(" ".join(words)), len(text), ENTITIES[choice % 2])]
    classes = [CLASSES[choice % 3], CLASSES[(choice + 1) % 3]]
    return classes[:1] if kind is ProjectKind.SINGLE_LABEL else sorted(classes)


# Operations.


async def follow(bridge: Labelbridge, ref: ProjectRef, request: Request, **options: Any) -> OperationResult:
    """Carry an operation to its end, and hold its timeline against the plan that was made before."""
    planned = plan(request, await bridge.status(ref))
    handle = await bridge.start(ref, request, **options)
    result = await handle.result(TIMEOUT)
    seen = await eventually(handle.progress, "the timeline of an operation that has ended")
    assert [(step.name, step.state) for step in seen.steps] == [
        (step.name.value, StepState.DONE) for step in planned
    ]
    return result


async def dry_then_done(
    bridge: Labelbridge, bench: Bench, request: Request
) -> tuple[Preflight, OperationResult]:
    """A dry run that finds no error and changes nothing, then the operation, as it was planned."""
    before = await bench.standing()
    seen = await bridge.preflight(bench.ref, request)
    assert seen.errors == ()
    assert (seen.kind, seen.container) == (bench.kind, bench.project.container)
    assert seen.documents == len(bench.project.documents)
    after = await bench.standing()
    assert after == before
    assert not after.operations ^ before.operations
    return seen, await follow(bridge, bench.ref, request)


async def carry_out(
    bridge: Labelbridge, ref: ProjectRef, request: Request, **options: Any
) -> OperationResult:
    """Carry an operation to its end; for those that are expected to fail."""
    handle = await bridge.start(ref, request, **options)
    return await handle.result(TIMEOUT)


async def connect(bridge: Labelbridge, bench: Bench) -> OperationResult:
    """Connect the bench's project to its job."""
    return await follow(bridge, bench.ref, ConnectRequest(job=bench.job))


async def refused_at_once(bench: Bench, ask: Awaitable[Any], code: str) -> LabelbridgeError:
    """The refusal of a request that must leave no trace: no change, and no operation in the history."""
    before = await bench.standing()
    with pytest.raises(LabelbridgeError) as caught:
        await ask
    assert caught.value.code == code, caught.value.message
    assert caught.value.remedy
    after = await bench.standing()
    assert after == before
    assert not after.operations ^ before.operations
    return caught.value


async def refused_by_preflight(bench: Bench, ask: Awaitable[Any], *codes: str) -> LabelbridgeError:
    """The refusal of an operation that found exactly these errors; the history has it, nothing else changed."""
    before = await bench.standing()
    with pytest.raises(LabelbridgeError) as caught:
        await ask
    assert caught.value.code == "preflight_failed", caught.value.message
    assert errors_of(caught.value) == set(codes)
    after = await bench.standing()
    assert after == before
    (entry,) = [await bench.audit_entry(name) for name in after.operations - before.operations]
    assert entry.outcome is Outcome.REFUSED
    assert entry.error == caught.value.info
    return caught.value


def errors_of(refusal: LabelbridgeError) -> set[str]:
    """Codes of the findings that stopped an operation."""
    return {finding.code for finding in refusal.findings if finding.severity == "error"}


async def note_appears(handle: OperationHandle, text: str) -> str:
    """The note of a step of a running operation that holds `text`, once there is one."""

    async def look() -> str:
        while True:
            seen = await handle.progress()
            notes = [step.note for step in seen.steps if text in step.note] if seen else []
            if notes:
                return notes[0]
            await asyncio.sleep(0.1)

    return await asyncio.wait_for(look(), TIMEOUT)


# Somebody else, somewhere else.


@asynccontextmanager
async def bridge_as(stack: Stack, principal: str) -> AsyncIterator[Labelbridge]:
    """The client as another principal, whose identity comes from that principal's own token.

    Enter it before anything runs concurrently: for a moment this whole process is that principal.
    """
    async with Labelbridge.connect(stack.settings(principal)) as bridge:
        with stack.acting_as(principal):
            await bridge.actor()
        yield bridge


@dataclass(frozen=True)
class OtherWorkspace:
    """A workspace beside the tenant's own; its identity has only the roles that were asked for."""

    id: str
    identity: str


async def make_workspace(
    bench: Bench, *roles: str, account: str = DATA_ACCOUNT, datastore: bool = True
) -> OtherWorkspace:
    """A workspace on a storage account, with a datastore for the bench's container unless told not to."""
    return await asyncio.to_thread(_make_workspace, bench, roles, account, datastore)


def _make_workspace(bench: Bench, roles: Sequence[str], account: str, datastore: bool) -> OtherWorkspace:
    admin = bench.tenant.caller(ADMIN)
    place = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/w-{bench.ref.name}"
    storage = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{account}"
    body: Mapping[str, Any] = {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "properties": {"storageAccount": storage},
    }
    admin.arm("PUT", place, body, version=MACHINE_LEARNING_VERSION)
    identity = admin.arm("GET", place, version=MACHINE_LEARNING_VERSION).body["identity"]["principalId"]
    if datastore:
        properties = {
            "datastoreType": "AzureBlob",
            "accountName": DATA_ACCOUNT,
            "containerName": bench.project.container,
        }
        path = f"{place}/datastores/{bench.project.datastore}"
        admin.arm("PUT", path, {"properties": properties}, version=MACHINE_LEARNING_VERSION)
    for role in roles:
        grant(admin, identity, role, bench.tenant.storage_account)
    return OtherWorkspace(place, identity)
