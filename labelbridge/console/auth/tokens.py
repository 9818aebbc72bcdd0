"""The check of a token: signature, issuer, audience and times, by PyJWT, with the algorithms pinned.

Prevents the classic forgeries: `alg: none`, an RSA key used as an HMAC secret, a token of another
application or tenant, and an ID token sent where an access token belongs.
"""

from collections.abc import Mapping
from typing import Any

import jwt

from labelbridge.errors import LabelbridgeError

ALGORITHMS = ("RS256", "ES256")
"""Entra signs with RS256; nothing symmetric is ever accepted."""
LEEWAY = 60
"""Seconds by which clocks may differ."""
_MAX_LENGTH = 32_768


def key_id(token: str) -> str:
    """`kid` of a token's header, unverified: it only chooses among the issuer's keys.

    Raises:
        LabelbridgeError: `unauthenticated` for what is no token, or one that is not signed as it must be.
    """
    if len(token) > _MAX_LENGTH:
        raise LabelbridgeError("unauthenticated", "The token is too long.")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise LabelbridgeError("unauthenticated", "This is no JSON web token.") from error
    if header.get("alg") not in ALGORITHMS:
        raise LabelbridgeError("unauthenticated", "The token is not signed with RS256 or ES256.")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise LabelbridgeError("unauthenticated", "The token names no key (`kid`).")
    return kid


def verify(token: str, key: jwt.PyJWK, *, issuer: str, audience: str) -> Mapping[str, Any]:
    """The claims of a token that is genuine, ours and in force.

    Raises:
        LabelbridgeError: `unauthenticated`, with the reason and never with the token.
    """
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud"], "strict_aud": True},
        )
    except jwt.PyJWTError as error:
        raise LabelbridgeError("unauthenticated", f"The token was refused: {error}.") from error
    return claims


def access_claims(token: str, key: jwt.PyJWK, *, issuer: str, audience: str) -> Mapping[str, Any]:
    """As `verify`, for a bearer token.

    An ID token of our own sign-in has the same audience where that is the client id; it carries the
    `nonce` that we sent, which no access token does, and is refused.
    """
    claims = verify(token, key, issuer=issuer, audience=audience)
    if "nonce" in claims:
        raise LabelbridgeError("unauthenticated", "This is an ID token: send an access token.")
    return claims


__all__ = ["ALGORITHMS", "access_claims", "key_id", "verify"]
