"""The local Entra: OpenID Connect with the flow, the addresses and the refusals of Entra's v2.0 endpoints.

Prevents a sign-in that is first tried in production: people come by the authorization code flow with
PKCE, machines by client credentials, and what Entra refuses (a redirect address that was not registered,
a code used twice, a verifier that does not fit) is refused here. It asks nobody for a password: the
sign-in page lists the people of the rehearsal and says that it is one.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from labelbridge.local import entra_store as store
from labelbridge.local import entra_tokens as tokens
from labelbridge.local.context import Context, context_of
from labelbridge.local.entra_store import Application, Grant
from labelbridge.local.entra_tokens import PREFIX
from labelbridge.local.page_rendering import page

AUTHORIZE = f"{PREFIX}/oauth2/v2.0/authorize"
TOKEN = f"{PREFIX}/oauth2/v2.0/token"
LOGOUT = f"{PREFIX}/oauth2/v2.0/logout"
KEYS = f"{PREFIX}/discovery/v2.0/keys"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """A refusal in OAuth's words (RFC 6749, sections 4.1.2.1 and 5.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        """`error` is OAuth's code, `description` says what was wrong."""
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


async def discovery(request: Request) -> Response:
    """`GET /entra/v2.0/.well-known/openid-configuration`."""
    base = context_of(request).config.base_url
    return JSONResponse(
        {
            "issuer": tokens.issuer(context_of(request)),
            "authorization_endpoint": base + AUTHORIZE,
            "token_endpoint": base + TOKEN,
            "end_session_endpoint": base + LOGOUT,
            "jwks_uri": base + KEYS,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "name", "oid", "roles", "tid"],
        }
    )


async def keys(request: Request) -> Response:
    """`GET jwks_uri`: the key that signs."""
    return JSONResponse(context_of(request).tokens.key_set())


async def authorize(request: Request) -> Response:
    """`GET`: the sign-in page. `POST` with `person`: back to the application with a code.

    An unknown application or address gets a page and no redirect; any other refusal goes to the
    application, as RFC 6749 has it.
    """
    context = context_of(request)
    query = request.query_params
    with context.state.read() as db:
        application = store.application(db, query.get("client_id", ""))
        offered = store.people(db)
    redirect_uri = query.get("redirect_uri", "")
    if application is None or redirect_uri not in application.redirect_uris:
        what = "application" if application is None else "redirect address"
        return page("refused.html", status=400, title="Sign-in refused", message=f"The {what} is not known.")
    try:
        grant = _asked_for(query, application)
        if request.method == "GET":
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(redirect_uri))
            return page("people.html", form_action=origin, application=application.name, people=offered)
        form = await _form(request)
        if form.get("person") not in {one.principal.object_id for one in offered}:
            raise OAuthError("access_denied", "Nobody was chosen.")
    except OAuthError as refused:
        answer = {"error": refused.error, "error_description": refused.description}
    else:
        chosen = Grant(**{**vars(grant), "object_id": form["person"]})
        with context.state.write() as db:
            answer = {"code": store.issue_code(db, chosen, context.clock.now())}
    if "state" in query:
        answer["state"] = query["state"]
    separator = "&" if urlsplit(redirect_uri).query else "?"
    return RedirectResponse(f"{redirect_uri}{separator}{urlencode(answer)}", 303, NO_STORE)


def _asked_for(query: Mapping[str, str], application: Application) -> Grant:
    """The grant that the query asks for, for nobody yet."""
    if query.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The response_type must be 'code'.")
    if query.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "The response_mode must be 'query'.")
    if "openid" not in query.get("scope", "").split():
        raise OAuthError("invalid_scope", "The scope must include 'openid'.")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or len(challenge) != 43:
        raise OAuthError("invalid_request", "PKCE with code_challenge_method 'S256' is required.")
    return Grant(
        client_id=application.client_id,
        redirect_uri=query["redirect_uri"],
        challenge=challenge,
        nonce=query.get("nonce"),
        scope=query["scope"],
        object_id="",
    )


async def token(request: Request) -> Response:
    """`POST`: a code for an ID token, or client credentials for an access token."""
    context = context_of(request)
    try:
        form = await _form(request)
        client_id, secret = _credentials(request, form)
        match form.get("grant_type"):
            case "authorization_code":
                answer = redeem(context, form, client_id, secret)
            case "client_credentials":
                answer = _for_machine(context, form, client_id, secret)
            case other:
                raise OAuthError("unsupported_grant_type", f"The grant_type {other!r} is not supported.")
    except OAuthError as refused:
        body = {"error": refused.error, "error_description": refused.description}
        return JSONResponse(body, status_code=refused.status, headers=NO_STORE)
    return JSONResponse(answer, headers=NO_STORE)


def redeem(context: Context, form: Mapping[str, str], client_id: str, secret: str) -> dict[str, object]:
    """ID token and access token for a code. The code is spent even if the rest does not fit."""
    with context.state.write() as db:
        application = store.application(db, client_id)
        if application is None or not secrets.compare_digest(application.secret, secret):
            raise OAuthError("invalid_client", "The client is unknown or its secret is wrong.", 401)
        grant = store.spend_code(db, form.get("code", ""), context.clock.now())
        who = store.person(db, grant.object_id) if grant else None
    if grant is None or who is None or grant.client_id != client_id:
        raise OAuthError("invalid_grant", "The code is unknown, spent or expired.")
    if form.get("redirect_uri") != grant.redirect_uri:
        raise OAuthError("invalid_grant", "The redirect_uri is not that of the authorization request.")
    if not fits(form.get("code_verifier", ""), grant.challenge):
        raise OAuthError("invalid_grant", "The code_verifier does not fit the code_challenge.")
    return {
        "token_type": "Bearer",
        "scope": grant.scope,
        "expires_in": context.config.token_seconds,
        "access_token": tokens.access_token(context, application, who.principal, azp=client_id),
        "id_token": tokens.id_token(context, application, who, grant.nonce),
    }


def _for_machine(context: Context, form: Mapping[str, str], client_id: str, secret: str) -> dict[str, object]:
    """An app-only access token for the application that the scope names."""
    with context.state.read() as db:
        machine = store.machine(db, client_id, secret)
    if machine is None:
        raise OAuthError("invalid_client", "The client is unknown or its secret is wrong.", 401)
    scope = form.get("scope", "")
    application = tokens.resource_application(context, scope)
    if application is None or not scope.endswith("/.default"):
        raise OAuthError("invalid_scope", "The scope must be 'api://CLIENT_ID/.default' of an application.")
    return {
        "token_type": "Bearer",
        "expires_in": context.config.token_seconds,
        "access_token": tokens.access_token(context, application, machine, azp=client_id),
    }


def fits(verifier: str, challenge: str) -> bool:
    """True if the S256 challenge was made from this verifier (RFC 7636, section 4.6)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return secrets.compare_digest(made, challenge)


async def logout(request: Request) -> Response:
    """`GET`: back to `post_logout_redirect_uri` if it is registered, else a page that says so.

    Nobody stays signed in here: each authorization asks again who one is.
    """
    wanted = request.query_params.get("post_logout_redirect_uri", "")
    client_id = request.query_params.get("client_id", "")
    with context_of(request).state.read() as db:
        application = store.application(db, client_id)
    if application is not None and wanted in application.redirect_uris:
        return RedirectResponse(wanted, 303, NO_STORE)
    return page("refused.html", title="Signed out", message="You are signed out.")


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret: HTTP Basic, else fields of the form."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise OAuthError("invalid_client", "The Authorization header is not valid.", 401) from None
    # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
    decoded = dict(parse_qsl(f"id={client_id}&secret={secret}", keep_blank_values=True))
    return decoded.get("id", ""), decoded.get("secret", "")


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; of a repeated one the last."""
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True))


def entra_routes() -> list[Route]:
    """The five addresses of the provider."""
    return [
        Route(f"{PREFIX}/v2.0/.well-known/openid-configuration", discovery, methods=["GET"]),
        Route(KEYS, keys, methods=["GET"]),
        Route(AUTHORIZE, authorize, methods=["GET", "POST"]),
        Route(TOKEN, token, methods=["POST"]),
        Route(LOGOUT, logout, methods=["GET"]),
    ]
