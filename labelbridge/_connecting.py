"""How Temporal is reached: Temporal's own profiles (`temporalio.envconfig`), with our settings above them.

Prevents a connection that is not the one that was configured: a misspelt key of the profile, a profile or a
file that does not exist, a certificate that cannot be read are refused, where the SDK's loader by itself
would go on in plain text to its default address.

Read are `TEMPORAL_CONFIG_FILE` and `TEMPORAL_PROFILE` (or the default file of Temporal's command line) and
the variables `TEMPORAL_ADDRESS`, `_NAMESPACE`, `_API_KEY`, `_TLS*` and `_GRPC_META_*`, as Temporal's
documentation of environment configuration has them.
"""

import asyncio
import os
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import converter
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings
from labelbridge.telemetry import spans

_REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
_CREDENTIALS = "Check the API key (TEMPORAL_API_KEY) or client certificate of the profile, and the namespace."
_TLS = (
    "Check the profile's TLS: whether the server speaks TLS at all, its authority (TEMPORAL_TLS_SERVER_CA_CERT_PATH),"
    " its name (TEMPORAL_TLS_SERVER_NAME), and whether it wants a client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH)."
)


def connect_config(settings: Settings) -> ClientConnectConfig:
    """Address, namespace, TLS, key and metadata for `Client.connect`.

    Raises:
        LabelbridgeError: `settings_invalid`, with what the SDK says is wrong.
    """
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise LabelbridgeError("settings_invalid", f"TEMPORAL_CONFIG_FILE: there is no file {file}.")
    try:
        config = ClientConfig.load_client_connect_config(config_file_strict=True)
    except Exception as error:
        # The loader's own exception is not public; the others are of files that it cannot read.
        raise LabelbridgeError("settings_invalid", f"Temporal's profile: {error}") from error
    chosen = settings.temporal.model_fields_set
    if "address" in chosen or "target_host" not in config:
        config["target_host"] = settings.temporal.address
    if "namespace" in chosen or "namespace" not in config:
        config["namespace"] = settings.temporal.namespace
    return config


async def connect(settings: Settings) -> Client:
    """A client with the data converter of the settings, whose keys have been fetched.

    Raises:
        LabelbridgeError: `settings_invalid`, `temporal_unreachable`, `encryption_keys_unavailable`.
    """
    config = connect_config(settings)
    data_converter = converter.data_converter(settings, config["namespace"])
    await converter.check(data_converter)
    try:
        return await asyncio.wait_for(
            Client.connect(**config, data_converter=data_converter, interceptors=spans.interceptors()),
            settings.temporal.connect_timeout.total_seconds(),
        )
    except (TimeoutError, RuntimeError, ValueError, RPCError) as error:
        raise _unreachable(config, error) from error


def _unreachable(config: ClientConnectConfig, error: Exception) -> LabelbridgeError:
    why = str(error) or "no answer in time"
    remedy = None
    if isinstance(error, RPCError) and error.status in _REFUSED:
        remedy = _CREDENTIALS
    elif config.get("tls") or "certificate" in why.lower():
        remedy = _TLS
    return LabelbridgeError("temporal_unreachable", f"{config['target_host']}: {why}", remedy=remedy)
