"""Spans, if this process traces: of callers, of the console's requests, and of each request to Azure.

Prevents two failures: a library that loads OpenTelemetry where nobody traces (it is touched only once its SDK
is loaded, by `configure` or by the program that we are part of), and a trace that tells what must not leave:
no span has a query, a header, a body, an error's message or a label; errors are named by their code.

Exporter, sampling and resource are set by OpenTelemetry's own variables (`OTEL_*`).
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind, Tracer
    from temporalio.client import Interceptor

log = structlog.get_logger(__name__)

Attributes = Mapping[str, str | int]
_SDK = "opentelemetry.sdk.trace"
_ASKED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH = 3.0
"""Seconds that a process may take at its end to hand over what it has; a collector may be gone."""
_tracing = False


def configure(service: str) -> bool:
    """Export spans from now on, if OpenTelemetry's variables ask for it; once in a process.

    Args:
        service: `service.name`, unless the variables name another.
    """
    if not _asked():
        return False
    if tracing():
        return True  # the program that we are part of, or an earlier call
    try:
        from labelbridge.telemetry import _exporting
    except ModuleNotFoundError as error:
        log.warning(
            "traces_off", reason=f"{error.name} is not installed: pip install 'labelbridge[telemetry]'"
        )
        return False
    _exporting.install(service)
    return True


def _asked() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    chosen = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return chosen == "otlp" or (not chosen and any(os.environ.get(name) for name in _ASKED_BY))


def tracing() -> bool:
    """Whether spans go anywhere: somebody has set a tracer provider."""
    global _tracing
    # Remembered, for workflow code too: its sandbox shows other modules in `sys.modules`.
    if not _tracing and _SDK in sys.modules:
        from opentelemetry import trace

        _tracing = isinstance(trace.get_tracer_provider(), sys.modules[_SDK].TracerProvider)
    return _tracing


def inside() -> bool:
    """Whether there is a span that a smaller one could belong to."""
    if not tracing():
        return False
    from opentelemetry import trace

    return trace.get_current_span().get_span_context().is_valid


def interceptors() -> "list[Interceptor]":
    """For a Temporal client, and by it for its workers; none in a process that does not trace."""
    if not tracing():
        return []
    from labelbridge.telemetry.tracing import Tracing

    return [Tracing()]


def flush() -> None:
    """Hand over what is there: a process that ends by `os._exit` would lose it."""
    if tracing():
        from opentelemetry import trace

        provider: Any = trace.get_tracer_provider()
        # In a thread of its own: the exporter goes on trying for longer than it is told.
        handing = threading.Thread(target=provider.force_flush, daemon=True)
        handing.start()
        handing.join(_FLUSH)


def tracer() -> "Tracer":
    """Ours; only where `tracing()`."""
    from opentelemetry import trace

    return trace.get_tracer("labelbridge")


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, kind: str = "internal", parent: str | None = None
) -> "Iterator[Span | None]":
    """A span around the block, None if this process does not trace.

    Args:
        name: bounded: no id in it.
        attributes: bounded too where they are to be searched by; never a text of somebody's.
        kind: `internal`, `client`, `server` or `consumer`.
        parent: a W3C traceparent; the current span if None.
    """
    if not tracing():
        yield None
        return
    context = context_of(parent) if parent else None
    with tracer().start_as_current_span(
        name,
        context=context,
        kind=kind_of(kind),
        attributes=dict(attributes or {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except BaseException as error:
            fail(made, error)
            raise


def note(made: "Span | None", name: str, value: str | int) -> None:
    """Say something of a span, if there is one."""
    if made is not None:
        made.set_attribute(name, value)


def fail(made: "Span", error: BaseException) -> None:
    """Mark a span as failed, by the error's code or class: messages may quote what a service said."""
    from opentelemetry.trace import Status, StatusCode

    code = getattr(error, "code", None) or getattr(error, "type", None) or type(error).__name__
    made.set_attribute("error.type", str(code))
    made.set_status(Status(StatusCode.ERROR))


def kind_of(kind: str) -> "SpanKind":
    """By its name."""
    from opentelemetry.trace import SpanKind

    return SpanKind[kind.upper()]


def traceparent() -> str | None:
    """The current span as a W3C traceparent; None if there is none, or this process does not trace."""
    if not tracing():
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def context_of(parent: str) -> Any:
    """The OpenTelemetry context of a traceparent; an empty one if that is no traceparent."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent}, context=Context())


def of_request(service: str, method: str, url: str) -> tuple[str, Attributes]:
    """Name and attributes of a request to Azure: whom, what and how, without the query.

    A blob's name may be a document's, so of blobs only the container is said; of a sign-in only the host.
    """
    parts = urlsplit(url)
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "labelbridge.service": service,
    }
    if parts.port:
        attributes["server.port"] = parts.port
    if service == "blob":
        attributes["url.path"] = "/".join(parts.path.split("/", 2)[:2])
    elif service != "identity":
        attributes["url.path"] = parts.path
    return f"{method} {service}", attributes
