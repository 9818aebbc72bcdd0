"""The local Azure as one process: ARM, Language, both studios over TLS; managed identity in plain http.

`python -m labelbridge.local.server --config FILE`. State is in SQLite and every acknowledged change
is committed before its response is sent, so the process may be killed at any moment.
"""

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from labelbridge.local import (
    arm_operations,
    arm_store,
    entra_store,
    event_grid,
    key_vault,
    labeling_store,
    log,
    rbac,
    tokens,
)
from labelbridge.local.admin import admin_routes
from labelbridge.local.arm_routes import arm_route
from labelbridge.local.azure_error import AzureError
from labelbridge.local.blob_access import BlobAccess
from labelbridge.local.clock import Clock
from labelbridge.local.config import LocalConfig
from labelbridge.local.context import Context
from labelbridge.local.entra import entra_routes
from labelbridge.local.entra_admin import entra_admin_routes
from labelbridge.local.export_log import export_log_routes
from labelbridge.local.faults import FaultMiddleware, Faults
from labelbridge.local.http import azure_error_response
from labelbridge.local.identity import create_identity_app
from labelbridge.local.labeling_exports import run_due
from labelbridge.local.labeling_studio import labeling_studio_routes
from labelbridge.local.language_api import language_routes
from labelbridge.local.quotas import Quotas
from labelbridge.local.rbac import Rbac
from labelbridge.local.requests import KEPT, RequestLog
from labelbridge.local.state import State
from labelbridge.local.studio_pages import studio_page_routes
from labelbridge.local.tokens import Tokens
from labelbridge.local.transports import RememberingProtocol, abort_all

SCHEMAS = (
    tokens.SCHEMA,
    rbac.SCHEMA,
    log.SCHEMA,
    arm_store.SCHEMA,
    arm_operations.SCHEMA,
    labeling_store.SCHEMA,
    entra_store.SCHEMA,
    event_grid.SCHEMA,
    key_vault.SCHEMA,
)
"""The tables of the Language part are added by `language_routes`, which gets the open state."""
LAST_WORDS = 0.2
"""Seconds that requests in flight have when the server is told to end."""
IDLE = 240
"""Seconds until an idle connection is closed, as by Azure's load balancers: a client that slept for a
minute still finds its connection open, and what it was about to send arrives."""
_log = structlog.get_logger()


def create_context(config: LocalConfig) -> Context:
    """Open the state of `config.data_dir` (made if missing) and everything around it."""
    config.data_dir.mkdir(parents=True, exist_ok=True)
    state = State(config.data_dir / "azure.sqlite3", *SCHEMAS)
    clock = Clock()
    return Context(
        config=config,
        state=state,
        clock=clock,
        rbac=Rbac(state, clock, config.role_propagation),
        tokens=Tokens(config.data_dir, config.tenant_id, clock, config.token_seconds),
        quotas=Quotas(clock, config.quota_window),
        faults=Faults(),
        blobs=BlobAccess(config.blob),
    )


def create_app(config: LocalConfig, context: Context | None = None) -> Starlette:
    """The TLS application. Its lifespan runs the background coroutines and closes the state."""
    context = context or create_context(config)
    context.background.append(lambda: run_due(context))
    requests: deque[dict[str, Any]] = deque(maxlen=KEPT)
    routes: list[BaseRoute] = [
        *admin_routes(),
        *export_log_routes(),
        *entra_admin_routes(),
        *entra_routes(),
        *studio_page_routes(),
        *labeling_studio_routes(),
        *event_grid.event_grid_routes(),
        *key_vault.key_vault_routes(),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(_endless(run)) for run in context.background]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await context.blobs.close()
            context.state.close()

    app = Starlette(
        routes=[*routes, *language_routes(context), arm_route()],
        lifespan=lifespan,
        middleware=[
            Middleware(RequestLog, entries=requests, clock=context.clock),
            Middleware(FaultMiddleware, faults=context.faults),
        ],
        exception_handlers={AzureError: azure_error_response},
    )
    app.state.context = context
    app.state.requests = requests
    return app


async def _endless(run: Callable[[], Awaitable[None]]) -> None:
    """Start a background coroutine again if it fails: work whose time has come must not be forgotten."""
    while True:
        try:
            await run()
            return
        except Exception:
            _log.exception("background work failed; it is started again")
            await asyncio.sleep(0.5)


async def serve(config: LocalConfig) -> None:
    """Serve both ports until SIGTERM or SIGINT; open connections are not waited for."""
    if config.certificate is None or config.private_key is None:
        raise SystemExit("the configuration names no certificate and private_key")
    context = create_context(config)
    common = {"lifespan": "off", "log_level": "warning", "access_log": False, "timeout_graceful_shutdown": 1}
    tls = uvicorn.Config(
        create_app(config, context),
        http=RememberingProtocol,
        ssl_certfile=str(config.certificate),
        ssl_keyfile=str(config.private_key),
        timeout_keep_alive=IDLE,
        **{**common, "lifespan": "on"},  # type: ignore[arg-type]
    )
    plain = uvicorn.Config(create_identity_app(context), **common)  # type: ignore[arg-type]
    servers = [uvicorn.Server(tls), uvicorn.Server(plain)]
    sockets = [_listen(config.host, config.port), _listen(config.host, config.identity_port)]

    def stop() -> None:
        context.faults.remove()
        for server in servers:
            server.should_exit = True
        loop.call_later(LAST_WORDS, abort_all)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # `_serve` leaves the process's signal handlers alone; two servers would fight over them.
    await asyncio.gather(*(server._serve([sock]) for server, sock in zip(servers, sockets, strict=True)))


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; one that died moments ago on the same port is no obstacle."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(512)
    return sock


def main(arguments: list[str] | None = None) -> int:
    """Command line: `--config FILE` (JSON of `LocalConfig`)."""
    parser = argparse.ArgumentParser(prog="labelbridge.local.server", description="The local Azure.")
    parser.add_argument("--config", type=Path, required=True)
    config = LocalConfig.load(parser.parse_args(arguments).config)
    asyncio.run(serve(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
