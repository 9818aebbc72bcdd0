"""ARM's front door: paths read without case, tokens, API versions, then the handler of the resource.

Prevents refusals that Azure would not make: ARM ids arrive with `resourcegroups` or
`resourceGroups`, and with a doubled slash from clients that put a scope into a path.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context, context_of
from labelbridge.local.http import JsonObject, caller, json_body
from labelbridge.local.rbac import Permission
from labelbridge.local.tokens import Principal

_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(-preview)?$")
_SUBSCRIPTION = re.compile(r"/subscriptions/([^/]+)", re.IGNORECASE)
GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"


@dataclass(frozen=True)
class ArmCall:
    """One authenticated ARM request and what its path says."""

    request: Request
    context: Context
    principal: Principal
    params: dict[str, str]
    version: str

    def require(self, scope: str, permission: Permission, action: str) -> None:
        """403 `AuthorizationFailed` unless the caller holds the permission at `scope`."""
        self.context.rbac.require(self.principal, scope, permission, action=action)

    async def body(self, *, required: bool = True) -> JsonObject:
        """The JSON object that was sent."""
        return await json_body(self.request, required=required)

    def query(self, name: str) -> str | None:
        """A query parameter."""
        return self.request.query_params.get(name)

    def link(self, path: str) -> str:
        """An absolute address on this server, with the call's own api-version."""
        return f"{self.context.config.base_url}{path}?api-version={self.version}"


Handler = Callable[[ArmCall], Awaitable[Response]]


@dataclass(frozen=True)
class ArmRoute:
    """A method, a path template and its handler; `versions` None takes any well-formed api-version."""

    method: str
    template: str
    handler: Handler
    versions: frozenset[str] | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        """The template as an expression; `{scope}` spans segments, other names are one segment."""
        text = re.sub(r"\\\{(\w+)\\\}", lambda found: _group(found[1]), re.escape(self.template))
        return re.compile(f"^{text}/?$", re.IGNORECASE)


def _group(name: str) -> str:
    return f"(?P<{name}>{'.*?' if name == 'scope' else '[^/]+'})"


class ArmRouter:
    """Finds the route of a request."""

    def __init__(self, routes: list[ArmRoute]) -> None:
        """The first route that matches wins."""
        self._routes = [(route.pattern, route) for route in routes]

    async def __call__(self, request: Request) -> Response:
        """Serve one ARM request."""
        path = "/" + request.path_params["path"].lstrip("/")
        matches = [(found, route) for pattern, route in self._routes if (found := pattern.match(path))]
        if not matches:
            raise AzureError(404, "InvalidResourceType", f"The local Azure has no resource at '{path}'.")
        for found, route in matches:
            if route.method == request.method:
                return await self._serve(request, route, found.groupdict())
        raise AzureError(405, "MethodNotAllowed", f"'{request.method}' is not allowed on '{path}'.")

    @staticmethod
    async def _serve(request: Request, route: ArmRoute, params: dict[str, str]) -> Response:
        context = context_of(request)
        principal = caller(request)
        found = _SUBSCRIPTION.search(request.url.path)
        context.quotas.take(f"arm/{found[1].casefold() if found else ''}", context.config.arm_per_minute)
        version = _api_version(request, route)
        return await route.handler(ArmCall(request, context, principal, params, version))


def _api_version(request: Request, route: ArmRoute) -> str:
    version = request.query_params.get("api-version", "")
    if not version:
        raise AzureError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if not _VERSION.match(version) or (route.versions is not None and version not in route.versions):
        raise AzureError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid or not supported here.",
        )
    return version


def not_found(resource_id: str) -> AzureError:
    """404 in ARM's words."""
    return AzureError(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")


def page(call: ArmCall, values: list[JsonObject], *, skip: int = 0, top: int | None = None) -> Response:
    """A list reply `{value, nextLink}`; `top` None means all on one page."""
    shown = values[skip : None if top is None else skip + top]
    more = top is not None and skip + top < len(values)
    link = None
    if more:
        url = call.request.url.include_query_params(**{"$skip": skip + len(shown), "$top": top})
        link = f"{call.context.config.base_url}{url.path}?{url.query}"
    return JSONResponse({"value": shown, "nextLink": link})


def arm_endpoint(router: ArmRouter) -> Route:
    """The catch-all route; it must come last."""
    methods = ["GET", "PUT", "POST", "PATCH", "DELETE"]

    async def endpoint(request: Request) -> Response:
        return await router(request)

    return Route("/{path:path}", endpoint, methods=methods)
