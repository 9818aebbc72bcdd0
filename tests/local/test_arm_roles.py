"""Role assignments: Azure's own client, scopes, and the time they take to work."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters

from labelbridge.local.api import ARM
from labelbridge.local.rbac import ROLE_IDS, scope_contains
from labelbridge.local.seed import GROUP, SUBSCRIPTION, Tenant, grant, revoke
from tests.local.conftest import SignIn, StartAzure
from tests.local.servers import LocalAzure, eventually

STORAGE_ID = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/labelbridgedata"
CONTAINER = f"{STORAGE_ID}/blobServices/default/containers/docs"
READER = (
    f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{ROLE_IDS['Reader']}"
)


@pytest.fixture
def client(tenant: Tenant, sign_in: SignIn) -> Callable[[str], Any]:
    """The official client as that principal. Untyped: it has one set of models per API version."""

    def client(name: str) -> Any:
        return AuthorizationManagementClient(
            sign_in(name),
            SUBSCRIPTION,
            base_url=tenant.place.base_url,
            credential_scopes=[f"{ARM}/.default"],
            connection_verify=str(tenant.place.authority),
        )

    return client


def code_of(error: HttpResponseError) -> str:
    assert error.error is not None
    return str(error.error.code)


def somebody(azure: LocalAzure) -> str:
    """A principal without roles."""
    body = azure.nobody.request("POST", "/local/principals", {"name": f"p-{uuid.uuid4().hex[:8]}"}).body
    return str(body["object_id"])


def wanted(principal: str) -> RoleAssignmentCreateParameters:
    return RoleAssignmentCreateParameters(
        role_definition_id=READER, principal_id=principal, principal_type="ServicePrincipal"
    )


def test_the_official_client_creates_lists_gets_and_deletes(
    local_azure: LocalAzure, client: Callable[[str], Any]
) -> None:
    roles = client("admin").role_assignments
    principal, name = somebody(local_azure), str(uuid.uuid4())
    made = roles.create(GROUP, name, wanted(principal))
    assert (made.name, made.principal_id, made.scope) == (name, principal, GROUP)
    assert made.role_definition_id.endswith(ROLE_IDS["Reader"])
    assert roles.get(GROUP, name).id == made.id
    listed = list(roles.list_for_scope(GROUP, filter=f"principalId eq '{principal}'"))
    assert [one.name for one in listed] == [name]
    assert roles.delete(GROUP, name).name == name
    assert roles.delete(GROUP, name) is None
    assert not list(roles.list_for_scope(GROUP, filter=f"principalId eq '{principal}'"))


def test_an_assignment_exists_once(local_azure: LocalAzure, client: Callable[[str], Any]) -> None:
    roles = client("admin").role_assignments
    principal, name = somebody(local_azure), str(uuid.uuid4())
    roles.create(GROUP, name, wanted(principal))
    for again in (name, str(uuid.uuid4())):
        with pytest.raises(ResourceExistsError) as caught:
            roles.create(GROUP, again, wanted(principal))
        assert code_of(caught.value) == "RoleAssignmentExists"
    with pytest.raises(ResourceExistsError) as caught:
        roles.create(GROUP, name, wanted(somebody(local_azure)))
    assert code_of(caught.value) == "RoleAssignmentUpdateNotPermitted"


def test_unknown_roles_principals_and_names_are_refused(
    local_azure: LocalAzure, client: Callable[[str], Any]
) -> None:
    roles = client("admin").role_assignments
    known, guid = somebody(local_azure), str(uuid.uuid4())
    unknown_role = RoleAssignmentCreateParameters(role_definition_id=READER[:-2] + "00", principal_id=known)
    for name, parameters, code in (
        (guid, unknown_role, "RoleDefinitionDoesNotExist"),
        (guid, wanted(str(uuid.uuid4())), "PrincipalNotFound"),
        ("no-guid", wanted(known), "InvalidRoleAssignmentId"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            roles.create(GROUP, name, parameters)
        assert caught.value.status_code == 400
        assert code_of(caught.value) == code


def test_a_list_shows_scopes_above_and_below_as_its_filter_says(
    local_azure: LocalAzure, client: Callable[[str], Any]
) -> None:
    roles = client("admin").role_assignments
    principal = somebody(local_azure)
    scopes = (f"/subscriptions/{SUBSCRIPTION}", GROUP, STORAGE_ID, CONTAINER)
    for scope in scopes:
        roles.create(scope, str(uuid.uuid4()), wanted(principal))

    def listed(scope: str, filter_: str | None) -> set[str]:
        found = roles.list_for_scope(scope, filter=filter_)
        return {one.scope for one in found if one.principal_id == principal}

    assert listed(STORAGE_ID, "atScope()") == set(scopes[:3])
    assert listed(STORAGE_ID, f"principalId eq '{principal}'") == set(scopes)
    assert listed(STORAGE_ID, f"assignedTo('{principal}')") == set(scopes)
    assert listed(CONTAINER.upper(), "atScope()") == set(scopes)


def test_scopes_are_compared_by_whole_segments_and_without_case() -> None:
    assert scope_contains("/", STORAGE_ID)
    assert scope_contains(GROUP.upper(), CONTAINER)
    assert not scope_contains(GROUP[:-1], CONTAINER)
    assert not scope_contains(CONTAINER, STORAGE_ID)


def test_role_definitions_have_azures_guids(client: Callable[[str], Any]) -> None:
    definitions = client("admin").role_definitions
    found = list(definitions.list(GROUP, filter="roleName eq 'Storage Blob Data Contributor'"))
    assert [one.name for one in found] == ["ba92f5b4-2d11-453d-a403-e96b0029c9fe"]
    assert definitions.get(GROUP, ROLE_IDS["Owner"]).role_name == "Owner"


def test_without_a_role_nothing_is_read_or_granted(tenant: Tenant, client: Callable[[str], Any]) -> None:
    roles = client("stranger").role_assignments
    principal = tenant.principals["stranger"].object_id
    for call in (
        lambda: list(roles.list_for_scope(GROUP)),
        lambda: roles.create(GROUP, str(uuid.uuid4()), wanted(principal)),
    ):
        with pytest.raises(HttpResponseError) as caught:
            call()
        assert caught.value.status_code == 403
        assert code_of(caught.value) == "AuthorizationFailed"


def test_grants_and_removals_are_listed_at_once_and_work_later(start_azure: StartAzure) -> None:
    azure = start_azure()
    tenant = azure.tenant()
    admin, stranger = tenant.caller("admin"), tenant.principals["stranger"].object_id
    path = f"{tenant.workspace}?api-version=2024-04-01"

    def status() -> int:
        return tenant.caller("stranger").request("GET", path, expect=None).status

    def listed() -> bool:
        url = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01"
        body = admin.request("GET", f"{url}&$filter=principalId%20eq%20'{stranger}'").body
        return bool(body["value"])

    azure.restart(role_propagation=600.0)
    grant(admin, stranger, "Reader", GROUP)
    assert (listed(), status()) == (True, 403)
    revoke(admin, stranger, "Reader", GROUP)
    azure.restart(role_propagation=0.2)
    grant(admin, stranger, "Reader", GROUP)
    eventually(status, lambda found: found == 200)
    azure.restart(role_propagation=600.0)
    revoke(admin, stranger, "Reader", GROUP)
    assert (listed(), status()) == (False, 200)
