"""Azure's manners over HTTP: error shapes, bearer authentication, JSON bodies.

Prevents the failure of clients that are tested against errors that Azure never sends: ARM and the
Language service shape theirs differently, and the official clients read both.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from labelbridge.local.azure_error import LANGUAGE_PREFIX, AzureError
from labelbridge.local.context import context_of
from labelbridge.local.tokens import ARM_AUDIENCES, LANGUAGE_AUDIENCES, InvalidTokenError, Principal

__all__ = [
    "LANGUAGE_PREFIX",
    "AzureError",
    "JsonObject",
    "azure_error_response",
    "caller",
    "json_body",
    "parsed_body",
    "whole_number",
]

JsonObject = dict[str, Any]
_Body = TypeVar("_Body", bound=BaseModel)


async def azure_error_response(request: Request, error: Exception) -> Response:
    """Starlette's handler for `AzureError`."""
    assert isinstance(error, AzureError)
    return error.response(request.url.path)


def caller(request: Request, *audiences: str) -> Principal:
    """Who sent the request, from its bearer token.

    Args:
        request: the request.
        audiences: accepted `aud` values; by default those of the service whose path was asked.

    Raises:
        AzureError: 401 if the token is missing, forged, expired or for another service.
    """
    language = request.url.path.startswith(LANGUAGE_PREFIX)
    accepted = audiences or (LANGUAGE_AUDIENCES if language else ARM_AUDIENCES)
    code = "Unauthorized" if language else "AuthenticationFailed"
    challenge = {"WWW-Authenticate": f'Bearer realm="", resource="{accepted[0]}"'}
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AzureError(
            401,
            code,
            "Authentication failed. The 'Authorization' header is missing or not a bearer token.",
            headers=challenge,
        )
    try:
        return context_of(request).tokens.verify(token.strip(), accepted)
    except InvalidTokenError as error:
        raise AzureError(401, code, f"The access token is invalid: {error}", headers=challenge) from error


async def json_body(request: Request, *, required: bool = True) -> JsonObject:
    """The request's JSON object.

    Raises:
        AzureError: 400 if it is no JSON object (an absent body is `{}` unless required).
    """
    raw = await request.body()
    if not raw and not required:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise AzureError(400, "InvalidRequestContent", f"The request body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise AzureError(400, "InvalidRequestContent", "The request body must be a JSON object.")
    return body


async def parsed_body(request: Request, model: type[_Body]) -> _Body:
    """The request's JSON object as `model`.

    Raises:
        AzureError: 400 that names each field that is wrong.
    """
    try:
        return model.model_validate(await json_body(request))
    except ValidationError as error:
        raise AzureError(400, "InvalidRequest", str(error)) from error


def whole_number(request: Request, name: str, default: int, *, most: int = 10_000) -> int:
    """A query parameter that counts something (`top`, `$skip`).

    Raises:
        AzureError: 400 unless it is a whole number from 0 on; larger than `most` means `most`.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise AzureError(
            400, "InvalidRequest", f"'{name}' must be a whole number, not '{text}'.", target=name
        )
    return min(int(text[:12]), most)
