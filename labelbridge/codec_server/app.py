"""Temporal's remote codec protocol over our codec, for signed-in people with an app role of its own.

Prevents four failures: a decryption oracle for whoever reaches the port (each request needs a token of the
issuer with `codec_server.app_role`); another web page that uses somebody's browser to read histories (only
Temporal's UI may, by its origin); a reader that nobody noticed (each answer leaves one record of who and how
many, never of what); and a forged payload (`/encode` is off unless it is asked for).

The protocol (Temporal's documentation "Codec Server", and its protocol page): `POST .../decode` with a
`Payloads` message as JSON, `X-Namespace`, an `Authorization` that the UI or `--codec-auth` sends; 400 if
something cannot be decoded. Answers to failures are plain text, not JSON: the UI takes any JSON for payloads.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import structlog
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from labelbridge import converter
from labelbridge._connecting import connect_config
from labelbridge.codec_server._gate import Gate, caller_of
from labelbridge.codec_server._refusals import refusal
from labelbridge.console.auth.provider import Provider
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings

log = structlog.get_logger(__name__)

Step = Callable[[list[Payload]], Awaitable[list[Payload]]]


class _Codec(Protocol):
    async def encode(self, payloads: list[Payload]) -> list[Payload]: ...

    async def decode(self, payloads: list[Payload]) -> list[Payload]: ...


def check_settings(settings: Settings) -> None:
    """Raise `settings_invalid`, which names each setting that the server cannot do without."""
    own, console = settings.codec_server, settings.console
    missing = []
    if not settings.encryption.enabled:
        missing.append("LABELBRIDGE_ENCRYPTION__KEYS_FILE or __VAULT")
    if not (own.issuer or console.issuer):
        missing.append("LABELBRIDGE_CODEC_SERVER__ISSUER")
    if not (own.audience or console.audience or console.client_id):
        missing.append("LABELBRIDGE_CODEC_SERVER__AUDIENCE")
    if missing:
        raise LabelbridgeError("settings_invalid", f"The codec server needs {', '.join(missing)}.")
    if not (own.issuer or console.issuer).startswith("https://"):
        raise LabelbridgeError("settings_invalid", "codec_server.issuer: must be an https address")


def create_app(settings: Settings) -> Starlette:
    """The server as an ASGI application.

    Raises:
        LabelbridgeError: `settings_invalid`.
    """
    check_settings(settings)
    namespace = connect_config(settings)["namespace"]
    server = _Server(converter.codec(settings, namespace), namespace, settings)
    provider = Provider(_with_issuer(settings))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with provider:
            yield

    routes = [Route("/healthz", _healthy, methods=["GET"])]
    for prefix in ("", "/{namespace}"):
        routes.append(Route(f"{prefix}/decode", server.decode, methods=["POST"]))
        if settings.codec_server.encode:
            routes.append(Route(f"{prefix}/encode", server.encode, methods=["POST"]))
    gate = Middleware(Gate, settings=settings.codec_server, provider=provider)
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[gate],
        exception_handlers={LabelbridgeError: _refused},
    )


class _Server:
    def __init__(self, codec: _Codec, namespace: str, settings: Settings) -> None:
        self._codec = codec
        self._namespace = namespace
        self._limit = settings.codec_server.payload_limit

    async def decode(self, request: Request) -> Response:
        return await self._answer(request, "payloads_decoded", self._codec.decode)

    async def encode(self, request: Request) -> Response:
        return await self._answer(request, "payloads_encoded", self._codec.encode)

    async def _answer(self, request: Request, event: str, step: Step) -> Response:
        self._in_our_namespace(request)
        given = _payloads(await request.body())
        if len(given) > self._limit:
            raise LabelbridgeError("too_large", f"{len(given)} payloads; {self._limit} may come at once.")
        done = await step(given)
        who = caller_of(request)
        log.info(event, actor=who.object_id, name=who.name, namespace=self._namespace, payloads=len(given))
        return Response(
            json_format.MessageToJson(Payloads(payloads=done), indent=None), media_type="application/json"
        )

    def _in_our_namespace(self, request: Request) -> None:
        told = (request.headers.get("x-namespace"), request.path_params.get("namespace"))
        if other := next((one for one in told if one and one != self._namespace), None):
            raise LabelbridgeError(
                "input_invalid",
                f"This codec server serves the namespace {self._namespace!r}, not {other[:100]!r}.",
            )


def _payloads(body: bytes) -> list[Payload]:
    try:
        return list(json_format.Parse(body, Payloads()).payloads)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise LabelbridgeError("input_invalid", "The body is no JSON of Temporal's `Payloads`.") from error


def _with_issuer(settings: Settings) -> Settings:
    """The console's settings as the identity provider's reader takes them, with our issuer and audience."""
    own, console = settings.codec_server, settings.console
    changed = {"issuer": own.issuer or console.issuer, "audience": own.audience or console.audience}
    return settings.model_copy(update={"console": console.model_copy(update=changed)})


async def _healthy(_: Request) -> Response:
    """The process serves. It says nothing of the vault, whose absence a restart here would not mend."""
    return PlainTextResponse("ok\n")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, LabelbridgeError)
    who = caller_of(request)
    log.warning("payloads_refused", actor=who.object_id, name=who.name, code=error.code, **error.data)
    return refusal(error)
