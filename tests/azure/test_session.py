"""One session: who we are, what we may, where Language is."""

import base64
import json
import uuid

import pytest

from labelbridge.azure.assignments import covers
from labelbridge.azure.roles import AZUREML_DATA_SCIENTIST, LANGUAGE_OWNER, STORAGE_BLOB_DATA_READER
from labelbridge.azure.session import AzureSession, identity_of
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import GROUP, grant
from labelbridge.local.stack import Stack


def token(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.signature"


async def test_the_object_id_is_the_one_of_the_credentials_own_token(
    stack: Stack, session: AzureSession
) -> None:
    assert await session.object_id() == stack.tenant.principals["worker"].object_id
    assert (await session.identity()).principal_type == "ServicePrincipal"


def test_a_delegated_token_is_a_users() -> None:
    user = identity_of(token(oid="o", scp="user_impersonation", upn="ann@example.com"))
    assert (user.principal_type, user.name) == ("User", "ann@example.com")
    assert identity_of(token(oid="o", appid="a")).principal_type == "ServicePrincipal"


@pytest.mark.parametrize("bad", ["", "a.b", "a.!!.c", token(sub="no oid"), "a.W10.c"])
def test_a_token_without_an_object_id_is_refused(bad: str) -> None:
    with pytest.raises(LabelbridgeError, match="oid"):
        identity_of(bad)


async def test_roles_of_the_resource_group_are_inherited_down_to_a_container(
    stack: Stack, session: AzureSession
) -> None:
    me = await session.object_id()
    container = f"{stack.tenant.storage_account}/blobServices/default/containers/any"
    for scope in (stack.tenant.language_resource, stack.tenant.workspace, container):
        held = {a.role_guid for a in await session.assignments.at(scope, me)}
        assert {LANGUAGE_OWNER, AZUREML_DATA_SCIENTIST} <= held


async def test_roles_below_the_scope_do_not_count(stack: Stack, session: AzureSession) -> None:
    somebody = stack.tenant.principals["stranger"].object_id
    scope = f"{stack.tenant.storage_account}/blobServices/default/containers/c{uuid.uuid4().hex}"
    grant(stack.tenant.caller("admin"), somebody, "Storage Blob Data Reader", scope)
    assert await session.assignments.at(stack.tenant.storage_account, somebody) == ()
    found = await session.assignments.at(scope, somebody)
    assert [(a.role_guid, a.scope) for a in found] == [(STORAGE_BLOB_DATA_READER, scope)]


async def test_who_may_not_list_roles_is_told_azures_words(stack: Stack, stranger: AzureSession) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await stranger.assignments.at(stack.tenant.workspace, await stranger.object_id())
    assert caught.value.code == "forbidden"
    assert "AuthorizationFailed" in caught.value.message
    assert "/roleAssignments" in caught.value.data["call"]


async def test_the_language_account_says_endpoint_identity_and_storage(
    stack: Stack, session: AzureSession
) -> None:
    account = await session.arm.language_account(stack.tenant.language_resource)
    assert account is not None
    assert account.endpoint == stack.tenant.language_endpoint.rstrip("/")
    assert account.storage_accounts == (stack.tenant.storage_account,)
    assert len(account.principal_ids) == 1


async def test_a_resource_that_does_not_exist_is_none_and_cannot_be_used(session: AzureSession) -> None:
    missing = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/nobody"
    assert await session.arm.language_account(missing) is None
    with pytest.raises(LabelbridgeError) as caught:
        await session.language(missing).project("any")
    assert (caught.value.code, caught.value.data["status"]) == ("invalid_request", "404")


async def test_clients_are_made_once_for_a_resource_in_any_case(stack: Stack, session: AzureSession) -> None:
    resource = stack.tenant.language_resource
    assert session.language(resource) is session.language(resource.upper())
    assert session.workspace(stack.tenant.workspace) is session.workspace(stack.tenant.workspace + "/")


def test_a_scope_covers_by_whole_segments() -> None:
    assert covers("/subscriptions/s", "/subscriptions/S/resourceGroups/rg")
    assert covers("/", "/subscriptions/s")
    assert not covers("/subscriptions/s/resourceGroups/rg", "/subscriptions/s/resourceGroups/rg2")
    assert not covers("/subscriptions/s/resourceGroups/rg", "/subscriptions/s")
