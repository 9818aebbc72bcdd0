"""Errors as answers of the codec server: the code, what happened, what to do, in plain text."""

from starlette.responses import PlainTextResponse, Response

from labelbridge.errors import LabelbridgeError

_STATUS = {
    "unauthenticated": 401,
    "role_missing": 403,
    "cross_site": 403,
    "not_found": 404,
    "too_large": 413,
    "encryption_keys_unavailable": 503,
    "unavailable": 503,
    "unexpected": 500,
}


def refusal(error: LabelbridgeError) -> Response:
    """400 for what cannot be decoded, as the protocol has it."""
    response = PlainTextResponse(
        f"{error.code}: {error.message} {error.remedy}\n", _STATUS.get(error.code, 400)
    )
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="labelbridge-codec"'
    return response
