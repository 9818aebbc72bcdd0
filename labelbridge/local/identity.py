"""The App Service managed-identity endpoint, by which `DefaultAzureCredential` gets its tokens.

Served on plain http on loopback, as App Service does. Each named principal has its own
`X-IDENTITY-HEADER` secret, so the environment of a process decides who it is.
"""

import secrets
import uuid

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import entra_tokens
from labelbridge.local.context import Context, context_of
from labelbridge.local.http import parsed_body
from labelbridge.local.rbac import ROLE_IDS
from labelbridge.local.tokens import Principal, add_principal

TOKEN_PATH = "/msi/token"  # noqa: S105 - a path, not a secret
API_VERSION = "2019-08-01"


def create_identity_app(context: Context) -> Starlette:
    """The application for the plain-http port."""
    app = Starlette(routes=[Route(TOKEN_PATH, token, methods=["GET"])])
    app.state.context = context
    return app


async def token(request: Request) -> Response:
    """`GET ?api-version=2019-08-01&resource=...` with the principal's `X-IDENTITY-HEADER`.

    For an application that is registered here (`api://CLIENT_ID`) it is a v2.0 token with app roles.
    Replies `access_token`, `expires_on` (a string of seconds since 1970), `resource`, `token_type`
    and `client_id`, as App Service documents.
    """
    context = context_of(request)
    principal = _by_header(context, request.headers.get("x-identity-header", ""))
    if principal is None:
        return _refused(401, "Unauthorized", "The X-IDENTITY-HEADER is missing or unknown.")
    if request.query_params.get("api-version") != API_VERSION:
        return _refused(400, "BadRequest", f"The api-version must be {API_VERSION}.")
    resource = request.query_params.get("resource", "")
    if not resource:
        return _refused(400, "BadRequest", "The resource is missing.")
    asked_for = request.query_params.get("client_id")
    if asked_for and asked_for.lower() != principal.client_id:
        return _refused(400, "BadRequest", f"No managed identity with client id '{asked_for}' is assigned.")
    application = entra_tokens.resource_application(context, resource)
    if application is None:
        issued, expires = context.tokens.issue(principal, resource)
    else:
        issued = entra_tokens.access_token(context, application, principal, azp=principal.client_id)
        expires = int(context.clock.now()) + context.config.token_seconds
    return JSONResponse(
        {
            "access_token": issued,
            "expires_on": str(expires),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": principal.client_id,
        }
    )


class PrincipalRequest(BaseModel):
    """Body of `POST /local/principals`."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")
    object_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class OwnerRequest(BaseModel):
    """Body of `POST /local/bootstrap-owner`."""

    model_config = ConfigDict(extra="forbid")
    object_id: str
    scope: str = Field(pattern=r"^/subscriptions/[^/]+")


async def add(request: Request) -> Response:
    """`POST /local/principals`: make a principal, or return the one of that name (ours, no auth)."""
    wanted = await parsed_body(request, PrincipalRequest)
    with context_of(request).state.write() as db:
        row = add_principal(db, wanted.name, object_id=wanted.object_id, header=secrets.token_urlsafe(32))
    return JSONResponse(
        {
            "name": row["name"],
            "object_id": row["object_id"],
            "client_id": row["client_id"],
            "identity_header": row["header"],
        }
    )


async def bootstrap_owner(request: Request) -> Response:
    """`POST /local/bootstrap-owner`: the first Owner of a subscription, at once (ours, no auth)."""
    wanted = await parsed_body(request, OwnerRequest)
    context = context_of(request)
    owner = ROLE_IDS["Owner"]
    held = context.rbac.assignments(scope=wanted.scope, principal=wanted.object_id, above_only=True)
    if not any(one.role == owner for one in held):
        context.rbac.create(
            scope=wanted.scope,
            name=str(uuid.uuid4()),
            principal=wanted.object_id,
            role=owner,
            at_once=True,
        )
    return JSONResponse({"object_id": wanted.object_id, "scope": wanted.scope})


def _by_header(context: Context, header: str) -> Principal | None:
    with context.state.read() as db:
        row = (
            db.execute("SELECT * FROM principals WHERE header = ?", (header,)).fetchone() if header else None
        )
    return Principal(row["object_id"], row["client_id"], row["name"]) if row else None


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"statusCode": status, "code": code, "message": message}, status_code=status)
