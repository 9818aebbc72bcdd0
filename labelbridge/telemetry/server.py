"""The address at which a process shows its metrics and its health: `/metrics`, `/healthz`, `/readyz`.

Prevents a process that looks alive because some thread of it answers: all three are answered by the event
loop that does the work, so a loop that hangs fails its probe, and its scrape.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import structlog
from aiohttp import web

from labelbridge.errors import LabelbridgeError
from labelbridge.extras import Extra, needs
from labelbridge.telemetry import counting, runtime
from labelbridge.telemetry.health import Readiness
from labelbridge.telemetry.settings import TelemetrySettings

if TYPE_CHECKING:
    from labelbridge.telemetry.prometheus import Prometheus

log = structlog.get_logger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CORE_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Telemetry:
    """What a process shows. Without `begin` it shows nothing, and `serving` does nothing."""

    prometheus: "Prometheus | None" = None

    def __init__(self, settings: TelemetrySettings) -> None:
        """Open no port yet."""
        self.readiness = Readiness()
        self._settings = settings
        self._core: str | None = None

    def begin(self) -> None:
        """Count from now on, if a port is asked for; before the first Temporal client of the process.

        Raises:
            LabelbridgeError: `extra_missing` if a port is asked for and the metrics client is not there.
        """
        if self._settings.port:
            with needs(Extra.TELEMETRY, "telemetry.port"):
                from labelbridge.telemetry.prometheus import Prometheus
            self.prometheus = Prometheus(self._settings)
            counting.install(self.prometheus)
        self._core = runtime.start(self._settings)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs, if a port is asked for.

        Raises:
            LabelbridgeError: `settings_invalid` if the port cannot be had.
        """
        if self.prometheus is None:
            yield
            return
        log.info("telemetry_served", address=f"{self._settings.bind}:{self._settings.port}")
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", _alive)
        app.router.add_get("/readyz", self._ready)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, self._settings.bind, self._settings.port).start()
            except OSError as error:
                where = f"{self._settings.bind}:{self._settings.port}"
                raise LabelbridgeError(
                    "settings_invalid", f"telemetry: cannot serve on {where}: {error}"
                ) from error
            yield
        finally:
            await runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        assert self.prometheus
        body = self.prometheus.text()
        if self._core is not None:
            # Without the core's there would be gaps in half of the series only; a failed scrape is seen.
            async with (
                aiohttp.ClientSession(timeout=_CORE_TIMEOUT) as session,
                session.get(self._core) as answer,
            ):
                body += await answer.read()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def _ready(self, _request: web.Request) -> web.Response:
        checks = await self.readiness.look()
        ready = not any(checks.values())
        said = {name: reason or "ok" for name, reason in checks.items()}
        return web.json_response({"ready": ready, "checks": said}, status=200 if ready else 503)


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
