"""`Microsoft.CognitiveServices/accounts` (Language resources) and storage accounts.

Enforces what the connect feature depends on: a Language resource has exactly one storage account
and it cannot be changed afterwards (Language service limits).
"""

import sqlite3
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from labelbridge.local import arm_store
from labelbridge.local.arm_api import GROUP, ArmCall, ArmRoute, not_found
from labelbridge.local.arm_store import Resource
from labelbridge.local.azure_error import AzureError
from labelbridge.local.http import JsonObject
from labelbridge.local.tokens import add_principal
from labelbridge.model import arm_name, same_resource

ACCOUNT_TYPE = "Microsoft.CognitiveServices/accounts"
STORAGE_TYPE = "Microsoft.Storage/storageAccounts"
ACCOUNT = GROUP + "/providers/Microsoft.CognitiveServices/accounts/{account}"
STORAGE = GROUP + "/providers/Microsoft.Storage/storageAccounts/{storage}"


@dataclass(frozen=True)
class LanguageAccount:
    """What Language authoring needs to know about its resource."""

    id: str
    name: str
    principal_ids: tuple[str, ...]
    """Object ids of the resource's identities."""
    storage_id: str | None
    """ARM id of the linked storage account."""

    @property
    def storage_name(self) -> str | None:
        """Name of the linked storage account, the key of its blob endpoint."""
        return arm_name(self.storage_id) if self.storage_id else None


def find_account(db: sqlite3.Connection, name: str) -> LanguageAccount | None:
    """The Language resource of this name; its endpoint's path names it, so the name is unique here."""
    body = arm_store.named(db, name, ACCOUNT_TYPE)
    if body is None:
        return None
    linked = body["properties"].get("userOwnedStorage") or []
    storage = linked[0]["resourceId"] if linked else None
    return LanguageAccount(body["id"], body["name"], principal_ids(body), storage)


def principal_ids(body: Resource) -> tuple[str, ...]:
    """Object ids of a resource's identities: system-assigned first, then user-assigned."""
    identity = body.get("identity") or {}
    own = (identity["principalId"],) if identity.get("principalId") else ()
    assigned = (identity.get("userAssignedIdentities") or {}).values()
    return own + tuple(one["principalId"] for one in assigned)


def with_identity(
    db: sqlite3.Connection, resource_id: str, wanted: JsonObject | None, tenant_id: str
) -> JsonObject | None:
    """The `identity` of a resource as ARM completes it: principal ids made once and kept.

    Raises:
        AzureError: 400 for an unknown identity type.
    """
    kind = (wanted or {}).get("type", "None")
    parts = {part.strip() for part in str(kind).split(",")}
    if wanted is None or parts == {"None"}:
        return None
    if not parts <= {"SystemAssigned", "UserAssigned"}:
        raise AzureError(400, "InvalidIdentityType", f"The identity type '{kind}' is not supported.")
    identity: JsonObject = {"type": kind}
    if "SystemAssigned" in parts:
        row = add_principal(db, f"identity of {arm_store.key_of(resource_id)}", object_id=None, header=None)
        identity |= {"principalId": row["object_id"], "tenantId": tenant_id}
    if "UserAssigned" in parts:
        identity["userAssignedIdentities"] = {
            one: _assigned(db, one) for one in wanted.get("userAssignedIdentities") or {}
        }
    return identity


def _assigned(db: sqlite3.Connection, identity_id: str) -> JsonObject:
    row = add_principal(db, f"identity of {arm_store.key_of(identity_id)}", object_id=None, header=None)
    return {"principalId": row["object_id"], "clientId": row["client_id"]}


async def get_account(call: ArmCall) -> Response:
    """GET of a Language resource."""
    resource_id = ACCOUNT.format(**call.params)
    call.require(resource_id, "arm.read", "Microsoft.CognitiveServices/accounts/read")
    with call.context.state.read() as db:
        body = arm_store.get(db, resource_id)
    if body is None:
        raise not_found(resource_id)
    return JSONResponse(body)


async def put_account(call: ArmCall) -> Response:
    """PUT of a Language resource: 201 new, 200 existing."""
    resource_id, name = ACCOUNT.format(**call.params), call.params["account"]
    call.require(resource_id, "account.write", "Microsoft.CognitiveServices/accounts/write")
    wanted = await call.body()
    if wanted.get("kind") != "TextAnalytics":
        raise AzureError(400, "InvalidApiSetId", "The local Azure has accounts of kind 'TextAnalytics' only.")
    properties = wanted.get("properties") or {}
    with call.context.state.write() as db:
        before = arm_store.get(db, resource_id)
        other = arm_store.named(db, name, ACCOUNT_TYPE)
        if before is None and other is not None:
            raise AzureError(
                409, "CustomDomainInUse", f"The subdomain name '{name}' is used by '{other['id']}'."
            )
        storage = _linked_storage(before, properties)
        body: Resource = {
            "id": before["id"] if before else resource_id,
            "name": before["name"] if before else name,
            "type": ACCOUNT_TYPE,
            "kind": "TextAnalytics",
            "location": wanted.get("location", call.context.config.location),
            "sku": wanted.get("sku") or {"name": "S"},
            "tags": wanted.get("tags") or {},
            "properties": {
                **properties,
                "endpoint": f"{call.context.config.base_url}/cognitive/{name}/",
                "customSubDomainName": properties.get("customSubDomainName", name),
                "provisioningState": "Succeeded",
                "userOwnedStorage": storage,
            },
        }
        identity = with_identity(db, resource_id, wanted.get("identity"), call.context.config.tenant_id)
        if identity is not None:
            body["identity"] = identity
        arm_store.put(db, body, parent=resource_id.rsplit("/providers/", 1)[0], now=call.context.clock.now())
    return JSONResponse(body, status_code=200 if before else 201)


def _linked_storage(before: Resource | None, properties: JsonObject) -> list[JsonObject]:
    """`userOwnedStorage` after the request: at most one account, for ever the same one."""
    wanted = properties.get("userOwnedStorage") or []
    if len(wanted) > 1:
        raise AzureError(
            400, "InvalidUserOwnedStorage", "A Language resource is connected to exactly one storage account."
        )
    linked: list[JsonObject] = (before["properties"].get("userOwnedStorage") or []) if before else []
    if not linked:
        return list(wanted)
    if wanted and not same_resource(wanted[0].get("resourceId", ""), linked[0]["resourceId"]):
        raise AzureError(
            400,
            "UserOwnedStorageChangeNotAllowed",
            f"The resource is connected to '{linked[0]['resourceId']}'; the storage account cannot be changed.",
        )
    return linked


async def get_storage(call: ArmCall) -> Response:
    """GET of a storage account."""
    resource_id = STORAGE.format(**call.params)
    call.require(resource_id, "arm.read", "Microsoft.Storage/storageAccounts/read")
    with call.context.state.read() as db:
        body = arm_store.get(db, resource_id)
    if body is None:
        raise not_found(resource_id)
    return JSONResponse(body)


async def put_storage(call: ArmCall) -> Response:
    """PUT of a storage account; the emulator must have an account of this name."""
    resource_id, name = STORAGE.format(**call.params), call.params["storage"]
    call.require(resource_id, "account.write", "Microsoft.Storage/storageAccounts/write")
    wanted = await call.body(required=False)
    if not call.context.blobs.knows(name):
        raise AzureError(400, "StorageAccountNotFound", f"The local Blob service has no account '{name}'.")
    body: Resource = {
        "id": resource_id,
        "name": name,
        "type": STORAGE_TYPE,
        "kind": "StorageV2",
        "location": wanted.get("location", call.context.config.location),
        "sku": wanted.get("sku") or {"name": "Standard_LRS"},
        "properties": {
            "provisioningState": "Succeeded",
            "primaryEndpoints": {"blob": call.context.blobs.endpoint(name) + "/"},
        },
    }
    with call.context.state.write() as db:
        before = arm_store.get(db, resource_id)
        other = arm_store.named(db, name, STORAGE_TYPE)
        if before is None and other is not None:
            raise AzureError(
                409, "StorageAccountAlreadyTaken", f"The name '{name}' is taken by '{other['id']}'."
            )
        arm_store.put(db, body, parent=resource_id.rsplit("/providers/", 1)[0], now=call.context.clock.now())
    return JSONResponse(body, status_code=200 if before else 201)


ROUTES = [
    ArmRoute("GET", ACCOUNT, get_account),
    ArmRoute("PUT", ACCOUNT, put_account),
    ArmRoute("GET", STORAGE, get_storage),
    ArmRoute("PUT", STORAGE, put_storage),
]
