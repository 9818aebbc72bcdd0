"""The web application: settings checked, parts made, routers put together behind the gate.

Prevents a console that starts with half its settings and fails at the first sign-in: what is missing is
named before a port is opened.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import JSONResponse, Response
from temporalio.client import Client

from labelbridge.console import api, eventgrid, pages, problems
from labelbridge.console.auth import routes as auth_routes
from labelbridge.console.auth.flow import CodeFlow
from labelbridge.console.auth.provider import Provider
from labelbridge.console.connection import TemporalConnection
from labelbridge.console.fleet import Fleet
from labelbridge.console.reading import Reading
from labelbridge.console.security import Gate
from labelbridge.console.sessions import Sessions
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings
from labelbridge.telemetry import health
from labelbridge.telemetry.server import Telemetry

log = structlog.get_logger(__name__)

STATIC = Path(__file__).parent / "static"
_NEEDED = ("base_url", "issuer", "client_id", "session_key")


def check_settings(settings: Settings) -> None:
    """Raise `settings_invalid`, which names each setting that the console cannot do without."""
    missing = [f"LABELBRIDGE_CONSOLE__{n.upper()}" for n in _NEEDED if not getattr(settings.console, n)]
    if settings.console.issuer and not settings.console.issuer.startswith("https://"):
        raise LabelbridgeError("settings_invalid", "console.issuer: must be an https address")
    if missing:
        raise LabelbridgeError("settings_invalid", f"The console needs {', '.join(missing)}.")


def create_app(settings: Settings, client: Client | None = None, shown: Telemetry | None = None) -> FastAPI:
    """The console as an ASGI application.

    Args:
        settings: of this process; `console` must be complete.
        client: a Temporal client with the data converter of `labelbridge.converter`; connected at start-up if None.
        shown: metrics and health, served on a port of their own while the application runs.

    Raises:
        LabelbridgeError: `settings_invalid`.
    """
    check_settings(settings)
    provider = Provider(settings)
    app = FastAPI(
        title="Labelbridge",
        version="1",
        description=api.DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        # A path with a slash too many is an unknown path: a redirect would lose the body.
        redirect_slashes=False,
        separate_input_output_schemas=False,
        # Its own spans hold the query, with a sign-in's code; ours come from the gate.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    app.state.client = client
    app.state.temporal = TemporalConnection(settings, client)
    app.state.reading = Reading(settings)
    app.state.shown = _checked(shown or Telemetry(settings.telemetry), app)
    app.state.fleet = Fleet(app.state.temporal.client, settings, app.state.reading)
    app.state.provider = provider
    app.state.sessions = Sessions(settings.console)
    app.state.flow = CodeFlow(settings, provider)
    public = _include(app)
    app.add_middleware(
        Gate, settings=settings.console, sessions=app.state.sessions, provider=provider, public=public
    )
    app.openapi = lambda: api.openapi(app)  # type: ignore[method-assign]
    for kind in problems.HANDLED:
        app.add_exception_handler(kind, problems.handle)
    return app


def _include(app: FastAPI) -> tuple[str, ...]:
    """Put the routers in; returns the addresses that authenticate by themselves."""
    app.include_router(auth_routes.router)
    app.include_router(api.router)
    app.include_router(eventgrid.router)
    app.include_router(pages.router)
    app.state.error_page = pages.error_page
    app.add_api_route("/healthz", _healthy, include_in_schema=False)
    app.add_api_route("/readyz", _ready, include_in_schema=False)
    app.add_api_route("/problems/{code}", problems.explain, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    return (eventgrid.PATH,)


async def _healthy() -> Response:
    """The process serves. It says nothing of Temporal or Azure, which a restart here would not mend."""
    return Response("ok\n", media_type="text/plain")


def _checked(shown: Telemetry, app: FastAPI) -> Telemetry:
    """The console can do its work if Temporal answers, and the record store answered lately."""

    async def registry() -> None:
        await (await app.state.reading.registry()).answers()

    within = app.state.settings.telemetry.registry_within.total_seconds()
    shown.readiness.add("temporal", health.temporal_answers(app.state.temporal.client))
    shown.readiness.add("registry", health.answers_lately(registry, within))
    return shown


async def _ready(request: Request) -> Response:
    """Whether the console can do its work now. Anybody may ask, so it says no more than that."""
    ready = await request.app.state.shown.readiness.is_ready()
    return JSONResponse({"ready": ready}, status_code=200 if ready else 503)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.shown.serving(), app.state.provider:
        app.state.shown.readiness.started()
        try:
            app.state.client = await app.state.temporal.client()
        except LabelbridgeError as error:
            log.warning("temporal_unreachable", detail=error.message)
        try:
            yield
        finally:
            await app.state.reading.close()
            await app.state.temporal.close()
