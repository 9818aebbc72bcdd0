"""One authoring request: who asks, of which resource, in which version, and may they.

Prevents a route that forgets a rule: every authoring route is made by `routes`, which checks the
token, the resource, the version, the quota and the role before the handler runs.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import language_jobs, language_store
from labelbridge.local.arm_accounts import LanguageAccount, find_account
from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context
from labelbridge.local.http import caller, whole_number
from labelbridge.local.language_jobs import Job, JobKind, Jobs
from labelbridge.local.language_store import Project
from labelbridge.local.rbac import Permission
from labelbridge.local.tokens import Principal

BASE = "/language/authoring/analyze-text/projects"
"""Path below the resource's endpoint."""
STABLE_VERSIONS = frozenset({"2022-05-01", "2023-04-01"})
OLDER_PREVIEWS = frozenset(
    {"2022-03-01-preview", "2022-05-15-preview", "2022-07-01-preview", "2022-10-01-preview"}
)
"""Previews from before the connection's settings; here they do what the stable versions do."""
PREVIEW_VERSIONS = frozenset({"2023-04-15-preview", "2024-11-15-preview", "2025-05-15-preview"})
"""Previews that know the connection's settings."""
STRING_INDEX_TYPE = "Utf16CodeUnit"
PAGE = 100
"""Most items in one page of a list unless `maxpagesize` says less (our choice)."""


@dataclass
class Call:
    """An authoring request that passed the checks."""

    context: Context
    jobs: Jobs
    request: Request
    account: LanguageAccount
    principal: Principal
    version: str
    now: float
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def preview(self) -> bool:
        """True if the version has the fields and parameters that only previews have."""
        return self.version in PREVIEW_VERSIONS

    def url(self, path: str) -> str:
        """Absolute URL of a path below the projects collection, in the version of this request."""
        host = f"{self.request.url.scheme}://{self.request.url.netloc}"
        return f"{host}/cognitive/{self.params['account']}{BASE}{path}?api-version={self.version}"

    def project(self, db: sqlite3.Connection) -> Project:
        """The project of the path.

        Raises:
            AzureError: 404 `ProjectNotFound`.
        """
        name = self.params["project"]
        found = language_store.load_project(db, self.account.name, name)
        if found is None:
            raise AzureError(
                404,
                "ProjectNotFound",
                "The specified project was not found.",
                inner={"code": "InvalidRequest", "message": f"There is no project named '{name}'."},
            )
        return found

    async def body(self) -> dict[str, Any]:
        """The request's JSON object; 400 in the Language service's terms if it is none."""
        return (await self.large_body())[0]

    async def large_body(self) -> tuple[dict[str, Any], str]:
        """`body`, and the same as it came; other requests are answered while it is parsed."""
        raw = await self.request.body()
        try:
            # The parser refuses what could not be sent back, as a NaN or half a surrogate pair.
            found = await asyncio.to_thread(msgspec.json.decode, raw)
            text = raw.decode("utf-8")
        except (ValueError, RecursionError) as error:
            raise invalid(f"The body is not JSON: {error}", inner="InvalidRequestBodyFormat") from None
        if not isinstance(found, dict):
            raise invalid("The request body must be a JSON object.", inner="InvalidRequestBodyFormat")
        return found, text

    def start(self, kind: JobKind, project: str, request: Mapping[str, Any], seconds: float) -> Job:
        """Queue a job in a transaction of its own."""
        with self.context.state.write() as db:
            return self.add_job(db, kind, project, request, seconds)

    def add_job(
        self,
        db: sqlite3.Connection,
        kind: JobKind,
        project: str,
        request: Mapping[str, Any],
        seconds: float,
        *,
        file: str | None = None,
    ) -> Job:
        """Queue a job inside a transaction; see `Jobs.add`."""
        return self.jobs.add(
            db,
            account=self.account.name,
            project=project,
            kind=kind,
            request=request,
            by=self.principal.object_id,
            now=self.context.clock.now(),
            seconds=seconds,
            file=file,
        )

    def accepted(self, path: str) -> Response:
        """202 with the job's address; `path` is below the projects collection."""
        return Response(status_code=202, headers={"operation-location": self.url(path)})

    def find_job(self, *kinds: JobKind) -> Job:
        """The job of the path.

        Raises:
            AzureError: 404 `OperationNotFound`.
        """
        with self.context.state.read() as db:
            job = language_jobs.find(
                db, self.params["job"], account=self.account.name, kinds=kinds, now=self.now
            )
        if job is None or ("project" in self.params and job.project != self.params["project"]):
            raise AzureError(404, "OperationNotFound", "The specified operation was not found.")
        return job

    def page(self, items: Sequence[Mapping[str, Any]]) -> Response:
        """One page of a list, by `top`, `skip` and `maxpagesize`, with the link to the next."""
        skip = whole_number(self.request, "skip", 0, most=10**9)
        top = whole_number(self.request, "top", len(items), most=10**9)
        size = min(whole_number(self.request, "maxpagesize", PAGE), PAGE, top)
        shown = items[skip : skip + size]
        left = min(len(items) - skip - len(shown), top - len(shown))
        link = None
        if left > 0 and shown:
            query = dict(self.request.query_params) | {"skip": str(skip + len(shown))}
            if "top" in query:
                query["top"] = str(top - len(shown))
            url = self.request.url
            link = f"{url.scheme}://{url.netloc}{url.path}?{urlencode(query)}"
        return JSONResponse({"value": list(shown), "nextLink": link})

    def require_string_index_type(self) -> None:
        """Refuse (400) unless offsets are asked for in the one unit that authoring knows."""
        given = self.request.query_params.get("stringIndexType")
        if given != STRING_INDEX_TYPE:
            raise invalid(
                f"stringIndexType is required and must be {STRING_INDEX_TYPE}, not {given!r}.",
                target="stringIndexType",
            )

    def require_preview(self, what: str) -> None:
        """Refuse (400) what the stable versions do not have."""
        if not self.preview:
            raise invalid(f"{what} is not available in api-version {self.version}.", target="api-version")

    def require_storage_roles(self) -> None:
        """Refuse (403) unless the caller and the resource may both write blobs of the linked account."""
        storage = self.account.storage_id
        if storage is None:
            raise invalid("The Language resource is not connected to a storage account.")
        rbac = self.context.rbac
        if not rbac.allows(self.principal.object_id, storage, "blob.write"):
            who = "The signed-in user"
        elif not any(rbac.allows(oid, storage, "blob.write") for oid in self.account.principal_ids):
            who = "The Language resource's identity"
        else:
            return
        raise AzureError(
            403,
            "Forbidden",
            f"{who} does not have the role Storage Blob Data Contributor on storage account {storage}.",
        )


def invalid(message: str, *, inner: str = "InvalidParameterValue", target: str | None = None) -> AzureError:
    """A 400 in the Language service's shape."""
    return AzureError(
        400, "InvalidArgument", message, target=target, inner={"code": inner, "message": message}
    )


def conflict(message: str) -> AzureError:
    """A 409 in the Language service's shape."""
    return AzureError(409, "Conflict", message)


def account_named(context: Context, name: str) -> LanguageAccount:
    """The Language resource whose endpoint was asked.

    Raises:
        AzureError: 404 if there is none.
    """
    with context.state.read() as db:
        account = find_account(db, name)
    if account is None:
        raise AzureError(404, "NotFound", f"There is no Language resource named '{name}'.")
    return account


Handler = Callable[[Call], Awaitable[Response]]


def routes(
    context: Context, jobs: Jobs, table: Iterable[tuple[str, str, Handler, Permission]]
) -> list[Route]:
    """The routes of a table of (method, path below the projects collection, handler, permission).

    Each stands twice: ARM gives out a resource's endpoint with a slash at its end, and the official
    client appends a path that begins with one.
    """
    return [
        Route(f"{prefix}{BASE}{path}", _endpoint(context, jobs, handler, permission), methods=[method])
        for prefix in ("/cognitive/{account}", "/cognitive/{account}/")
        for method, path, handler, permission in table
    ]


def _endpoint(
    context: Context, jobs: Jobs, handler: Handler, permission: Permission
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await handler(_admit(context, jobs, request, permission))

    return endpoint


def _admit(context: Context, jobs: Jobs, request: Request, permission: Permission) -> Call:
    principal = caller(request)
    account = account_named(context, request.path_params["account"])
    _take_quota(context, account, request.method)
    context.rbac.require(principal, account.id, permission, path=request.url.path)
    version = request.query_params.get("api-version", "")
    if version not in STABLE_VERSIONS | OLDER_PREVIEWS | PREVIEW_VERSIONS:
        raise invalid(f"The api-version {version!r} is missing or not supported.", target="api-version")
    return Call(
        context=context,
        jobs=jobs,
        request=request,
        account=account,
        principal=principal,
        version=version,
        now=context.clock.now(),
        params=request.path_params,
    )


def _take_quota(context: Context, account: LanguageAccount, method: str) -> None:
    """Azure limits POST and GET per resource and minute; we count PATCH, PUT and DELETE as POST."""
    reading = method in ("GET", "HEAD")
    limits = context.config.language
    limit = limits.get_per_minute if reading else limits.post_per_minute
    context.quotas.take(f"language/{account.id.casefold()}/{'GET' if reading else 'POST'}", limit)
