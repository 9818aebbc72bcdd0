"""Errors as HTTP answers: problem+json (RFC 9457) for programs, a page for people, the same code and remedy.

Prevents an error that says one thing on the command line and another here: both read `errors.CATALOGUE`.
`type` is `/problems/CODE`, resolved against the console's address, where the code is explained.
"""

import html
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from labelbridge.errors import CATALOGUE, ExitCode, LabelbridgeError
from labelbridge.model import Finding, Model

API = "/api/"
PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = 5
"""Seconds; said with a passing error that names no time of its own."""

ErrorPage = Callable[[Request, LabelbridgeError, int], Response]
"""What the pages give as `app.state.error_page`: an error drawn as a page, or as a fragment for htmx."""

_BY_CODE: Mapping[str, int] = {
    "unauthenticated": 401,
    "sign_in_failed": 401,
    "role_missing": 403,
    "cross_site": 403,
    "forbidden": 403,
    "not_found": 404,
    "project_unknown": 404,
    "operation_unknown": 404,
    "fleet_unknown": 404,
    "snapshot_unknown": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "invalid_request": 422,
    "throttled": 503,
    "settings_invalid": 500,
    "extra_missing": 500,
    "snapshot_unreadable": 500,
    "unexpected": 500,
}
_BY_EXIT: Mapping[ExitCode, int] = {
    ExitCode.USAGE: 422,
    ExitCode.REFUSED: 409,
    ExitCode.ROLLED_BACK: 409,
    ExitCode.CANCELLED: 409,
    ExitCode.STILL_RUNNING: 503,
    ExitCode.UNREACHABLE: 503,
    ExitCode.UNEXPECTED: 500,
}


class Problem(Model):
    """An error of Labelbridge as RFC 9457 has it; `code`, `remedy`, `data` and `findings` are ours."""

    type: str = Field(examples=["/problems/operation_running"])
    title: str = Field(examples=["Another operation is running on this project."])
    status: int = Field(examples=[409])
    detail: str = Field(
        examples=["switch 000042-switch-1a2b3c4d runs since 2026-03-01T12:00:05+00:00, asked for by ann."]
    )
    instance: str = Field(examples=["/api/v1/projects/tickets/switch"])
    code: str = Field(examples=["operation_running"])
    remedy: str = Field(examples=["Wait for it (`labelbridge status`) or cancel it."])
    data: dict[str, str] = Field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def status_of(code: str) -> int:
    """HTTP status of an error code; 409 for a refusal, 503 for what passes."""
    return _BY_CODE.get(code) or _BY_EXIT[CATALOGUE[code].exit_code]


def problem_of(error: LabelbridgeError, instance: str) -> Problem:
    """The problem document of an error; `instance` is the path of the request."""
    return Problem(
        type=f"/problems/{error.code}",
        title=error.kind.title,
        status=status_of(error.code),
        detail=error.message,
        instance=instance,
        code=error.code,
        remedy=error.remedy,
        data=error.data,
        findings=error.findings,
    )


def answer(request: Request, error: LabelbridgeError) -> Response:
    """The answer to a request that failed so."""
    status = status_of(error.code)
    if request.url.path.startswith(API):
        body = problem_of(error, request.url.path).model_dump(mode="json")
        response: Response = JSONResponse(body, status, media_type=PROBLEM_JSON)
    else:
        page: ErrorPage = getattr(request.app.state, "error_page", None) or _plain_page
        response = page(request, error, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="labelbridge"'
    if not error.final and status == 503:
        after = error.retry_after.total_seconds() if error.retry_after else RETRY_AFTER
        response.headers["Retry-After"] = str(max(1, round(after)))
    return response


def _plain_page(_: Request, error: LabelbridgeError, status: int) -> Response:
    """The error page of a console without pages."""
    title, *lines = (html.escape(t) for t in (error.kind.title, error.message, error.remedy, error.code))
    body = "".join(f"<p>{line}</p>" for line in lines)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1>{body}</html>', status
    )


# What the framework raises by itself.


def as_error(error: Exception) -> LabelbridgeError:
    """The `LabelbridgeError` for a request that did not reach its handler, or a handler that failed."""
    if isinstance(error, LabelbridgeError):
        return error
    if isinstance(error, RequestValidationError):
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return LabelbridgeError("input_invalid", "; ".join(lines))
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code)
        return LabelbridgeError(code or "input_invalid", "" if code else str(error.detail))
    return LabelbridgeError("unexpected")


async def handle(request: Request, error: Exception) -> Response:
    """Exception handler for everything that was foreseen."""
    response = answer(request, as_error(error))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update({k: v for k, v in error.headers.items() if k.lower() == "allow"})
    return response


HANDLED: tuple[type[Exception], ...] = (LabelbridgeError, RequestValidationError, HTTPException)
Handler = Callable[[Request, Exception], Awaitable[Response]]


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the errors that a route answers with, beside those that all have."""
    found: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *_EVERYWHERE)):
        found.setdefault(status_of(code), []).append(code)
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {
            "description": "; ".join(f"`{c}`: {CATALOGUE[c].title}" for c in named),
            "content": {PROBLEM_JSON: schema},
        }
        for status, named in sorted(found.items())
    }


_EVERYWHERE = (
    "unauthenticated",
    "cross_site",
    "role_missing",
    "input_invalid",
    "settings_invalid",
    "temporal_unreachable",
    "unavailable",
    "encryption_key_unknown",
    "payload_unreadable",
    "encryption_keys_unavailable",
    "unexpected",
)


async def explain(code: str) -> Response:
    """What an error code means: where a problem's `type` leads."""
    kind = CATALOGUE.get(code)
    if kind is None:
        raise LabelbridgeError("not_found", f"There is no error code {code!r}.")
    return JSONResponse(
        {
            "code": code,
            "title": kind.title,
            "remedy": kind.remedy,
            "status": status_of(code),
            "final": kind.final,
            "exit_code": int(kind.exit_code),
        }
    )
