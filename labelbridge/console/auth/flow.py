"""The authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0), by oauthlib.

Prevents a sign-in that somebody else began: state, nonce and verifier wait in a sealed cookie of the
browser that began it, and the answer must fit all three. No token is kept: who the person is and their
roles are read from the ID token, once.
"""

import hmac
import secrets
import time
from typing import Any

from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from labelbridge.console.auth.people import Person, person_of
from labelbridge.console.auth.provider import Provider
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Model
from labelbridge.settings import Settings

CALLBACK = "/auth/callback"
SIGN_IN_TIME = 600
"""Seconds that somebody may take at the identity provider."""
_SCOPE = "openid profile"


class Pending(Model):
    """A sign-in that has begun; sealed into a cookie."""

    state: str
    nonce: str
    verifier: str
    next: str
    """Local path to go to afterwards."""
    begun_at: int


class CodeFlow:
    """Begins and ends sign-ins of people."""

    def __init__(self, settings: Settings, provider: Provider) -> None:
        """One for the application."""
        console = settings.console
        self._provider = provider
        self._client_id = console.client_id
        self._secret = console.client_secret.get_secret_value() if console.client_secret else None
        self._redirect = console.base_url + CALLBACK

    async def begin(self, next_path: str) -> tuple[str, Pending]:
        """The provider's address to send the browser to, and what must be remembered meanwhile."""
        addresses = await self._provider.addresses()
        client = WebApplicationClient(self._client_id)
        pending = Pending(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=client.create_code_verifier(64),
            next=next_path,
            begun_at=int(time.time()),
        )
        address: str = client.prepare_request_uri(
            addresses.authorization_endpoint,
            redirect_uri=self._redirect,
            scope=_SCOPE,
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=client.create_code_challenge(pending.verifier, "S256"),
            code_challenge_method="S256",
            response_mode="query",
        )
        return address, pending

    async def finish(self, query: str, pending: Pending) -> Person:
        """Who has signed in.

        Args:
            query: query string with which the provider sent the browser back.
            pending: what `begin` gave.

        Raises:
            LabelbridgeError: `sign_in_failed` with the reason, or `unavailable`.
        """
        if not 0 <= time.time() - pending.begun_at <= SIGN_IN_TIME:
            raise LabelbridgeError("sign_in_failed", "The sign-in took too long.")
        addresses = await self._provider.addresses()
        client = WebApplicationClient(self._client_id)
        try:
            code = client.parse_request_uri_response(f"{self._redirect}?{query}", state=pending.state)["code"]
            answer = await self._provider.post(
                addresses.token_endpoint, self._exchange(client, code, pending)
            )
            token = client.parse_request_body_response(answer).get("id_token")
        except OAuth2Error as error:
            # `error` is one of the codes of RFC 6749; its description may be the provider's, and is not trusted.
            raise LabelbridgeError(
                "sign_in_failed", f"The identity provider refused: {error.error}."
            ) from error
        except ValueError as error:
            raise LabelbridgeError(
                "sign_in_failed", "The identity provider's answer cannot be read."
            ) from error
        return await self._person(token, pending)

    def _exchange(self, client: Any, code: str, pending: Pending) -> str:
        secret = {"client_secret": self._secret} if self._secret else {}
        body: str = client.prepare_request_body(
            code=code, redirect_uri=self._redirect, code_verifier=pending.verifier, **secret
        )
        return body

    async def _person(self, token: object, pending: Pending) -> Person:
        if not isinstance(token, str):
            raise LabelbridgeError("sign_in_failed", "The identity provider gave no ID token.")
        try:
            claims = await self._provider.id_claims(token)
            if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), pending.nonce.encode()):
                raise LabelbridgeError("unauthenticated", "The ID token answers another sign-in (`nonce`).")
            return person_of(claims)
        except LabelbridgeError as error:
            if error.code != "unauthenticated":
                raise
            raise LabelbridgeError("sign_in_failed", error.message) from error
