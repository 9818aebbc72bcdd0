"""Access tokens: RS256 JSON web tokens of the local tenant, and who is behind one.

The claims are those that the Blob emulator checks with `--oauth basic` (issuer, audience, times)
and that the product reads (`oid`). Unlike the emulator we verify the signature, so a forged token
is refused here as it is in Azure.
"""

import hashlib
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from labelbridge.local.clock import Clock

ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
LANGUAGE_AUDIENCES = ("https://cognitiveservices.azure.com",)
STORAGE_AUDIENCES = ("https://storage.azure.com",)
STUDIO_AUDIENCES = (*ARM_AUDIENCES, *LANGUAGE_AUDIENCES, "https://ml.azure.com")
"""The label endpoints of both studios are ours, so they take a token for any service behind them."""
BACKDATED = 300
"""Seconds by which `nbf` precedes the issue, as Entra does against clocks that differ."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS principals (
    object_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    header TEXT UNIQUE
);
"""
"""`header` is NULL for the identity of a resource: it holds roles but nobody signs in as it."""


@dataclass(frozen=True)
class Principal:
    """Somebody who can hold roles."""

    object_id: str
    client_id: str
    name: str


class InvalidTokenError(Exception):
    """The token proves nothing; the text says why."""


class Tokens:
    """Issues and verifies tokens with the key in the data directory, made at the first start."""

    def __init__(self, data_dir: Path, tenant_id: str, clock: Clock, lifetime: int) -> None:
        """Load or make the signing key; `lifetime` is in seconds."""
        self.tenant_id = tenant_id
        self._clock = clock
        self._lifetime = lifetime
        self._key = _signing_key(data_dir / "signing-key.pem")
        self._key_id = _thumbprint(self._key.public_key())
        self._issuer = f"https://sts.windows.net/{tenant_id}/"

    def issue(self, principal: Principal, resource: str) -> tuple[str, int]:
        """A token for `resource` and the second since 1970 at which it expires."""
        now = int(self._clock.now())
        expires = now + self._lifetime
        claims = {
            "iss": self._issuer,
            "aud": resource,
            "sub": principal.object_id,
            "oid": principal.object_id,
            "appid": principal.client_id,
            "tid": self.tenant_id,
            "idtyp": "app",
            "app_displayname": principal.name,
            "iat": now,
            "nbf": now - BACKDATED,
            "exp": expires,
            "ver": "1.0",
        }
        return self.sign(claims), expires

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JSON web token (RS256) with these claims; its header names the key."""
        return jwt.encode(dict(claims), self._key, algorithm="RS256", headers={"kid": self._key_id})

    def read(self, token: str, *, issuer: str, audience: str) -> dict[str, Any]:
        """The claims of a token that `sign` made.

        Raises:
            InvalidTokenError: another signature, issuer or audience, or it has expired.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                audience=audience,
                issuer=issuer,
                options={"require": ["exp", "aud", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        return claims

    def key_set(self) -> dict[str, Any]:
        """The public key as a JSON web key set (RFC 7517), as Entra's `jwks_uri` serves it."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        named = {"kty": key["kty"], "n": key["n"], "e": key["e"], "kid": self._key_id}
        return {"keys": [{**named, "use": "sig", "alg": "RS256"}]}

    def verify(self, token: str, audiences: tuple[str, ...]) -> Principal:
        """Who the token speaks for.

        Raises:
            InvalidTokenError: wrong signature, issuer, audience (a trailing slash is ignored) or time.
        """
        accepted = [form for audience in audiences for form in (audience, audience + "/")]
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                audience=accepted,
                issuer=self._issuer,
                options={"require": ["exp", "nbf", "oid", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        return Principal(claims["oid"], claims.get("appid", ""), claims.get("app_displayname", ""))


def _signing_key(path: Path) -> rsa.RSAPrivateKey:
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return key


def _thumbprint(key: rsa.RSAPublicKey) -> str:
    """A name that is the key's own: the start of the digest of its DER form."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:32]


def add_principal(
    db: sqlite3.Connection, name: str, *, object_id: str | None, header: str | None
) -> sqlite3.Row:
    """Register a principal once by name; a second call returns the first's row unchanged."""
    db.execute(
        "INSERT INTO principals (object_id, client_id, name, header) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO NOTHING",
        (object_id or str(uuid.uuid4()), str(uuid.uuid4()), name, header),
    )
    row: sqlite3.Row = db.execute("SELECT * FROM principals WHERE name = ?", (name,)).fetchone()
    return row
