"""The addresses of the sign-in: begin, come back, sign out. None of them shows data.

Prevents an open redirect (`next` is a path of this console or nothing) and a session that was fixed
beforehand (each sign-in opens a new one).
"""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from labelbridge.console.auth.flow import CALLBACK, CodeFlow
from labelbridge.console.security import SIGN_IN, local_path
from labelbridge.console.sessions import Sessions
from labelbridge.errors import LabelbridgeError

router = APIRouter(include_in_schema=False)

SIGN_OUT = "/auth/sign-out"
SIGNED_OUT = "/auth/signed-out"


@router.get(SIGN_IN)
async def sign_in(request: Request, next: str = "/") -> Response:  # noqa: A002
    """Send the browser to the identity provider."""
    flow: CodeFlow = request.app.state.flow
    sessions: Sessions = request.app.state.sessions
    address, pending = await flow.begin(local_path(next))
    response = RedirectResponse(address, 303)
    sessions.remember(pending, response)
    return response


@router.get(CALLBACK)
async def callback(request: Request) -> Response:
    """Open a session for whom the identity provider sent back."""
    flow: CodeFlow = request.app.state.flow
    sessions: Sessions = request.app.state.sessions
    pending = sessions.recall(request)
    if pending is None:
        raise LabelbridgeError("sign_in_failed", "This browser has begun no sign-in, or it took too long.")
    person = await flow.finish(request.url.query, pending)
    response = RedirectResponse(local_path(pending.next), 303)
    sessions.open(person, response)
    return response


@router.post(SIGN_OUT)
async def sign_out(request: Request) -> Response:
    """End the session."""
    sessions: Sessions = request.app.state.sessions
    response = RedirectResponse(SIGNED_OUT, 303)
    sessions.end(request.state.session, response)
    return response


@router.get(SIGNED_OUT)
async def signed_out() -> Response:
    """Say so. The identity provider's own session goes on, as after any sign-out of one application."""
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Signed out · Labelbridge</title>'
        f'<main><h1>Signed out</h1><p><a href="{SIGN_IN}">Sign in</a></p></main></html>'
    )
