"""The command `console`: the web application and its API in this process, until SIGTERM or Ctrl-C.

Prevents a sign-in's code, or anything else from an address's query, in a log: uvicorn's own access log is
off, and the gate writes one record for each request, without its query.
"""

import signal
from typing import TYPE_CHECKING

from labelbridge.errors import LabelbridgeError
from labelbridge.extras import Extra, needs

if TYPE_CHECKING:
    from uvicorn import Config

    from labelbridge.settings import Settings

_DRAIN = 5
"""Seconds that requests may take to end at a shutdown; live streams would last for ever."""


def run_console() -> None:
    """Serve until a signal.

    Raises:
        LabelbridgeError: `settings_invalid` names what is missing; also if the address cannot be used.
            `extra_missing` without the extra `console`.
    """
    from labelbridge.settings import Settings
    from workers import logs

    settings = Settings.load()
    config = make_config(settings)
    logs.configure(settings)
    import uvicorn

    server = uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn ends on either and then raises it again, which would make a clean end look like a crash.
        signal.signal(number, lambda *_: None)
    try:
        server.run()
    except SystemExit as end:
        # uvicorn has said why; so it ends when the port is taken.
        raise LabelbridgeError("settings_invalid", _cannot_serve(settings)) from end
    if not server.started:
        raise LabelbridgeError("settings_invalid", _cannot_serve(settings))


def make_config(settings: "Settings") -> "Config":
    """How uvicorn serves the console."""
    with needs(Extra.CONSOLE, "The console"):
        import uvicorn

        from labelbridge.console.app import create_app
    console = settings.console
    for file in (console.tls_certificate, console.tls_key):
        if file is not None and not file.is_file():
            raise LabelbridgeError("settings_invalid", f"There is no file {file}.")
    return uvicorn.Config(
        create_app(settings),
        host=console.bind,
        port=console.port,
        ssl_certfile=console.tls_certificate,
        ssl_keyfile=console.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        # What a proxy says of the client is not used, so nobody has to be trusted for it.
        proxy_headers=False,
        timeout_graceful_shutdown=_DRAIN,
    )


def _cannot_serve(settings: "Settings") -> str:
    console = settings.console
    return f"The console cannot serve on {console.bind}:{console.port}; its log says why."
