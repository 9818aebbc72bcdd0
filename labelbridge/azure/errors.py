"""Turns what the Azure SDKs raise into the errors of our own table.

Prevents two failures: a passing error (429, 5xx, a lost connection) that ends an operation, or a
final one (a missing role, an invalid request) that is repeated until the patience ends; and an error
that hides what the server said. Each translated error carries the server's own text, without what looks like
a secret in it: the text goes into histories, the audit trail and events.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import ClientError
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from labelbridge.azure.transport import remaining
from labelbridge.errors import LabelbridgeError
from labelbridge.redaction import redact_text

BODY_LIMIT = 4096
"""Characters of the server's text that travel with an error; more would bloat workflow history."""

_GARBAGE = (json.JSONDecodeError, UnicodeDecodeError, DeserializationError)
"""What a client raises that was answered with something else than its protocol has, such as a proxy's page."""
_FINAL_STATUS = frozenset({400, 404, 405, 409, 410, 412, 413, 415, 422})


@asynccontextmanager
async def azure_errors(what: str) -> AsyncIterator[None]:
    """Run a block and raise our own error for what an Azure client raised in it.

    Args:
        what: What is tried, for the message: "read the project loans".
    """
    try:
        yield
    except LabelbridgeError:
        raise
    except (AzureError, ClientError, TimeoutError, OSError, *_GARBAGE) as error:
        raise translate(error, what) from error


def translate(error: BaseException, what: str) -> LabelbridgeError:
    """The error of our table that stands for `error`.

    429 is `throttled` with the server's `Retry-After`; 408, 5xx, lost connections and time-outs are
    `unavailable`; 401 and 403 are `forbidden`; other 4xx are `invalid_request`.
    """
    if not isinstance(error, HttpResponseError) or error.response is None:
        return _without_answer(error, what)
    response: Any = error.response  # the SDK types it as less than it is
    status = response.status_code
    data = {
        "status": str(status),
        "call": _call(error),
        "body": redact_text(body_text(error))[:BODY_LIMIT],
        **_codes(error),
    }
    message = redact_text(f"Could not {what}: {status} {_said(error)} [{data['call']}]")
    if status == 429:
        return LabelbridgeError("throttled", message, retry_after=retry_after(response.headers), data=data)
    if status in (401, 403):
        return LabelbridgeError("forbidden", message, data=data)
    if status in _FINAL_STATUS:
        return LabelbridgeError("invalid_request", message, data=data)
    return LabelbridgeError("unavailable", message, retry_after=retry_after(response.headers), data=data)


def json_object(response: Any) -> dict[str, Any]:
    """The JSON object of an answer; `unavailable` if it is none, whatever its status says.

    A proxy or a half-dead front end answers 200 with a page of HTML or with half an answer: that tells
    nothing of the resource, and must neither be believed nor be taken for a bug.
    """
    try:
        body = response.json()
    except (*_GARBAGE, AzureError) as error:
        raise LabelbridgeError("unavailable", _unusable(response)) from error
    if not isinstance(body, dict):
        raise LabelbridgeError("unavailable", _unusable(response))
    return body


def _unusable(response: Any) -> str:
    request = getattr(response, "request", None)
    where = f"{request.method} {request.url.partition('?')[0]}" if request is not None else "a call"
    return f"The answer to {where} is no JSON object."


def _without_answer(error: BaseException, what: str) -> LabelbridgeError:
    left = remaining()
    if isinstance(error, ClientAuthenticationError):
        # A credential chain swallows what its members raise, our own deadline included.
        if left is not None and left <= 0:
            return LabelbridgeError("deadline_passed", f"Could not {what}: no token before the deadline.")
        return LabelbridgeError(
            "unavailable",
            f"Could not {what}: no credential gave a token. {redact_text(str(error))}",
            remedy="Check the identity that DefaultAzureCredential finds; it is repeated by itself.",
        )
    kind = (
        "no answer"
        if isinstance(error, ServiceResponseError | TimeoutError | DecodeError)
        else "no connection"
    )
    if isinstance(error, _GARBAGE):
        kind = "no usable answer"
    if isinstance(error, AzureError) and not isinstance(error, ServiceRequestError | ServiceResponseError):
        kind = "no usable answer"
    why = redact_text(str(error) or type(error).__name__)
    return LabelbridgeError("unavailable", f"Could not {what}: {kind}: {why}")


def retry_after(headers: Any) -> timedelta | None:
    """The wait that the server asked for: `retry-after-ms`, `x-ms-retry-after-ms` or `Retry-After`.

    `Retry-After` may be seconds or an HTTP date. None if there is none or it is unreadable.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (value := headers.get(name)) and value.strip().isdigit():
            return timedelta(milliseconds=int(value))
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    try:
        return timedelta(seconds=max(0.0, float(value)))
    except (ValueError, OverflowError):
        pass
    try:
        return max(timedelta(0), parsedate_to_datetime(value) - datetime.now(UTC))
    except (ValueError, TypeError):
        return None


def body_text(error: HttpResponseError) -> str:
    """The server's text, or the empty string if it sent none or it was never read."""
    try:
        return str(error.response.text()) if error.response is not None else ""
    except Exception:  # the text of a broken answer must not hide the error itself
        return ""


def _call(error: HttpResponseError) -> str:
    request = getattr(error.response, "request", None)
    # The query is left out: result addresses may carry a signature there.
    return f"{request.method} {request.url.partition('?')[0]}" if request is not None else ""


def _codes(error: HttpResponseError) -> dict[str, str]:
    """Azure's own code and its innermost code: JSON of ARM and Language, headers of Storage."""
    codes: dict[str, str] = {}
    headers = getattr(error.response, "headers", None) or {}
    if code := headers.get("x-ms-error-code"):
        codes["azure_code"] = code
    node: Any = _json_error(error)
    if isinstance(node, dict):
        if isinstance(node.get("code"), str):
            codes["azure_code"] = node["code"]
        inner = node.get("innererror")
        while isinstance(inner, dict):
            if isinstance(inner.get("code"), str):
                codes["inner_code"] = inner["code"]
            inner = inner.get("innererror")
    return codes


def _json_error(error: HttpResponseError) -> Any:
    try:
        body = json.loads(body_text(error))
    except (ValueError, RecursionError):
        return None
    return body.get("error", body) if isinstance(body, dict) else None


def _said(error: HttpResponseError) -> str:
    """One line of what the server said: `Code (Inner): message`."""
    codes = _codes(error)
    node = _json_error(error)
    message = node.get("message") if isinstance(node, dict) else None
    if not isinstance(message, str) or not message:
        message = (error.message or error.reason or "").strip().splitlines()[0:1]
        message = message[0] if message else ""
    inner = f" ({codes['inner_code']})" if "inner_code" in codes else ""
    return f"{codes.get('azure_code', '')}{inner}: {message}".strip(": ")


__all__ = ["azure_errors", "body_text", "json_object", "retry_after", "translate"]
