"""`Microsoft.Authorization`: role assignments and role definitions, api-version 2022-04-01."""

import re

from starlette.responses import JSONResponse, Response

from labelbridge.local.arm_api import ArmCall, ArmRoute, not_found, page
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.http import JsonObject
from labelbridge.local.rbac import ROLES, Assignment, normal_scope

ASSIGNMENTS = "{scope}/providers/Microsoft.Authorization/roleAssignments"
DEFINITIONS = "{scope}/providers/Microsoft.Authorization/roleDefinitions"
_PRINCIPAL_FILTER = re.compile(r"^(?:principalId\s+eq\s+|assignedTo\()'(?P<id>[^']+)'\)?$", re.IGNORECASE)
_ROLE_FILTER = re.compile(r"^roleName\s+eq\s+'(?P<name>[^']*)'$", re.IGNORECASE)


def _view(one: Assignment) -> JsonObject:
    subscription = re.match(r"^/subscriptions/[^/]+", one.scope, re.IGNORECASE)
    prefix = subscription[0] if subscription else ""
    at = iso(one.created_at)
    return {
        "id": f"{one.scope.rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{one.name}",
        "type": "Microsoft.Authorization/roleAssignments",
        "name": one.name,
        "properties": {
            "roleDefinitionId": f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{one.role}",
            "principalId": one.principal,
            "principalType": one.principal_type,
            "scope": one.scope,
            "createdOn": at,
            "updatedOn": at,
            "createdBy": one.created_by,
            "updatedBy": one.created_by,
        },
    }


def _scope(call: ArmCall) -> str:
    return normal_scope(call.params["scope"])


async def list_assignments(call: ArmCall) -> Response:
    """GET of the assignments that concern a scope.

    `$filter`: `atScope()` (at or above), `principalId eq '...'` (at, above and below, of that
    principal), `assignedTo('...')` (the same here: the local tenant has no groups), or none.
    """
    scope = _scope(call)
    call.require(scope, "roles.read", "Microsoft.Authorization/roleAssignments/read")
    wanted = (call.query("$filter") or "").strip()
    principal, above_only = None, False
    if wanted.lower() == "atscope()":
        above_only = True
    elif wanted:
        found = _PRINCIPAL_FILTER.match(wanted)
        if not found:
            raise AzureError(400, "UnsupportedQuery", f"The filter '{wanted}' is not supported.")
        principal = found["id"]
    rows = call.context.rbac.assignments(scope=scope, principal=principal, above_only=above_only)
    return page(call, [_view(one) for one in rows])


async def get_assignment(call: ArmCall) -> Response:
    """GET of one assignment at exactly the scope it was made at."""
    scope = _scope(call)
    call.require(scope, "roles.read", "Microsoft.Authorization/roleAssignments/read")
    found = call.context.rbac.get(scope, call.params["name"])
    if found is None:
        raise AzureError(
            404, "RoleAssignmentNotFound", f"The role assignment '{call.params['name']}' is not found."
        )
    return JSONResponse(_view(found))


async def create_assignment(call: ArmCall) -> Response:
    """PUT of an assignment under a GUID of the caller's choice: 201, or 409 if it exists."""
    scope = _scope(call)
    call.require(scope, "roles.write", "Microsoft.Authorization/roleAssignments/write")
    properties = (await call.body()).get("properties") or {}
    role, principal = properties.get("roleDefinitionId"), properties.get("principalId")
    if not isinstance(role, str) or not isinstance(principal, str):
        raise AzureError(
            400, "InvalidRequestContent", "roleDefinitionId and principalId are required properties."
        )
    with call.context.state.read() as db:
        known = db.execute("SELECT 1 FROM principals WHERE object_id = ?", (principal.lower(),)).fetchone()
    if not known:
        raise AzureError(400, "PrincipalNotFound", f"Principal {principal} does not exist in the directory.")
    made = call.context.rbac.create(
        scope=scope,
        name=call.params["name"],
        principal=principal,
        role=role.rstrip("/").rsplit("/", 1)[-1],
        principal_type=properties.get("principalType") or "ServicePrincipal",
        by=call.principal.object_id,
    )
    return JSONResponse(_view(made), status_code=201)


async def delete_assignment(call: ArmCall) -> Response:
    """DELETE: 200 with what was removed, 204 if there was nothing."""
    scope = _scope(call)
    call.require(scope, "roles.write", "Microsoft.Authorization/roleAssignments/delete")
    gone = call.context.rbac.delete(scope, call.params["name"])
    return JSONResponse(_view(gone)) if gone else Response(status_code=204)


def _definition(guid: str) -> JsonObject:
    """A role definition; `permissions` is left empty because the local Azure reduces roles to its own."""
    return {
        "id": f"/providers/Microsoft.Authorization/roleDefinitions/{guid}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": guid,
        "properties": {
            "roleName": ROLES[guid],
            "type": "BuiltInRole",
            "description": "",
            "assignableScopes": ["/"],
            "permissions": [],
        },
    }


async def list_definitions(call: ArmCall) -> Response:
    """GET of the built-in roles, all or those with `$filter=roleName eq '...'`."""
    wanted = (call.query("$filter") or "").strip()
    guids = list(ROLES)
    if wanted:
        found = _ROLE_FILTER.match(wanted)
        if not found:
            raise AzureError(400, "UnsupportedQuery", f"The filter '{wanted}' is not supported.")
        guids = [guid for guid in guids if ROLES[guid].lower() == found["name"].lower()]
    return page(call, [_definition(guid) for guid in guids])


async def get_definition(call: ArmCall) -> Response:
    """GET of one built-in role by its GUID."""
    guid = call.params["name"].lower()
    if guid not in ROLES:
        raise not_found(f"roleDefinitions/{guid}")
    return JSONResponse(_definition(guid))


ROUTES = [
    ArmRoute("GET", ASSIGNMENTS, list_assignments),
    ArmRoute("GET", ASSIGNMENTS + "/{name}", get_assignment),
    ArmRoute("PUT", ASSIGNMENTS + "/{name}", create_assignment),
    ArmRoute("DELETE", ASSIGNMENTS + "/{name}", delete_assignment),
    ArmRoute("GET", DEFINITIONS, list_definitions),
    ArmRoute("GET", DEFINITIONS + "/{name}", get_definition),
]
