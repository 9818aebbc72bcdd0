"""The preflight: all findings at once, each with the command that mends it."""

import shlex
import uuid
from datetime import UTC, datetime

import pytest
from temporalio.testing import ActivityEnvironment

from activities._preflight_codes import FindingCode
from activities.preflight import CHECKS
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import Caller
from labelbridge.local.seed import (
    ACCOUNTS_VERSION,
    DATA_ACCOUNT,
    GROUP,
    OTHER_ACCOUNT,
    grant,
)
from labelbridge.local.stack import Stack
from labelbridge.model import (
    Actor,
    Claim,
    DisconnectRequest,
    Finding,
    JobRef,
    OperationKind,
    PreflightLook,
    ProjectKind,
    ProjectRef,
    Record,
    Severity,
    Studio,
    SwitchRequest,
    TrainRequest,
)
from tests.activities.desk import (
    Desk,
    an_import,
    by_code,
    connected_record,
    option,
    other_workspace,
    reaching,
)
from tests.conftest import NewProject

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("kind", list(ProjectKind))
async def test_a_project_in_good_order_can_be_connected(
    desk: Desk, new_project: NewProject, kind: ProjectKind
) -> None:
    made = new_project(kind)
    seen = await desk.look(made.ref, desk.connect())
    assert by_code(seen) == {}
    assert (seen.kind, seen.container, seen.datastore, seen.documents) == (
        kind,
        made.container,
        made.datastore,
        12,
    )


async def test_all_findings_come_at_once(desk: Desk, stack: Stack) -> None:
    name, container = f"p{uuid.uuid4().hex[:10]}", f"c{uuid.uuid4().hex[:10]}"
    stack.tenant.blobs("admin").create_container(container)
    language = desk.session.language(stack.tenant.language_resource)
    await language.create_project(
        name, kind=ProjectKind.SINGLE_LABEL, container=container, language="zu", multilingual=True
    )
    project = ProjectRef(language_resource=stack.tenant.language_resource, name=name)
    job = desk.job()
    await desk.registry.claim(
        Claim(job=job, project=project, operation_id="old", actor=Actor(object_id="o"), claimed_at=NOW)
    )
    found = by_code(await desk.look(project, desk.connect(job=job), who="stranger"))
    assert set(found) == {
        FindingCode.MULTILINGUAL,
        FindingCode.LANGUAGE_UNSUPPORTED,
        FindingCode.TOO_FEW_CATEGORIES,
        FindingCode.DOCUMENTS_MISSING,
        FindingCode.DATASTORE_MISSING,
        FindingCode.JOB_CLAIMED,
        FindingCode.CALLER_LANGUAGE_ROLE,
        FindingCode.CALLER_WORKSPACE_ROLE,
    }
    assert all(f.severity is Severity.ERROR for f in found.values())
    assert option(found[FindingCode.DOCUMENTS_MISSING].command, "--destination") == container
    datastore = found[FindingCode.DATASTORE_MISSING].command or ""
    assert f"container_name: {container}" in datastore
    assert option(datastore, "--workspace-name") == "contoso-ml"


async def test_the_command_of_a_missing_role_mends_it(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made, admin = new_project(), stack.tenant.caller("admin")
    somebody = f"guest{uuid.uuid4().hex[:8]}"
    body = Caller(stack.place, None).request("POST", "/local/principals", {"name": somebody}).body
    actor = Actor(object_id=body["object_id"], name=somebody)
    look = PreflightLook(project=made.ref, actor=actor, request=desk.connect())
    found = by_code(await desk.preflights.preflight(look))
    assert set(found) == {FindingCode.CALLER_LANGUAGE_ROLE, FindingCode.CALLER_WORKSPACE_ROLE}
    for finding in found.values():
        assert finding.waitable
        assert shlex.split(finding.command or "")[:4] == ["az", "role", "assignment", "create"]
        grant(
            admin,
            option(finding.command, "--assignee-object-id"),
            option(finding.command, "--role"),
            option(finding.command, "--scope"),
        )
    assert by_code(await desk.preflights.preflight(look)) == {}


async def test_who_may_write_but_not_deploy_may_train_but_not_deploy(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    request = TrainRequest(model="m1", labels="as-is")
    assert by_code(await desk.look(made.ref, request, who="ann")) == {}
    found = by_code(await desk.look(made.ref, request.model_copy(update={"deployment": "live"}), who="ann"))
    assert set(found) == {FindingCode.CALLER_LANGUAGE_ROLE}
    assert (
        option(found[FindingCode.CALLER_LANGUAGE_ROLE].command, "--role")
        == "Cognitive Services Language Owner"
    )


async def test_a_worker_without_roles_is_told_each_one_it_needs(
    stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    with stack.acting_as("stranger"):
        async with AzureSession(stack.settings("stranger")) as session:
            desk = Desk(stack, session, "stranger")
            seen = await desk.look(made.ref, desk.connect())
    found = by_code(seen)
    assert {
        FindingCode.LANGUAGE_UNREADABLE,
        FindingCode.WORKSPACE_UNREADABLE,
        FindingCode.ROLES_UNREADABLE,
    } <= set(found)
    stranger = stack.tenant.principals["stranger"].object_id
    for code in (
        FindingCode.LANGUAGE_UNREADABLE,
        FindingCode.WORKSPACE_UNREADABLE,
        FindingCode.ROLES_UNREADABLE,
    ):
        assert found[code].waitable
        assert option(found[code].command, "--assignee-object-id") == stranger
        assert option(found[code].command, "--assignee-principal-type") == "ServicePrincipal"


async def test_a_workspace_that_only_reads_is_warned_of_with_both_sentences(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    workspace = await other_workspace(stack, account=DATA_ACCOUNT, role="Storage Blob Data Reader")
    reaching(stack, workspace, made)
    seen = await desk.look(made.ref, desk.connect(job=desk.job(workspace=workspace)))
    found = by_code(seen)
    assert set(found) == {FindingCode.WORKSPACE_STORAGE_ROLE}
    warned = found[FindingCode.WORKSPACE_STORAGE_ROLE]
    assert warned.severity is Severity.WARNING
    assert "limitations" in warned.message
    assert "steps to connect" in warned.message
    assert option(warned.command, "--role") == "Storage Blob Data Contributor"
    assert seen.errors == ()


async def test_a_workspace_without_any_blob_role_is_an_error(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    workspace = await other_workspace(stack, account=DATA_ACCOUNT, role=None)
    reaching(stack, workspace, made)
    found = by_code(await desk.look(made.ref, desk.connect(job=desk.job(workspace=workspace))))
    assert set(found) == {FindingCode.WORKSPACE_STORAGE_ROLE}
    assert found[FindingCode.WORKSPACE_STORAGE_ROLE].severity is Severity.ERROR
    assert found[FindingCode.WORKSPACE_STORAGE_ROLE].waitable


async def test_a_workspace_on_another_storage_account_is_refused(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    workspace = await other_workspace(stack, account=OTHER_ACCOUNT, role=None)
    reaching(stack, workspace, made)
    found = by_code(await desk.look(made.ref, desk.connect(job=desk.job(workspace=workspace))))
    assert FindingCode.STORAGE_DIFFERS in found
    assert not found[FindingCode.STORAGE_DIFFERS].waitable


async def test_a_named_datastore_must_reach_the_container(desk: Desk, new_project: NewProject) -> None:
    made, other = new_project(), new_project()
    seen = await desk.look(made.ref, desk.connect(datastore=made.datastore))
    assert (by_code(seen), seen.datastore) == ({}, made.datastore)
    found = by_code(await desk.look(made.ref, desk.connect(datastore=other.datastore)))
    assert set(found) == {FindingCode.DATASTORE_MISSING}


async def test_a_project_connected_by_other_means_is_not_connected_again(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    language = desk.session.language(stack.tenant.language_resource)
    await language.set_gate(made.ref.name, locked=False, aml_project_path="/somebody/elses/job")
    found: dict[str, Finding] = {}
    while FindingCode.CONNECTED_ELSEWHERE not in found:  # a read after a change may be stale for a while
        found = by_code(await desk.look(made.ref, desk.connect()))
    retired = JobRef(workspace=stack.tenant.workspace, name="elses-job")
    record = Record(project=made.ref, kind=made.kind, retired=(retired,), updated_at=NOW)
    await language.set_gate(made.ref.name, locked=False, aml_project_path=retired.resource_id)
    while FindingCode.CONNECTED_ELSEWHERE in found:
        found = by_code(await desk.look(made.ref, desk.connect(), record=record))


async def test_a_connected_project_is_not_connected_again(desk: Desk, new_project: NewProject) -> None:
    made = new_project()
    record = connected_record(made, desk.job())
    assert set(by_code(await desk.look(made.ref, desk.connect(), record=record))) == {
        FindingCode.ALREADY_CONNECTED
    }


async def test_what_is_not_there_is_found_for_every_operation(desk: Desk, stack: Stack) -> None:
    nobody = ProjectRef(language_resource=stack.tenant.language_resource, name="nobody")
    for request in (desk.connect(), SwitchRequest(to=Studio.AZUREML), TrainRequest(model="m1")):
        assert FindingCode.PROJECT_UNKNOWN in by_code(await desk.look(nobody, request))


async def test_a_switch_takes_a_connection_and_its_job(desk: Desk, new_project: NewProject) -> None:
    made, switch = new_project(), SwitchRequest(to=Studio.AZUREML)
    assert set(by_code(await desk.look(made.ref, switch))) == {FindingCode.NOT_CONNECTED}
    record = connected_record(made, desk.job())
    assert set(by_code(await desk.look(made.ref, switch, record=record))) == {FindingCode.JOB_MISSING}


async def test_a_pair_can_be_parted_when_its_job_is_gone(desk: Desk, new_project: NewProject) -> None:
    made, job = new_project(), desk.job()
    record = connected_record(made, job)
    seen = await desk.look(made.ref, DisconnectRequest(), record=record)
    assert by_code(seen)[FindingCode.JOB_MISSING].severity is Severity.WARNING
    in_use = connected_record(made, job, Studio.AZUREML)
    for labels, errors in (("sync", 1), ("discard", 0)):
        seen = await desk.look(made.ref, DisconnectRequest(labels=labels), record=in_use)
        assert len(seen.errors) == errors


async def test_an_import_takes_a_new_name_a_file_and_the_linked_storage(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    source = await desk.registry.put_upload(b'{"image_url":"AmlDatastore://x/d000.txt"}\n')
    new = ProjectRef(language_resource=stack.tenant.language_resource, name=f"n{uuid.uuid4().hex[:10]}")
    seen = await desk.look(new, an_import(made, source))
    assert by_code(seen) == {}
    assert (seen.kind, seen.container, seen.documents) == (made.kind, made.container, 12)
    missing = source.model_copy(update={"name": "uploads/nothing.jsonl"})
    request = an_import(made, missing, account=OTHER_ACCOUNT, language="zu")
    stack.tenant.blobs("admin", OTHER_ACCOUNT).create_container(made.container)
    found = by_code(await desk.look(made.ref, request))
    assert set(found) == {
        FindingCode.PROJECT_EXISTS,
        FindingCode.SOURCE_MISSING,
        FindingCode.STORAGE_DIFFERS,
        FindingCode.LANGUAGE_UNSUPPORTED,
        FindingCode.DOCUMENTS_MISSING,
    }
    assert found[FindingCode.LANGUAGE_UNSUPPORTED].severity is Severity.WARNING


async def test_an_import_reads_only_what_was_handed_in(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    """The worker may read all documents and all snapshots; whoever asks may not."""
    made = new_project()
    new = ProjectRef(language_resource=stack.tenant.language_resource, name=f"n{uuid.uuid4().hex[:10]}")
    source = await desk.registry.put_upload(b"{}\n")
    for there in (
        {"account": DATA_ACCOUNT, "container": made.container, "name": made.documents[0]},
        {"name": "snapshots/somebody/else.jsonl"},
    ):
        found = by_code(await desk.look(new, an_import(made, source.model_copy(update=there))))
        assert set(found) == {FindingCode.SOURCE_FOREIGN}


async def test_a_resource_without_storage_is_told_how_to_get_one(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made = new_project()
    resource = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/bare{uuid.uuid4().hex[:8]}"
    body = {
        "location": "westeurope",
        "kind": "TextAnalytics",
        "sku": {"name": "S"},
        "identity": {"type": "SystemAssigned"},
        "properties": {"customSubDomainName": resource.rsplit("/", 1)[-1]},
    }
    stack.tenant.caller("admin").arm("PUT", resource, body, version=ACCOUNTS_VERSION)
    source = await desk.registry.put_upload(b"{}\n")
    new = ProjectRef(language_resource=resource, name="new")
    found = by_code(await desk.look(new, an_import(made, source)))
    assert set(found) == {FindingCode.STORAGE_NOT_LINKED}
    assert DATA_ACCOUNT in (found[FindingCode.STORAGE_NOT_LINKED].command or "")


async def test_a_service_that_does_not_answer_is_tried_again_not_reported_as_missing(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made, nobody = new_project(), Caller(stack.place, None)
    request = desk.connect()
    fault = {"method": "GET", "path_regex": f"/projects/{made.ref.name}", "kind": "status", "status": 503}
    nobody.request("POST", "/local/faults", fault)
    try:
        with pytest.raises(LabelbridgeError) as caught:
            await desk.look(made.ref, request)
        assert (caught.value.code, caught.value.final) == ("unavailable", False)
        alone = ActivityEnvironment()
        alone.info = alone.info.__class__(
            **{**vars(alone.info), "workflow_type": "labelbridge.preflight", "attempt": 3}
        )
        actor = Actor(object_id=stack.tenant.principals["operator"].object_id)
        look = PreflightLook(project=made.ref, actor=actor, request=request)
        seen = await alone.run(desk.preflights.preflight, look)
        assert set(by_code(seen)) == {FindingCode.CHECK_UNAVAILABLE}
    finally:
        nobody.request("DELETE", "/local/faults")


async def test_a_look_changes_nothing(desk: Desk, stack: Stack, new_project: NewProject) -> None:
    made = new_project()
    job = desk.job()
    await desk.look(made.ref, desk.connect(job=job))
    assert await desk.registry.load(made.ref) is None
    assert await desk.registry.read_claim(job) is None
    assert await desk.session.workspace(stack.tenant.workspace).job(job.name) is None
    names = [b.name for b in await desk.session.blobs(DATA_ACCOUNT).list(made.container)]
    assert names == sorted(made.documents)


async def test_categories_are_counted_by_one_export_however_often_one_looks(
    desk: Desk, stack: Stack, new_project: NewProject
) -> None:
    made, nobody = new_project(), Caller(stack.place, None)
    await desk.look(made.ref, desk.connect())
    nobody.request(
        "POST", "/local/faults", {"method": "POST", "path_regex": ":export", "kind": "status", "status": 429}
    )
    try:
        assert by_code(await desk.look(made.ref, desk.connect())) == {}
    finally:
        nobody.request("DELETE", "/local/faults")


def test_every_operation_has_its_checks() -> None:
    assert set(CHECKS) == set(OperationKind)
    assert all(len(checks) == len(set(checks)) for checks in CHECKS.values())
