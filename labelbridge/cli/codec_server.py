"""The command `codec-server`: payloads for Temporal's UI and command line, until SIGTERM or Ctrl-C.

Prevents a server that starts without keys: they are fetched once before a port is opened.
"""

import asyncio
from typing import TYPE_CHECKING

from labelbridge.cli.console import config_of, serve
from labelbridge.extras import Extra, needs

if TYPE_CHECKING:
    from labelbridge.settings import Settings


def run_codec_server() -> None:
    """Serve until a signal.

    Raises:
        LabelbridgeError: `settings_invalid` names what is missing, also if the address cannot be used;
            `encryption_keys_unavailable`.
    """
    from labelbridge.settings import Settings
    from workers import logs

    settings = Settings.load()
    with needs(Extra.CONSOLE, "The codec server"):
        from labelbridge.codec_server import create_app

        config = config_of(create_app, settings, settings.codec_server)
    logs.configure(settings)
    asyncio.run(_keys_can_be_had(settings))
    serve(config, "The codec server")


async def _keys_can_be_had(settings: "Settings") -> None:
    from labelbridge import converter

    await converter.check(converter.data_converter(settings))
