"""Key Vaults of the local Azure: the part of the secrets' REST that `azure-keyvault-secrets` uses for keys.

Prevents a key source that is tested against a stand-in of its own: the official client reads and sets secrets
here unchanged, answers the authentication challenge, and is refused without a role. A vault exists as soon
as somebody with a role names it: `https://HOST/key-vault/SUBSCRIPTION/GROUP/VAULT`.

From Azure's documentation (REST reference "Key Vault secrets", "Authentication, requests and responses",
"Azure role-based access control"): the four calls, their fields and ids; versions of 32 hex digits; times in
whole seconds; lists of at most 25 with `nextLink`; 401 with `WWW-Authenticate: Bearer authorization=...,
resource=...` to a request without a token; roles Key Vault Secrets User (reads) and Officer (also writes); a
secret of at most 25,000 bytes; the codes `SecretNotFound`, `Forbidden`, `BadParameter`. From the client's
source: the challenge comes before the body is read, and its resource must be a parent domain of the vault's
host, so here, where hosts are numbers, it is the host without its first number. Ours: the message texts, and
that a disabled version answers 403.
"""

import json
import re
import sqlite3
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context, context_of
from labelbridge.local.http import JsonObject, caller, json_body
from labelbridge.local.rbac import Permission

BASE = "/key-vault/{subscription}/{group}/{vault}"
SCOPE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}"
PAGE = 25
MAX_VALUE = 25_000
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")

SCHEMA = """
CREATE TABLE IF NOT EXISTS key_vault_secrets (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    value TEXT NOT NULL,
    attributes_json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS key_vault_secrets_name ON key_vault_secrets (scope, name);
"""


async def set_secret(request: Request) -> Response:
    """`PUT /secrets/{name}`: a new version, which becomes the current one."""
    context, scope = _admit(request, "secrets.write", "Microsoft.KeyVault/vaults/secrets/setSecret/action")
    body = await json_body(request)
    value, given = body.get("value"), body.get("attributes") or {}
    if not isinstance(value, str) or len(value.encode()) > MAX_VALUE or not isinstance(given, dict):
        raise AzureError(400, "BadParameter", "The secret needs a value of at most 25,000 bytes.")
    now = int(context.clock.now())
    attributes = {"enabled": given.get("enabled", True) is not False, "created": now, "updated": now}
    attributes |= {key: int(given[key]) for key in ("nbf", "exp") if given.get(key) is not None}
    with context.state.write() as db:
        db.execute(
            "INSERT INTO key_vault_secrets (scope, name, version, value, attributes_json) VALUES (?, ?, ?, ?, ?)",
            (scope, _name(request), uuid.uuid4().hex, value, json.dumps(attributes)),
        )
    return JSONResponse(_bundle(request, _find(context, scope, _name(request))))


async def get_secret(request: Request) -> Response:
    """`GET /secrets/{name}/{version}`: that version; without one the current."""
    context, scope = _admit(request, "secrets.read", "Microsoft.KeyVault/vaults/secrets/getSecret/action")
    row = _find(context, scope, _name(request), request.path_params.get("version", ""))
    if not json.loads(row["attributes_json"])["enabled"]:
        raise AzureError(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
    return JSONResponse(_bundle(request, row))


async def change_secret(request: Request) -> Response:
    """`PATCH /secrets/{name}/{version}`: change its attributes."""
    context, scope = _admit(request, "secrets.write", "Microsoft.KeyVault/vaults/secrets/update/action")
    row = _find(context, scope, _name(request), request.path_params["version"])
    given = (await json_body(request)).get("attributes")
    attributes: JsonObject = json.loads(row["attributes_json"]) | {"updated": int(context.clock.now())}
    attributes |= {k: v for k, v in (given or {}).items() if k in ("enabled", "nbf", "exp") and v is not None}
    with context.state.write() as db:
        db.execute(
            "UPDATE key_vault_secrets SET attributes_json = ? WHERE row = ?",
            (json.dumps(attributes), row["row"]),
        )
    found = _bundle(request, _find(context, scope, _name(request), row["version"]))
    return JSONResponse({key: value for key, value in found.items() if key != "value"})


async def list_versions(request: Request) -> Response:
    """`GET /secrets/{name}/versions`: without values; a name that nobody used has none."""
    context, scope = _admit(request, "secrets.read", "Microsoft.KeyVault/vaults/secrets/readMetadata/action")
    marker = request.query_params.get("$skiptoken", "0")
    after = int(marker) if marker.isascii() and marker.isdigit() else 0
    with context.state.read() as db:
        rows = db.execute(
            "SELECT * FROM key_vault_secrets WHERE scope = ? AND name = ? COLLATE NOCASE AND row > ? ORDER BY row LIMIT ?",
            (scope, _name(request), after, PAGE + 1),
        ).fetchall()
    page = rows[:PAGE]
    items = [{k: v for k, v in _bundle(request, row).items() if k != "value"} for row in page]
    following = None
    if len(rows) > PAGE:
        version = request.query_params.get("api-version", "")
        following = f"{request.url.replace(query='')}?api-version={version}&$skiptoken={page[-1]['row']}"
    return JSONResponse({"value": items, "nextLink": following})


def _admit(request: Request, permission: Permission, action: str) -> tuple[Context, str]:
    """Who asks must have a role on the vault. Returns the context and the vault's scope.

    Raises:
        AzureError: 401 with the challenge, 403.
    """
    context = context_of(request)
    resource = f"https://{request.url.netloc.partition('.')[2]}"
    try:
        principal = caller(request, resource)
    except AzureError as error:
        authority = f"https://login.microsoftonline.com/{context.config.tenant_id}"
        challenge = f'Bearer authorization="{authority}", resource="{resource}"'
        raise AzureError(401, "Unauthorized", str(error), headers={"WWW-Authenticate": challenge}) from error
    scope = SCOPE.format(**{name: request.path_params[name] for name in ("subscription", "group", "vault")})
    if not context.rbac.allows(principal.object_id, scope, permission):
        raise AzureError(
            403,
            "Forbidden",
            f"Caller is not authorized to perform action on resource. Action: '{action}' Resource: '{scope}'"
            f" Caller: oid={principal.object_id}",
        )
    return context, scope.casefold()


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not _NAME.fullmatch(name):
        raise AzureError(400, "BadParameter", f"'{name}' is no name of a secret.")
    return name


def _find(context: Context, scope: str, name: str, version: str = "") -> sqlite3.Row:
    with context.state.read() as db:
        row: sqlite3.Row | None = db.execute(
            "SELECT * FROM key_vault_secrets WHERE scope = ? AND name = ? COLLATE NOCASE"
            " AND (? = '' OR version = ?) ORDER BY row DESC LIMIT 1",
            (scope, name, version, version.lower()),
        ).fetchone()
    if row is None:
        raise AzureError(404, "SecretNotFound", f"A secret with (name/id) {name}/{version} was not found.")
    return row


def _bundle(request: Request, row: sqlite3.Row) -> dict[str, Any]:
    vault = request.path_params["vault"].lower()
    attributes = json.loads(row["attributes_json"]) | {"recoveryLevel": "Recoverable+Purgeable"}
    return {
        "value": row["value"],
        "id": f"https://{vault}.vault.azure.net/secrets/{row['name']}/{row['version']}",
        "attributes": attributes,
    }


def key_vault_routes() -> list[Route]:
    """The secrets of every vault."""
    secret = f"{BASE}/secrets/{{name}}"
    return [
        Route(secret, set_secret, methods=["PUT"]),
        Route(f"{secret}/versions", list_versions, methods=["GET"]),
        Route(secret, get_secret, methods=["GET"]),
        Route(f"{secret}/", get_secret, methods=["GET"]),
        Route(f"{secret}/{{version}}", get_secret, methods=["GET"]),
        Route(f"{secret}/{{version}}", change_secret, methods=["PATCH"]),
    ]
