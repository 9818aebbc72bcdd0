"""A refusal in Azure's own words, rendered in the shape of the service that was asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

LANGUAGE_PREFIX = "/cognitive/"
"""Paths below it are the Language service's; everything else answers in ARM's shape."""


class AzureError(Exception):
    """A refusal; rendered in the shape of the service whose path was asked."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        inner: Mapping[str, Any] | None = None,
        details: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`inner` is Language's `innererror` (`code`, `message`); ARM shows it as `additionalInfo`."""
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.inner = dict(inner) if inner else None
        self.details = [dict(detail) for detail in details or ()]
        self.headers = dict(headers or {})

    def body(self, *, language: bool) -> dict[str, Any]:
        """`{"error": {...}}` as the Language service (True) or ARM (False) writes it."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if language:
            if self.details:
                error["details"] = self.details
            if self.inner:
                error["innererror"] = self.inner
        else:
            error["details"] = self.details
            error["additionalInfo"] = [{"type": "Inner", "info": self.inner}] if self.inner else []
        return {"error": error}

    def response(self, path: str) -> Response:
        """The answer to a request for `path`."""
        language = path.startswith(LANGUAGE_PREFIX)
        headers = {**self.headers, "x-ms-error-code": self.code} if language else self.headers
        return JSONResponse(self.body(language=language), status_code=self.status, headers=headers)
