"""Azure ML workspaces and their datastores."""

import sqlite3
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from labelbridge.local import arm_store
from labelbridge.local.arm_accounts import STORAGE_TYPE, with_identity
from labelbridge.local.arm_api import GROUP, ArmCall, ArmRoute, not_found, page
from labelbridge.local.arm_store import Resource
from labelbridge.local.azure_error import AzureError
from labelbridge.local.http import JsonObject, whole_number
from labelbridge.model import arm_name

WORKSPACE_TYPE = "Microsoft.MachineLearningServices/workspaces"
DATASTORE_TYPE = WORKSPACE_TYPE + "/datastores"
WORKSPACE = GROUP + "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
DATASTORES = WORKSPACE + "/datastores"
DATASTORE = DATASTORES + "/{datastore}"
DEFAULT_DATASTORE = "workspaceblobstore"
"""The default datastore that Azure ML makes with a workspace."""


@dataclass(frozen=True)
class Datastore:
    """A blob datastore: a name for a container."""

    id: str
    name: str
    account: str
    container: str
    is_default: bool


def datastores(db: sqlite3.Connection, workspace_id: str) -> list[Datastore]:
    """The datastores of a workspace, in the order in which they were created."""
    return [_datastore(body) for body in arm_store.children(db, workspace_id, DATASTORE_TYPE)]


def default_datastore(db: sqlite3.Connection, workspace_id: str) -> Datastore | None:
    """The workspace's default datastore: where label exports go."""
    return next((one for one in datastores(db, workspace_id) if one.is_default), None)


def _datastore(body: Resource) -> Datastore:
    properties = body["properties"]
    return Datastore(
        body["id"],
        body["name"],
        properties["accountName"],
        properties["containerName"],
        bool(properties["isDefault"]),
    )


async def get_workspace(call: ArmCall) -> Response:
    """GET of a workspace."""
    resource_id = WORKSPACE.format(**call.params)
    call.require(resource_id, "workspace.read", "Microsoft.MachineLearningServices/workspaces/read")
    with call.context.state.read() as db:
        body = arm_store.get(db, resource_id)
    if body is None:
        raise not_found(resource_id)
    return JSONResponse(body)


async def put_workspace(call: ArmCall) -> Response:
    """PUT of a workspace: 201 new, 200 existing. A new one gets its default datastore, as in Azure.

    The container of that datastore is made here, on the workspace's storage account, which must be
    known and cannot be changed afterwards.
    """
    resource_id = WORKSPACE.format(**call.params)
    call.require(resource_id, "workspace.write", "Microsoft.MachineLearningServices/workspaces/write")
    wanted = await call.body()
    context = call.context
    with context.state.read() as db:
        storage = _storage(db, resource_id, wanted.get("properties") or {})
    container = f"azureml-blobstore-{call.params['workspace'].lower()}"[:63].rstrip("-")
    await context.blobs.ensure_container(arm_name(storage), container)
    with context.state.write() as db:
        before = arm_store.get(db, resource_id)
        body: Resource = {
            "id": before["id"] if before else resource_id,
            "name": before["name"] if before else call.params["workspace"],
            "type": WORKSPACE_TYPE,
            "location": wanted.get("location", context.config.location),
            "tags": wanted.get("tags") or {},
            "properties": {
                "keyVault": "",
                "applicationInsights": "",
                **(wanted.get("properties") or {}),
                "storageAccount": storage,
                "provisioningState": "Succeeded",
            },
        }
        identity = with_identity(
            db, resource_id, wanted.get("identity") or {"type": "SystemAssigned"}, context.config.tenant_id
        )
        if identity is not None:
            body["identity"] = identity
        now = context.clock.now()
        arm_store.put(db, body, parent=resource_id.rsplit("/providers/", 1)[0], now=now)
        if before is None:
            default = {
                "accountName": arm_name(storage),
                "containerName": container,
                "isDefault": True,
                "credentials": {"credentialsType": "AccountKey"},
            }
            arm_store.put(
                db, _datastore_body(body["id"], DEFAULT_DATASTORE, default), parent=body["id"], now=now
            )
    return JSONResponse(body, status_code=200 if before else 201)


def _storage(db: sqlite3.Connection, resource_id: str, properties: JsonObject) -> str:
    before = arm_store.get(db, resource_id)
    storage = properties.get("storageAccount") or (before and before["properties"]["storageAccount"])
    found = arm_store.get(db, storage) if isinstance(storage, str) else None
    if found is None or found["type"] != STORAGE_TYPE:
        raise AzureError(400, "ValidationError", f"The storage account '{storage}' does not exist.")
    if before and arm_store.key_of(before["properties"]["storageAccount"]) != arm_store.key_of(found["id"]):
        raise AzureError(400, "ValidationError", "The storage account of a workspace cannot be changed.")
    return str(found["id"])


def require_workspace(db: sqlite3.Connection, resource_id: str) -> Resource:
    """The workspace's body.

    Raises:
        AzureError: 404.
    """
    body = arm_store.get(db, resource_id)
    if body is None:
        raise not_found(resource_id)
    return body


async def list_datastores(call: ArmCall) -> Response:
    """GET of a workspace's datastores (`skip`, `count`, `isDefault`)."""
    workspace_id = WORKSPACE.format(**call.params)
    call.require(workspace_id, "data.read", "Microsoft.MachineLearningServices/workspaces/datastores/read")
    with call.context.state.read() as db:
        require_workspace(db, workspace_id)
        found = arm_store.children(db, workspace_id, DATASTORE_TYPE)
    only_default = (call.query("isDefault") or "").lower() == "true"
    shown = [one for one in found if one["properties"]["isDefault"] or not only_default]
    return page(call, shown, skip=whole_number(call.request, "skip", 0))


async def get_datastore(call: ArmCall) -> Response:
    """GET of one datastore."""
    resource_id = DATASTORE.format(**call.params)
    call.require(resource_id, "data.read", "Microsoft.MachineLearningServices/workspaces/datastores/read")
    with call.context.state.read() as db:
        body = arm_store.get(db, resource_id)
    if body is None:
        raise not_found(resource_id)
    return JSONResponse(body)


async def put_datastore(call: ArmCall) -> Response:
    """PUT of a blob datastore: 201 new, 200 existing. A new default takes the place of the old one."""
    resource_id, workspace_id = DATASTORE.format(**call.params), WORKSPACE.format(**call.params)
    call.require(resource_id, "data.write", "Microsoft.MachineLearningServices/workspaces/datastores/write")
    properties = (await call.body()).get("properties") or {}
    if properties.get("datastoreType") != "AzureBlob":
        raise AzureError(400, "UserError", "The local Azure has datastores of type 'AzureBlob' only.")
    if not properties.get("accountName") or not properties.get("containerName"):
        raise AzureError(400, "UserError", "accountName and containerName are required.")
    if not call.context.blobs.knows(properties["accountName"]):
        raise AzureError(400, "UserError", f"Storage account '{properties['accountName']}' does not exist.")
    with call.context.state.write() as db:
        workspace = require_workspace(db, workspace_id)
        before = arm_store.get(db, resource_id)
        body = _datastore_body(workspace["id"], call.params["datastore"], properties)
        now = call.context.clock.now()
        if body["properties"]["isDefault"]:
            for other in arm_store.children(db, workspace_id, DATASTORE_TYPE):
                other["properties"]["isDefault"] = False
                arm_store.put(db, other, parent=workspace_id, now=now)
        arm_store.put(db, body, parent=workspace_id, now=now)
    return JSONResponse(body, status_code=200 if before else 201)


def _datastore_body(workspace_id: str, name: str, properties: JsonObject) -> Resource:
    return {
        "id": f"{workspace_id}/datastores/{name}",
        "name": name,
        "type": DATASTORE_TYPE,
        "properties": {
            "description": properties.get("description", ""),
            "tags": properties.get("tags") or {},
            "datastoreType": "AzureBlob",
            "accountName": properties["accountName"],
            "containerName": properties["containerName"],
            "endpoint": properties.get("endpoint", "core.windows.net"),
            "protocol": properties.get("protocol", "https"),
            "isDefault": bool(properties.get("isDefault", False)),
            "serviceDataAccessAuthIdentity": properties.get("serviceDataAccessAuthIdentity", "None"),
            "credentials": {
                "credentialsType": (properties.get("credentials") or {}).get("credentialsType", "None")
            },
        },
    }


ROUTES = [
    ArmRoute("GET", WORKSPACE, get_workspace),
    ArmRoute("PUT", WORKSPACE, put_workspace),
    ArmRoute("GET", DATASTORES, list_datastores),
    ArmRoute("GET", DATASTORE, get_datastore),
    ArmRoute("PUT", DATASTORE, put_datastore),
]
