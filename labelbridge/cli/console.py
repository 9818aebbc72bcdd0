"""The command `console`: the web application and its API in this process, until SIGTERM or Ctrl-C.

Prevents a sign-in's code, or anything else from an address's query, in a log: uvicorn's own access log is
off, and the gate writes one record for each request, without its query.
"""

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from labelbridge.errors import LabelbridgeError
from labelbridge.extras import Extra, needs

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp
    from uvicorn import Config

    from labelbridge.encryption.settings import CodecServerSettings
    from labelbridge.settings import ConsoleSettings, Settings
    from labelbridge.telemetry.server import Telemetry

_DRAIN = 5
"""Seconds that requests may take to end at a shutdown; live streams would last for ever."""


def run_console() -> None:
    """Serve until a signal.

    Raises:
        LabelbridgeError: `settings_invalid` names what is missing; also if the address cannot be used.
            `extra_missing` without the extra `console`.
    """
    from labelbridge.settings import Settings
    from labelbridge.telemetry import spans
    from labelbridge.telemetry.server import Telemetry
    from workers import logs

    settings = Settings.load()
    spans.configure("labelbridge-console")
    shown = Telemetry(settings.telemetry)
    shown.begin()
    config = make_config(settings, shown)
    logs.configure(settings)
    serve(config, "The console", shown.readiness.stopping)


def serve(config: "Config", what: str, told: "Callable[[], None]" = lambda: None) -> None:
    """Run uvicorn until a signal; `settings_invalid` if the address cannot be used. `what` names the server.

    `told` is called when it is told to end.
    """
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
            told()
            super().handle_exit(sig, frame)

    server = Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn ends on either and then raises it again, which would make a clean end look like a crash.
        signal.signal(number, lambda *_: None)
    cannot = f"{what} cannot serve on {config.host}:{config.port}; its log says why."
    try:
        server.run()
    except SystemExit as end:
        # uvicorn has said why; so it ends when the port is taken.
        raise LabelbridgeError("settings_invalid", cannot) from end
    if not server.started:
        raise LabelbridgeError("settings_invalid", cannot)


def make_config(settings: "Settings", shown: "Telemetry | None" = None) -> "Config":
    """How uvicorn serves the console."""
    with needs(Extra.CONSOLE, "The console"):
        from labelbridge.console.app import create_app

        return config_of(partial(create_app, shown=shown), settings, settings.console)


def config_of(
    create: "Callable[[Settings], ASGIApp]",
    settings: "Settings",
    place: "ConsoleSettings | CodecServerSettings",
) -> "Config":
    """How uvicorn serves an application at the address, and with the certificate, of `place`."""
    import uvicorn

    for file in (place.tls_certificate, place.tls_key):
        if file is not None and not file.is_file():
            raise LabelbridgeError("settings_invalid", f"There is no file {file}.")
    return uvicorn.Config(
        create(settings),
        host=place.bind,
        port=place.port,
        ssl_certfile=place.tls_certificate,
        ssl_keyfile=place.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        # What a proxy says of the client is not used, so nobody has to be trusted for it.
        proxy_headers=False,
        timeout_graceful_shutdown=_DRAIN,
    )
