"""What the local Entra says about people and machines: the claims of its v2.0 tokens.

Prevents a console that was only ever shown tokens of its own making: the claims are those that Entra
documents for ID tokens and for app-only access tokens of v2.0 (`oid`, `tid`, `roles`, `azp`, `ver`, ...),
signed with the tenant's key, which the key set at `jwks_uri` publishes.
"""

import uuid
from typing import Any

from labelbridge.local import entra_store as store
from labelbridge.local.context import Context
from labelbridge.local.entra_store import Application, Person
from labelbridge.local.tokens import BACKDATED, Principal

PREFIX = "/entra"
"""Plays the tenant's segment of Entra's addresses."""
API_SCHEME = "api://"
DOMAIN = "contoso.example"


def issuer(context: Context) -> str:
    """`iss` of every v2.0 token, and where discovery is looked for."""
    return f"{context.config.base_url}{PREFIX}/v2.0"


def resource_application(context: Context, resource: str) -> Application | None:
    """The application that a scope or resource means: `api://CLIENT_ID` or the bare client id."""
    client_id = resource.removesuffix("/.default").removeprefix(API_SCHEME).rstrip("/")
    with context.state.read() as db:
        return store.application(db, client_id)


def id_token(context: Context, application: Application, who: Person, nonce: str | None) -> str:
    """Who signed in, for the application alone."""
    claims = _claims(context, application, who.principal)
    claims |= {"name": who.display_name, "preferred_username": f"{who.principal.name}@{DOMAIN}"}
    return context.tokens.sign(claims | ({"nonce": nonce} if nonce else {}))


def access_token(context: Context, application: Application, caller: Principal, *, azp: str) -> str:
    """A bearer token that `application` takes; `azp` is the client that asked for it."""
    claims = _claims(context, application, caller) | {"azp": azp}
    return context.tokens.sign(claims | ({"idtyp": "app"} if azp == caller.client_id else {}))


def _claims(context: Context, application: Application, who: Principal) -> dict[str, Any]:
    now = int(context.clock.now())
    with context.state.read() as db:
        roles = store.roles(db, who.object_id)
    return {
        "iss": issuer(context),
        "aud": application.client_id,
        "sub": str(uuid.uuid5(uuid.UUID(application.client_id), who.object_id)),
        "oid": who.object_id,
        "tid": context.tokens.tenant_id,
        "roles": roles,
        "iat": now,
        "nbf": now - BACKDATED,
        "exp": now + context.config.token_seconds,
        "ver": "2.0",
    }
