"""Who sits in front of a studio's page: signed in by the local Entra, remembered by a sealed cookie.

Prevents a page that labels as nobody: it gets a bearer token for the studios' label endpoints from here,
for the person whom the cookie names, and writes labels by those endpoints like everybody else. The cookie
itself opens no label endpoint, so no other page can label in somebody's name.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from labelbridge.local import entra, entra_store
from labelbridge.local import entra_tokens as tokens
from labelbridge.local.context import Context, context_of
from labelbridge.local.entra_store import Application, Person
from labelbridge.local.page_rendering import page
from labelbridge.local.tokens import InvalidTokenError

HOME = "/studio"
SIGN_IN = f"{HOME}/sign-in"
SIGNED_IN = f"{HOME}/signed-in"
SIGN_OUT = f"{HOME}/sign-out"
TOKEN = f"{HOME}/token"
APPLICATION = "Local studios"
STUDIO_RESOURCE = "https://ml.azure.com"
"""Audience of the page's bearer token; both studios' label endpoints take it."""
SESSION = "__Host-local-studios"
"""Cookies know no ports: the name must not be another application's on loopback."""
SIGNING_IN = "__Host-local-studios-signing-in-"
SESSION_SECONDS = 8 * 3600
SIGN_IN_SECONDS = 600


@dataclass(frozen=True)
class _Cookie:
    """A signed cookie; `audience` keeps one sort from being taken for another."""

    audience: str
    seconds: int

    def seal(self, context: Context, claims: dict[str, Any]) -> str:
        """The cookie's value."""
        expires = int(context.clock.now()) + self.seconds
        return context.tokens.sign({**claims, "iss": HOME, "aud": self.audience, "exp": expires})

    def open(self, context: Context, value: str) -> dict[str, Any] | None:
        """What was sealed; None if it was not by us, for this, or is too old."""
        try:
            return context.tokens.read(value, issuer=HOME, audience=self.audience)
        except InvalidTokenError:
            return None


_SESSION = _Cookie("session", SESSION_SECONDS)
_SIGNING_IN = _Cookie("signing-in", SIGN_IN_SECONDS)


def application(context: Context) -> Application:
    """The studios' own registration, made when the server starts."""
    addresses = [context.config.base_url + path for path in (SIGNED_IN, HOME)]
    with context.state.write() as db:
        return entra_store.register(db, APPLICATION, addresses)


def visitor(request: Request) -> Person | None:
    """Who is signed in; None if nobody is, or the person is gone."""
    context = context_of(request)
    found = _SESSION.open(context, request.cookies.get(SESSION, ""))
    if found is None:
        return None
    with context.state.read() as db:
        return entra_store.person(db, found["oid"])


def to_sign_in(request: Request) -> Response:
    """Off to the sign-in page, and back to where one wanted to go."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': wanted})}", 303)


async def sign_in(request: Request) -> Response:
    """`GET ?next=PATH`: begin the code flow with PKCE."""
    context = context_of(request)
    verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": application(context).client_id,
        "response_type": "code",
        "redirect_uri": context.config.base_url + SIGNED_IN,
        "scope": "openid profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    answer = RedirectResponse(f"{entra.AUTHORIZE}?{urlencode(query)}", 303)
    kept = {"verifier": verifier, "nonce": nonce, "next": _local(request.query_params.get("next", HOME))}
    _set(answer, SIGNING_IN + state, _SIGNING_IN.seal(context, kept), SIGN_IN_SECONDS)
    return answer


async def signed_in(request: Request) -> Response:
    """`GET ?code&state`: end the code flow; the session begins."""
    context = context_of(request)
    name = SIGNING_IN + request.query_params.get("state", "")
    kept = _SIGNING_IN.open(context, request.cookies.get(name, ""))
    if kept is None:
        return _refused("This sign-in was not begun here, or it took too long.")
    own = application(context)
    form = {
        "code": request.query_params.get("code", ""),
        "redirect_uri": context.config.base_url + SIGNED_IN,
        "code_verifier": kept["verifier"],
    }
    try:
        answered = entra.redeem(context, form, own.client_id, own.secret)
        claims = context.tokens.read(
            str(answered["id_token"]), issuer=tokens.issuer(context), audience=own.client_id
        )
    except (entra.OAuthError, InvalidTokenError) as error:
        return _refused(str(error))
    if claims.get("nonce") != kept["nonce"]:
        return _refused("The answer belongs to another sign-in.")
    response = RedirectResponse(kept["next"], 303)
    _set(response, SESSION, _SESSION.seal(context, {"oid": claims["oid"]}), SESSION_SECONDS)
    response.delete_cookie(name, path="/", secure=True, httponly=True)
    return response


async def sign_out(request: Request) -> Response:
    """`POST`: the session ends."""
    response = RedirectResponse(HOME, 303)
    response.delete_cookie(SESSION, path="/", secure=True, httponly=True)
    return response


async def token(request: Request) -> Response:
    """`GET`: a bearer token for the label endpoints, for whoever is signed in; 401 for nobody.

    A page of another origin can neither read the answer (no CORS here) nor use the cookie without it.
    """
    who = visitor(request)
    if who is None:
        return JSONResponse({"error": {"code": "SignedOut", "message": "Nobody is signed in."}}, 401)
    issued, expires = context_of(request).tokens.issue(who.principal, STUDIO_RESOURCE)
    return JSONResponse({"access_token": issued, "expires_on": expires}, headers=entra.NO_STORE)


def session_routes() -> list[Route]:
    """Signing in and out, and the page's token."""
    return [
        Route(SIGN_IN, sign_in, methods=["GET"]),
        Route(SIGNED_IN, signed_in, methods=["GET"]),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
        Route(TOKEN, token, methods=["GET"]),
    ]


def _local(path: str) -> str:
    """`path` if it leads to a studio of this server, else the studios' first page."""
    return path if path == HOME or path.startswith(HOME + "/") else HOME


def _set(response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def _refused(message: str) -> Response:
    return page("refused.html", status=400, title="Sign-in refused", message=message)
