"""The identity provider: its addresses and signing keys, fetched over TLS, kept, and fetched again when due.

Prevents two failures: a sign-in that breaks when the provider rolls its keys (an unknown key id fetches
them anew), and a stranger who makes us ask the provider without end by inventing key ids (not oftener
than every `REFETCH`).
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import jwt
import structlog
from pydantic import BaseModel, ValidationError, field_validator

from labelbridge.console.auth import tokens
from labelbridge.console.auth.people import Person, person_of
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings

log = structlog.get_logger(__name__)

FRESH = 3600.0
"""Seconds for which addresses and keys are used without asking again; Entra advises a day or less."""
STALE = 86_400.0
"""Seconds for which old keys serve while the provider cannot be reached."""
REFETCH = 30.0
"""Seconds between two fetches that unknown key ids cause."""
RETRY = 3.0
"""Seconds after a failed fetch before the next."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MAX_ANSWER = 1 << 20


class Addresses(BaseModel):
    """What we read of OpenID Connect Discovery 1.0."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None

    @field_validator("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")
    @classmethod
    def _https(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("https://"):
            raise ValueError("must be an https address")
        return value


class Provider:
    """One issuer. Async context manager; not for use by two event loops."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is fetched until it is needed, so the console starts while the provider is down."""
        self._issuer = settings.console.issuer
        self._client_id = settings.console.client_id
        self._audience = settings.console.audience or settings.console.client_id
        self._tls = ssl.create_default_context(cafile=str(settings.ca_bundle) if settings.ca_bundle else None)
        self._http: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()
        self._addresses: Addresses | None = None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._asked = self._failed = float("-inf")

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            timeout=_TIMEOUT,
            trust_env=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()

    async def addresses(self) -> Addresses:
        """Where the provider's endpoints are; raises `unavailable` if it never said."""
        await self._refresh()
        if self._addresses is None:
            raise LabelbridgeError("unavailable", "The identity provider cannot be reached.")
        return self._addresses

    async def bearer(self, token: str) -> Person:
        """Who brings this access token.

        Raises:
            LabelbridgeError: `unauthenticated`, or `unavailable` while the keys cannot be had.
        """
        return person_of(await self.claims(token))

    async def claims(self, token: str) -> Mapping[str, Any]:
        """The checked claims of an access token; errors as `bearer`."""
        key = await self._key(tokens.key_id(token))
        return tokens.access_claims(token, key, issuer=self._issuer, audience=self._audience)

    async def id_claims(self, token: str) -> Mapping[str, Any]:
        """The claims of an ID token that was issued to this console; errors as `bearer`."""
        key = await self._key(tokens.key_id(token))
        return tokens.verify(token, key, issuer=self._issuer, audience=self._client_id)

    async def post(self, address: str, body: str) -> str:
        """The answer to a form, whatever its status; `unavailable` if there is none."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            async with self._client.post(
                address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return (await answer.content.read(_MAX_ANSWER)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LabelbridgeError("unavailable", "The identity provider did not answer.") from error

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("the provider is used outside its context")
        return self._http

    async def _key(self, kid: str) -> jwt.PyJWK:
        await self._refresh()
        if kid not in self._keys:
            await self._refresh(unknown=True)
        if kid in self._keys:
            return self._keys[kid]
        if not self._keys:
            raise LabelbridgeError("unavailable", "The identity provider's keys cannot be had.")
        raise LabelbridgeError(
            "unauthenticated", "The token is signed with a key that the issuer does not have."
        )

    async def _refresh(self, *, unknown: bool = False) -> None:
        """Fetch addresses and keys if they are due, or if a key is unknown; old ones stay if that fails."""
        async with self._lock:
            now = time.monotonic()
            since_asked, since_failed = now - self._asked, now - self._failed
            due = now - self._fetched > FRESH or (unknown and since_asked >= REFETCH)
            if not due or since_failed < RETRY:
                return
            if unknown:
                self._asked = now
            try:
                addresses = await self._discover()
                keys = await self._fetch_keys(addresses.jwks_uri)
            except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
                self._failed = now
                log.warning("identity_provider_unreachable", reason=type(error).__name__, detail=str(error))
                if now - self._fetched > STALE:
                    self._keys, self._addresses = {}, None
                return
            self._addresses, self._keys, self._fetched = addresses, keys, now

    async def _discover(self) -> Addresses:
        try:
            found = Addresses.model_validate(
                await self._json(f"{self._issuer}/.well-known/openid-configuration")
            )
        except ValidationError as error:
            raise ValueError(f"the discovery document has {error.error_count()} errors") from error
        if found.issuer != self._issuer:
            raise ValueError("the discovery document is another issuer's")
        return found

    async def _fetch_keys(self, address: str) -> dict[str, jwt.PyJWK]:
        found = jwt.PyJWKSet.from_dict(await self._json(address))
        usable = (k for k in found.keys if k.public_key_use in (None, "sig"))
        return {k.key_id: k for k in usable if k.key_id and k.algorithm_name in tokens.ALGORITHMS}

    async def _json(self, address: str) -> dict[str, Any]:
        async with self._client.get(address, allow_redirects=False, raise_for_status=True) as answer:
            found = await answer.json(content_type=None)
        if not isinstance(found, dict):
            raise ValueError("the identity provider's answer is no JSON object")
        return found
