"""An identity provider that can be told to lie: what a real one never does, so the console must refuse.

It speaks OpenID Connect over TLS. Tokens are right unless a test twists them.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "0c1f7d5e-console"
CLIENT_SECRET = "the-client's-secret"
Twist = Callable[[dict[str, Any]], None]
PEOPLE: dict[str, list[str]] = {
    "olga": ["Labelbridge.Owner"],
    "otto": ["Labelbridge.Operator"],
    "rita": ["Labelbridge.Reader"],
    "nora": [],
}


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Issuer:
    """One issuer; its address is known once it serves."""

    url: str
    keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    object_ids: dict[str, str] = field(default_factory=dict)
    """Person -> object id; the name itself for whoever is not in it."""
    person: str = "olga"
    """Who signs in next."""
    twist: Twist | None = None
    """Changes the claims of the next ID tokens."""
    sign: Callable[[dict[str, Any]], str] | None = None
    """Makes the next ID tokens instead of `token`."""
    told_issuer: str | None = None
    """What the discovery document says, if not the truth."""
    down: bool = False
    asked: dict[str, int] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    """Forms that came to the token endpoint."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    """Every token and code that was given out."""

    def __post_init__(self) -> None:
        self.keys.setdefault("first", new_key())

    def claims(self, person: str, **more: Any) -> dict[str, Any]:
        """What a token says of somebody; None leaves a claim out."""
        now = int(time.time())
        object_id = self.object_ids.get(person, person)
        found = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": f"sub-{person}",
            "oid": object_id,
            "preferred_username": person,
            "roles": PEOPLE.get(person, []),
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        return {name: value for name, value in (found | more).items() if value is not None}

    def token(self, claims: dict[str, Any], *, kid: str = "first", algorithm: str = "RS256") -> str:
        """Signed as it should be, unless told otherwise."""
        made = jwt.encode(claims, self.keys[kid], algorithm=algorithm, headers={"kid": kid})
        self.issued.append(made)
        return made

    def bearer(self, person: str, **more: Any) -> dict[str, str]:
        """The header that a program sends."""
        return {"Authorization": f"Bearer {self.token(self.claims(person, **more))}"}

    @property
    def app(self) -> Starlette:
        """The server."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def _count(self, request: Request) -> None:
        self.asked[request.url.path] = self.asked.get(request.url.path, 0) + 1

    async def _discovery(self, request: Request) -> Response:
        self._count(request)
        if self.down:
            return Response(status_code=503)
        return JSONResponse(
            {
                "issuer": self.told_issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        )

    async def _keys(self, request: Request) -> Response:
        self._count(request)
        return JSONResponse({"keys": [_jwk(kid, key) for kid, key in self.keys.items()]})

    async def _authorize(self, request: Request) -> Response:
        code = secrets.token_urlsafe(16)
        self.codes[code] = dict(request.query_params) | {"person": self.person}
        self.issued.append(code)
        back = urlencode({"code": code, "state": request.query_params["state"]})
        return RedirectResponse(f"{request.query_params['redirect_uri']}?{back}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.forms.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not _proves(form.get("code_verifier", ""), asked["code_challenge"]):
            return JSONResponse({"error": "invalid_grant", "error_description": "no"}, 400)
        if form.get("client_secret") != CLIENT_SECRET or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_client"}, 401)
        claims = self.claims(asked["person"], nonce=asked["nonce"])
        if self.twist:
            self.twist(claims)
        token = (self.sign or self.token)(claims)
        self.issued.append(token)
        return JSONResponse(
            {"token_type": "Bearer", "expires_in": 3600, "access_token": "opaque", "id_token": token}
        )


def unsigned(claims: dict[str, Any]) -> str:
    """A token with `alg: none`, which PyJWT itself would not read back."""
    header = {"alg": "none", "typ": "JWT", "kid": "first"}
    return ".".join([*(_b64(json.dumps(part).encode()) for part in (header, claims)), ""])


def signed_with_the_public_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    """HS256 with the RSA public key as the secret: the classic confusion of algorithms."""
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = issuer.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"alg": "HS256", "typ": "JWT", "kid": "first"}
    text = ".".join(_b64(json.dumps(part).encode()) for part in (head, claims))
    return f"{text}.{_b64(hmac.digest(pem, text.encode(), 'sha256'))}"


def _jwk(kid: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """As Entra publishes it: without `alg`."""
    if isinstance(key, rsa.RSAPrivateKey):
        made: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        made = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return made | {"kid": kid, "use": "sig"}


def _proves(verifier: str, challenge: str) -> bool:
    return _b64(hashlib.sha256(verifier.encode()).digest()) == challenge


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
