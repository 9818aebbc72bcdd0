"""Data assets of a workspace, and which blobs an asset's address reaches."""

import re
import sqlite3
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from labelbridge.local import arm_store
from labelbridge.local.arm_api import ArmCall, ArmRoute, not_found, page
from labelbridge.local.arm_store import Resource
from labelbridge.local.arm_workspaces import (
    WORKSPACE,
    WORKSPACE_TYPE,
    Datastore,
    datastores,
    require_workspace,
)
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.http import JsonObject, whole_number

VERSIONS_TYPE = WORKSPACE_TYPE + "/data/versions"
VERSIONS = WORKSPACE + "/data/{name}/versions"
VERSION = VERSIONS + "/{version}"
DATA_TYPES = ("uri_file", "uri_folder", "mltable")
_URI = re.compile(
    r"^azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/Microsoft\.MachineLearningServices/)?"
    r"workspaces/(?P<workspace>[^/]+)/)?datastores/(?P<datastore>[^/]+)/paths(?:/(?P<path>.*))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reach:
    """Where an asset's address leads: a datastore and a blob name or prefix in its container."""

    datastore: Datastore
    path: str
    is_folder: bool


def asset_uri(workspace_id: str, datastore: str, path: str) -> str:
    """The long `azureml://` address of a path in a datastore."""
    _, _, subscription, _, group, *_, workspace = workspace_id.split("/")
    return (
        f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{workspace}"
        f"/datastores/{datastore}/paths/{path}"
    )


def find_asset(db: sqlite3.Connection, workspace_id: str, data_id: str) -> Resource | None:
    """The data asset version that `data_id` names (an ARM id, or `azureml:NAME:VERSION`) in this workspace."""
    short = re.match(r"^azureml:([^:/]+):([^:/]+)$", data_id)
    resource_id = f"{workspace_id}/data/{short[1]}/versions/{short[2]}" if short else data_id
    if not resource_id.casefold().startswith(workspace_id.casefold() + "/data/"):
        return None
    return arm_store.get(db, resource_id)


def reach_of(db: sqlite3.Connection, workspace_id: str, asset: Resource) -> Reach:
    """The blobs behind an asset.

    Only `azureml://` addresses are followed: labeling projects take data from blob datastores.

    Raises:
        AzureError: 400 if the address is of another form or names no datastore of the workspace.
    """
    properties = asset["properties"]
    found = _URI.match(properties["dataUri"])
    if not found:
        raise AzureError(400, "UserError", f"The data at '{properties['dataUri']}' is in no datastore.")
    named = next(
        (one for one in datastores(db, workspace_id) if one.name.casefold() == found["datastore"].casefold()),
        None,
    )
    if named is None:
        raise AzureError(400, "UserError", f"Datastore '{found['datastore']}' does not exist.")
    return Reach(named, (found["path"] or "").lstrip("/"), properties["dataType"] == "uri_folder")


def register(
    db: sqlite3.Connection,
    workspace_id: str,
    *,
    name: str,
    version: str,
    properties: JsonObject,
    by: str,
    now: float,
) -> tuple[Resource, bool]:
    """Make a data asset version, or change what may change of an existing one.

    Returns:
        The body, and True if it is new.

    Raises:
        AzureError: 409 if the version exists with another `dataType` or `dataUri`: versions are
            immutable.
    """
    resource_id = f"{workspace_id}/data/{name}/versions/{version}"
    before = arm_store.get(db, resource_id)
    if before is not None:
        for field in ("dataType", "dataUri"):
            if before["properties"][field] != properties[field]:
                raise AzureError(
                    409,
                    "UserError",
                    f"A data version with this name and version already exists and its {field} cannot be changed.",
                )
    at = iso(now)
    system = (
        before["systemData"] if before else {"createdAt": at, "createdBy": by, "createdByType": "Application"}
    )
    body: Resource = {
        "id": resource_id,
        "name": version,
        "type": VERSIONS_TYPE,
        "systemData": {**system, "lastModifiedAt": at, "lastModifiedBy": by},
        "properties": {
            "description": properties.get("description") or "",
            "tags": properties.get("tags") or {},
            "properties": properties.get("properties") or {},
            "isArchived": bool(properties.get("isArchived", False)),
            "isAnonymous": bool(properties.get("isAnonymous", False)),
            "dataType": properties["dataType"],
            "dataUri": properties["dataUri"],
        },
    }
    arm_store.put(db, body, parent=f"{workspace_id}/data/{name}", now=now)
    return body, before is None


async def get_version(call: ArmCall) -> Response:
    """GET of one version of a data asset."""
    resource_id = VERSION.format(**call.params)
    call.require(resource_id, "data.read", "Microsoft.MachineLearningServices/workspaces/data/versions/read")
    with call.context.state.read() as db:
        body = arm_store.get(db, resource_id)
    if body is None:
        raise not_found(resource_id)
    return JSONResponse(body)


async def list_versions(call: ArmCall) -> Response:
    """GET of the versions of a data asset, newest first (`$skip`, `$top`)."""
    parent = f"{WORKSPACE.format(**call.params)}/data/{call.params['name']}"
    call.require(parent, "data.read", "Microsoft.MachineLearningServices/workspaces/data/versions/read")
    with call.context.state.read() as db:
        found = arm_store.children(db, parent, VERSIONS_TYPE)
    if not found:
        raise not_found(parent)
    skip, top = whole_number(call.request, "$skip", 0), whole_number(call.request, "$top", 1000)
    return page(call, found[::-1], skip=skip, top=top)


async def put_version(call: ArmCall) -> Response:
    """PUT of one version of a data asset: 201 new, 200 existing with the same content."""
    workspace_id = WORKSPACE.format(**call.params)
    call.require(
        workspace_id, "data.write", "Microsoft.MachineLearningServices/workspaces/data/versions/write"
    )
    properties = (await call.body()).get("properties") or {}
    if properties.get("dataType") not in DATA_TYPES:
        raise AzureError(400, "UserError", f"dataType must be one of {', '.join(DATA_TYPES)}.")
    if not isinstance(properties.get("dataUri"), str) or not properties["dataUri"]:
        raise AzureError(400, "UserError", "dataUri is required.")
    with call.context.state.write() as db:
        workspace = require_workspace(db, workspace_id)
        body, new = register(
            db,
            workspace["id"],
            name=call.params["name"],
            version=call.params["version"],
            properties=properties,
            by=call.principal.object_id,
            now=call.context.clock.now(),
        )
    return JSONResponse(body, status_code=201 if new else 200)


ROUTES = [
    ArmRoute("GET", VERSIONS, list_versions),
    ArmRoute("GET", VERSION, get_version),
    ArmRoute("PUT", VERSION, put_version),
]
