"""A plain caller of the local Azure's public APIs, as one named principal.

For everything around the product that must not use the product's own clients: seeding, labelers and
verification. What the demo proves would be worth less if both sides shared one client's mistakes.
Tokens come from the managed-identity endpoint, TLS is verified, 429 is waited out.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from azure.core.credentials import AccessToken

ARM = "https://management.azure.com"
LANGUAGE = "https://cognitiveservices.azure.com"
STORAGE = "https://storage.azure.com"
LANGUAGE_VERSION = "2025-05-15-preview"
LABELING_VERSION = "2024-04-01-preview"
MACHINE_LEARNING_VERSION = "2024-04-01"
TIMEOUT = urllib3.Timeout(connect=5, read=30)
POLL = 0.1
"""Seconds between two looks at a long-running operation of the local Azure."""
JOB_DEADLINE = 120.0
FRESH = 300
"""A token with less than this many seconds left is replaced."""


class CallError(RuntimeError):
    """An answer that was not expected; carries the status and the server's body."""

    def __init__(self, status: int, message: str) -> None:
        """`status` is the HTTP status."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers (any case) and the JSON body ({} if there is none)."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        """Azure's error code, or ''."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return str(error.get("code", "")) if isinstance(error, dict) else ""


@dataclass(frozen=True)
class Principal:
    """Somebody who can sign in to the local tenant."""

    name: str
    object_id: str
    client_id: str
    identity_header: str


@dataclass(frozen=True)
class Place:
    """Where one local Azure is."""

    base_url: str
    """TLS address of ARM, Language and the studios."""
    identity_endpoint: str
    """Managed-identity endpoint (plain http on loopback, as App Service has it)."""
    authority: Path
    storage_endpoint: str
    """Blob endpoint with `{account}` in it."""


@dataclass
class Caller:
    """One principal's access; safe to use from several threads."""

    place: Place
    principal: Principal | None
    """None: nobody, for the administration paths of the local Azure."""
    _tokens: dict[str, AccessToken] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Open the connection pool; it verifies TLS against the local authority."""
        self._pool = urllib3.PoolManager(
            maxsize=8, ca_certs=str(self.place.authority), retries=False, timeout=TIMEOUT
        )

    def token(self, resource: str) -> AccessToken:
        """An access token for a service; `CallError` if the identity endpoint refuses."""
        assert self.principal is not None
        with self._lock:
            known = self._tokens.get(resource)
            if known is not None and known.expires_on - time.time() > FRESH:
                return known
            reply = self._pool.request(
                "GET",
                self.place.identity_endpoint,
                fields={"api-version": "2019-08-01", "resource": resource},
                headers={"X-IDENTITY-HEADER": self.principal.identity_header},
            )
            if reply.status != 200:
                raise CallError(reply.status, f"no token for {self.principal.name}: {reply.data!r}")
            body = reply.json()
            token = AccessToken(body["access_token"], int(body["expires_on"]))
            self._tokens[resource] = token
            return token

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """`TokenCredential` of the Azure SDK, so that its blob client can be this principal."""
        return self.token(scopes[0].removesuffix("/.default"))

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        resource: str = ARM,
        expect: tuple[int, ...] | None = (200, 201, 202, 204),
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request, again after each 429.

        Args:
            method: HTTP method.
            url: absolute, or a path of the local Azure.
            body: sent as JSON unless None.
            resource: audience of the token.
            expect: statuses that are an answer; None takes any.
            headers: more headers.

        Raises:
            CallError: another status.
            urllib3.exceptions.HTTPError: no answer; the effect is unknown.
        """
        address = url if url.startswith("http") else self.place.base_url + url
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.principal is not None:
            sent["Authorization"] = f"Bearer {self.token(resource).token}"
        payload = None if body is None else json.dumps(body).encode()
        while True:
            answer = self._pool.request(method, address, body=payload, headers=sent)
            if answer.status != 429:
                break
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        content = _json(answer.data)
        if expect is not None and answer.status not in expect:
            raise CallError(answer.status, f"{method} {address}: {answer.status} {answer.data[:2000]!r}")
        return Reply(answer.status, answer.headers, content)

    def arm(self, method: str, path: str, body: Any = None, *, version: str, **options: Any) -> Reply:
        """A management request; a 201 or 202 is followed to its end by polling the resource's own job."""
        separator = "&" if "?" in path else "?"
        reply = self.request(method, f"{path}{separator}api-version={version}", body, **options)
        watched = reply.headers.get("Azure-AsyncOperation") or reply.headers.get("Location")
        if reply.status in (201, 202) and watched:
            return self.finish_arm(watched)
        return reply

    def finish_arm(self, url: str) -> Reply:
        """Poll an `Azure-AsyncOperation` or `Location` until it ends; `CallError` if it fails."""
        deadline = time.monotonic() + JOB_DEADLINE
        while time.monotonic() < deadline:
            reply = self.request("GET", url)
            status = reply.body.get("status", "") if isinstance(reply.body, dict) else ""
            if status in ("Failed", "Canceled"):
                raise CallError(reply.status, f"{url}: {reply.body}")
            if reply.status != 202 and status not in ("InProgress", "Running", "Accepted"):
                return reply
            time.sleep(POLL)
        raise CallError(0, f"{url} did not end in {JOB_DEADLINE:.0f} s")

    def language(self, method: str, endpoint: str, path: str, body: Any = None, **options: Any) -> Reply:
        """An authoring request below `{endpoint}/language/authoring/analyze-text/projects`."""
        separator = "&" if "?" in path else "?"
        url = f"{endpoint.rstrip('/')}/language/authoring/analyze-text/projects{path}"
        return self.request(
            method, f"{url}{separator}api-version={LANGUAGE_VERSION}", body, resource=LANGUAGE, **options
        )

    def language_job(self, method: str, endpoint: str, path: str, body: Any = None) -> Any:
        """Start an authoring job and wait for it; its final state, or `CallError` with its errors."""
        watched = self.language(method, endpoint, path, body).headers["operation-location"]
        deadline = time.monotonic() + JOB_DEADLINE
        while time.monotonic() < deadline:
            job = self.request("GET", watched, resource=LANGUAGE).body
            if job["status"] == "succeeded":
                return job
            if job["status"] in ("failed", "cancelled", "partiallyCompleted"):
                raise CallError(200, f"{watched}: {job['status']} {job.get('errors')}")
            time.sleep(POLL)
        raise CallError(0, f"{watched} did not end in {JOB_DEADLINE:.0f} s")


def segment(name: str) -> str:
    """A name as one path segment."""
    return quote(name, safe="")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data) if data else {}
    except ValueError:
        return {"text": data.decode("utf-8", "replace")}
