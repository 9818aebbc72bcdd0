"""The preflight inside operations: what it finds stops them before anything is touched, all of it at once."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import Caller, Principal
from labelbridge.local.seed import ADMIN, DATA_ACCOUNT, OTHER_ACCOUNT, grant
from labelbridge.local.stack import Stack
from labelbridge.model import (
    Actor,
    ConnectRequest,
    DisconnectRequest,
    Finding,
    JobRef,
    Outcome,
    ProjectKind,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from tests.operations.helpers import (
    TIMEOUT,
    Bench,
    bridge_as,
    carry_out,
    dry_then_done,
    errors_of,
    make_workspace,
    note_appears,
    refused_by_preflight,
)
from tests.projects import CLASSES

CONTRIBUTOR = "Storage Blob Data Contributor"
CALLER = ("caller_language_role", "caller_workspace_role")
FOREVER = timedelta(hours=1)
"""Patience that no test lives through: what must not wait is asked with it."""


def _multilingual(file: dict[str, Any]) -> None:
    file["metadata"]["multilingual"] = True


def _in_zulu(file: dict[str, Any]) -> None:
    """Language takes it, Azure ML labeling does not."""
    file["metadata"]["language"] = "zu"


def _one_class(file: dict[str, Any]) -> None:
    file["assets"]["classes"] = [{"category": CLASSES[0]}]
    for document in file["assets"]["documents"]:
        document["class"] = {"category": CLASSES[0]}


def _no_entity(file: dict[str, Any]) -> None:
    file["assets"] |= {"entities": [], "documents": []}


def _connected_by_hand(file: dict[str, Any]) -> None:
    file["metadata"]["settings"] = {"amlProjectPath": "/somebody/elses/job"}


def _all_of_it(file: dict[str, Any]) -> None:
    for change in (_multilingual, _in_zulu, _one_class):
        change(file)


async def _without_documents(bench: Bench) -> Bench:
    def delete() -> None:
        container = bench.tenant.blobs(ADMIN).get_container_client(bench.project.container)
        for document in bench.project.documents:
            container.delete_blob(document)

    await asyncio.to_thread(delete)
    return bench


async def _beside(bench: Bench, *roles: str, **options: Any) -> Bench:
    """The bench with a labeling job in a workspace of its own."""
    workspace = await make_workspace(bench, *roles, **options)
    return bench.with_job(JobRef(workspace=workspace.id, name=bench.job.name))


FILES: dict[str, tuple[ProjectKind, Callable[[dict[str, Any]], None]]] = {
    "multilingual": (ProjectKind.MULTI_LABEL, _multilingual),
    "language_unsupported": (ProjectKind.ENTITIES, _in_zulu),
    "too_few_categories": (ProjectKind.SINGLE_LABEL, _one_class),
    "connected_elsewhere": (ProjectKind.SINGLE_LABEL, _connected_by_hand),
}
"""Error -> kind of the project that has it and nothing else, and how its file differs."""


async def _benches(stack: Stack, path: Path) -> dict[str, Sequence[Bench]]:
    """Error -> projects with that one error."""
    made = await asyncio.gather(
        *(Bench.make(stack, path, kind, change=change) for kind, change in FILES.values()),
        Bench.make(stack, path, change=_no_entity),
        *(Bench.make(stack, path) for _ in range(4)),
    )
    found: dict[str, Sequence[Bench]] = {code: [bench] for code, bench in zip(FILES, made, strict=False)}
    no_entity, empty, *others = made[len(FILES) :]
    found["too_few_categories"] = [*found["too_few_categories"], no_entity]
    found["documents_missing"] = [await _without_documents(empty)]
    found["datastore_missing"] = [await _beside(others[0], CONTRIBUTOR, datastore=False)]
    found["storage_differs"] = [await _beside(others[1], CONTRIBUTOR, account=OTHER_ACCOUNT)]
    found["workspace_storage_role"] = [await _beside(others[2])]
    return found


async def test_one_thing_that_is_wrong_stops_a_connect_and_is_the_only_error_found(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    async def check(code: str, bench: Bench) -> Finding:
        request = ConnectRequest(job=bench.job)
        doctor = await bridge.preflight(bench.ref, request)
        ask = bridge.connect_project(bench.ref, job=bench.job)
        refusal = await refused_by_preflight(bench, ask, code)
        assert set(refusal.findings) == set(doctor.findings)
        return next(finding for finding in doctor.errors if finding.code == code)

    benches = await _benches(stack, tmp_path)
    found = await asyncio.gather(*(check(code, one) for code, many in benches.items() for one in many))
    commands = {finding.code: finding.command or "" for finding in found}
    bench = benches["documents_missing"][0]
    assert (
        f"--account-name {DATA_ACCOUNT} --destination {bench.project.container}"
        in (commands["documents_missing"])
    )
    assert "az ml datastore create" in commands["datastore_missing"]
    granting = commands["workspace_storage_role"]
    assert granting.startswith("az role assignment create ")
    assert f'--role "{CONTRIBUTOR}" --scope {bench.tenant.storage_account}' in granting


async def test_everything_that_is_wrong_is_said_at_once_and_is_not_waited_for(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    async with bridge_as(stack, "stranger") as stranger:
        bench = await Bench.make(stack, tmp_path, ProjectKind.SINGLE_LABEL, change=_all_of_it)
        bench = await _beside(await _without_documents(bench), account=OTHER_ACCOUNT, datastore=False)
        request = ConnectRequest(job=bench.job)
        await refused_by_preflight(
            bench,
            carry_out(stranger, bench.ref, request, wait_for_roles=FOREVER),
            "multilingual",
            "language_unsupported",
            "too_few_categories",
            "documents_missing",
            "storage_differs",
            "datastore_missing",
            "workspace_storage_role",
            *CALLER,
        )


async def test_with_reader_alone_an_operator_is_warned_of_both_sentences_and_a_stranger_may_do_nothing(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    async with bridge_as(stack, "stranger") as stranger:
        await asyncio.gather(
            *(_reader_alone(bridge, stranger, stack, tmp_path, kind) for kind in ProjectKind)
        )


async def _reader_alone(
    bridge: Labelbridge, stranger: Labelbridge, stack: Stack, path: Path, kind: ProjectKind
) -> None:
    bench = await _beside(await Bench.make(stack, path, kind), "Storage Blob Data Reader")
    await _refused_to(stranger, bench, ConnectRequest(job=bench.job))
    seen, connected = await dry_then_done(bridge, bench, ConnectRequest(job=bench.job))
    (warned,) = [finding for finding in seen.findings if finding.severity == "warning"]
    assert warned.code == "workspace_storage_role"
    assert "limitations ask for reader permission" in warned.message
    assert "steps to connect ask for Storage Blob Data Contributor" in warned.message
    assert warned.message in connected.notes
    for request in (
        SwitchRequest(to=Studio.AZUREML),
        SyncRequest(),
        TrainRequest(model="m1"),
        DisconnectRequest(),
    ):
        await _refused_to(stranger, bench, request)
    assert await bench.gates_become(language=True, azureml=False)
    _, gone = await dry_then_done(bridge, bench, DisconnectRequest())
    assert (gone.active, gone.epoch) == (Studio.LANGUAGE, 0)
    assert await asyncio.to_thread(bench.evidence.job_is_retired)


async def _refused_to(stranger: Labelbridge, bench: Bench, request: Request) -> None:
    """The stranger's request is refused with the two commands that would let them in."""
    ask = carry_out(stranger, bench.ref, request)
    refusal = await refused_by_preflight(bench, ask, *CALLER)
    who = (await stranger.actor()).object_id
    granting = {finding.code: finding.command or "" for finding in refusal.findings}
    for code, role, scope in (
        (CALLER[0], "Cognitive Services Language Writer", bench.ref.language_resource),
        (CALLER[1], "AzureML Data Scientist", bench.job.workspace),
    ):
        assert granting[code].startswith(f"az role assignment create --assignee-object-id {who} ")
        assert granting[code].endswith(f'--role "{role}" --scope {scope}')


async def test_a_role_that_is_granted_while_an_operation_waits_for_it_lets_it_go_on(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    bench = await Bench.make(stack, tmp_path, ProjectKind.MULTI_LABEL)
    newcomer = await asyncio.to_thread(_new_principal, stack)
    actor = Actor(object_id=newcomer.object_id, name="Newcomer")
    theirs = Labelbridge(bridge.client, bridge.settings, actor=actor)
    before = await bench.standing()
    handle = await theirs.start(bench.ref, TrainRequest(model="m1"), wait_for_roles=FOREVER)
    assert "of 60 minutes" in await note_appears(handle, "waiting for a role assignment")
    running = (await bridge.status(bench.ref)).running
    assert running is not None
    assert running.operation_id == handle.operation_id
    assert await bench.standing() == before

    role = ("Cognitive Services Language Writer", bench.ref.language_resource)
    await asyncio.to_thread(grant, stack.tenant.caller(ADMIN), newcomer.object_id, *role)
    assert (await handle.result(TIMEOUT)).model is not None
    assert (await bridge.history(bench.ref))[-1].actor == actor


async def test_a_role_that_does_not_come_in_time_ends_the_waiting_with_the_findings(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    async with bridge_as(stack, "stranger") as stranger:
        bench = await Bench.make(stack, tmp_path)
        request = ConnectRequest(job=bench.job)
        handle = await stranger.start(bench.ref, request, wait_for_roles=timedelta(seconds=1))
        with pytest.raises(LabelbridgeError) as refusal:
            await handle.result(TIMEOUT)
        assert errors_of(refusal.value) == set(CALLER)
        entry = (await bridge.history(bench.ref))[-1]
        assert entry.outcome is Outcome.REFUSED
        assert entry.ended_at - entry.started_at >= timedelta(seconds=1)


def _new_principal(stack: Stack) -> Principal:
    """Somebody without any role."""
    body = {"name": f"newcomer-{uuid.uuid4().hex[:8]}"}
    nobody = Caller(stack.tenant.place, None)
    return Principal(**nobody.request("POST", "/local/principals", body).body)
