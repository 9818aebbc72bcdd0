"""Accounts, workspaces, datastores and data assets, and how ARM reads paths and versions."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices.models import Account, AccountProperties, Identity, Sku, UserOwnedStorage

from labelbridge.local.api import ARM, Caller
from labelbridge.local.seed import GROUP, LANGUAGE_RESOURCE, SUBSCRIPTION, WORKSPACE, Tenant
from tests.local.conftest import SignIn
from tests.local.servers import LabelingSite

STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts"
VERSION = "2024-04-01"


@pytest.fixture(scope="module")
def admin(tenant: Tenant) -> Caller:
    return tenant.caller("admin")


@pytest.fixture
def accounts(tenant: Tenant, sign_in: SignIn) -> Iterator[Any]:
    client = CognitiveServicesManagementClient(
        sign_in("admin"),
        SUBSCRIPTION,
        base_url=tenant.place.base_url,
        credential_scopes=[f"{ARM}/.default"],
        connection_verify=str(tenant.place.authority),
    )
    with client:
        yield client.accounts


def account(*storage: str) -> Account:
    return Account(
        location="westeurope",
        kind="TextAnalytics",
        sku=Sku(name="S"),
        identity=Identity(type="SystemAssigned"),
        properties=AccountProperties(
            user_owned_storage=[UserOwnedStorage(resource_id=one) for one in storage]
        ),
    )


def test_the_official_client_creates_and_reads_a_language_resource(tenant: Tenant, accounts: Any) -> None:
    name = f"lang-{uuid.uuid4().hex[:8]}"
    made = accounts.begin_create("labeling", name, account(f"{STORAGE}/labelbridgedata")).result()
    assert made.properties.endpoint == f"{tenant.place.base_url}/cognitive/{name}/"
    found = accounts.get("labeling", name)
    assert found.kind == "TextAnalytics"
    assert found.identity.principal_id == made.identity.principal_id
    assert found.properties.user_owned_storage[0].resource_id == f"{STORAGE}/labelbridgedata"
    with pytest.raises(ResourceNotFoundError) as caught:
        accounts.get("labeling", "nothing")
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceNotFound"


def test_a_language_resource_has_one_storage_account_for_ever(accounts: Any) -> None:
    name = f"lang-{uuid.uuid4().hex[:8]}"
    one, other = f"{STORAGE}/labelbridgedata", f"{STORAGE}/labelbridgeother"
    for wrong in (account(one, other),):
        with pytest.raises(HttpResponseError):
            accounts.begin_create("labeling", name, wrong).result()
    accounts.begin_create("labeling", name, account(one)).result()
    accounts.begin_create("labeling", name, account(one.upper())).result()
    accounts.begin_create("labeling", name, account()).result()
    with pytest.raises(HttpResponseError) as caught:
        accounts.begin_create("labeling", name, account(other)).result()
    assert caught.value.status_code == 400
    assert accounts.get("labeling", name).properties.user_owned_storage[0].resource_id == one


def test_paths_are_read_without_case(admin: Caller) -> None:
    wanted = admin.request("GET", f"{WORKSPACE}?api-version={VERSION}").body
    spelt = WORKSPACE.replace("resourceGroups", "resourcegroups").replace("providers", "PROVIDERS").upper()
    spelt = "/" + spelt
    assert admin.request("GET", f"{spelt}?api-version={VERSION}").body == wanted


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (WORKSPACE, 400, "MissingApiVersionParameter"),
        (f"{WORKSPACE}?api-version=newest", 400, "InvalidApiVersionParameter"),
        (f"{WORKSPACE}/labelingJobs?api-version={VERSION}", 400, "InvalidApiVersionParameter"),
        (f"{WORKSPACE}/nothing?api-version={VERSION}", 404, "InvalidResourceType"),
        (f"{WORKSPACE}x?api-version={VERSION}", 404, "ResourceNotFound"),
    ],
)
def test_what_arm_does_not_know_is_refused_in_its_shape(
    admin: Caller, path: str, status: int, code: str
) -> None:
    reply = admin.request("GET", path, expect=(status,))
    assert reply.code == code
    assert set(reply.body["error"]) == {"code", "message", "details", "additionalInfo"}


def test_a_body_that_is_no_json_object_is_refused(admin: Caller) -> None:
    url = f"{LANGUAGE_RESOURCE}?api-version={VERSION}"
    bodies: tuple[Any, ...] = ([], "text", 7)
    for body in bodies:
        assert admin.request("PUT", url, body, expect=(400,)).code == "InvalidRequestContent"


def test_a_new_workspace_has_identity_and_default_datastore(admin: Caller) -> None:
    workspace = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws-{uuid.uuid4().hex[:8]}"
    assigned = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
    body = {
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {assigned: {}}},
        "properties": {"storageAccount": f"{STORAGE}/labelbridgedata"},
    }
    made = admin.request("PUT", f"{workspace}?api-version={VERSION}", body, expect=(201,)).body
    again = admin.request("PUT", f"{workspace}?api-version={VERSION}", body, expect=(200,)).body
    assert made["identity"] == again["identity"]
    assert set(made["identity"]["userAssignedIdentities"][assigned]) == {"principalId", "clientId"}
    stores = admin.request("GET", f"{workspace}/datastores?api-version={VERSION}").body["value"]
    assert [(one["name"], one["properties"]["isDefault"]) for one in stores] == [("workspaceblobstore", True)]
    mine = {
        "datastoreType": "AzureBlob",
        "accountName": "labelbridgedata",
        "containerName": "c",
        "isDefault": True,
    }
    url = f"{workspace}/datastores/mine?api-version={VERSION}"
    admin.request("PUT", url, {"properties": mine}, expect=(201,))
    default = admin.request("GET", f"{workspace}/datastores?isDefault=true&api-version={VERSION}").body[
        "value"
    ]
    assert [one["name"] for one in default] == ["mine"]


def test_a_workspace_keeps_its_storage_account(admin: Caller) -> None:
    url = f"{WORKSPACE}?api-version={VERSION}"
    for storage in (f"{STORAGE}/labelbridgeother", f"{STORAGE}/nothing"):
        body = {"properties": {"storageAccount": storage}}
        assert admin.request("PUT", url, body, expect=(400,)).code == "ValidationError"


def test_a_data_version_is_immutable_and_versions_are_listed_newest_first(
    tenant: Tenant, admin: Caller
) -> None:
    site = LabelingSite.make(tenant, {"a.txt": "x"})
    base = f"{WORKSPACE}/data/{site.container}/versions"
    data = {"dataType": "uri_folder", "dataUri": f"azureml://datastores/{site.datastore}/paths/"}
    admin.request(
        "PUT", f"{base}/1?api-version={VERSION}", {"properties": {**data, "tags": {"a": "b"}}}, expect=(200,)
    )
    for other in ({"dataType": "uri_file"}, {"dataUri": data["dataUri"] + "x"}):
        reply = admin.request(
            "PUT", f"{base}/1?api-version={VERSION}", {"properties": {**data, **other}}, expect=(409,)
        )
        assert reply.code == "UserError"
    admin.request("PUT", f"{base}/2?api-version={VERSION}", {"properties": data}, expect=(201,))
    listed = admin.request("GET", f"{base}?api-version={VERSION}").body["value"]
    assert [one["name"] for one in listed] == ["2", "1"]
    assert admin.request("GET", f"{base}/1?api-version={VERSION}").body["properties"]["tags"] == {"a": "b"}
    admin.request("GET", f"{base}/3?api-version={VERSION}", expect=(404,))
