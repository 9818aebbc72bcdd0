"""The tracer provider of a process of ours: OTLP over HTTP, set up by OpenTelemetry's own variables.

Prevents spans of one workflow that do not belong together: a workflow's span is written when it ends, maybe by
another worker than the one that began it, so its id must be known beforehand (`chosen`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import metadata

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

log = structlog.get_logger(__name__)

_chosen: ContextVar[int | None] = ContextVar("labelbridge_span_id", default=None)


class SpanIds(RandomIdGenerator):
    """Random ids, unless one was chosen."""

    def generate_span_id(self) -> int:
        """The chosen id, or a random one."""
        return _chosen.get() or super().generate_span_id()


@contextmanager
def chosen(span_id: int) -> Iterator[None]:
    """The one span that starts in this block gets this id."""
    token = _chosen.set(span_id)
    try:
        yield
    finally:
        _chosen.reset(token)


def install(service: str) -> None:
    """Make the process's tracer provider."""
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") != "http/protobuf":
        log.warning(
            "traces_protocol",
            reason="only http/protobuf is spoken, whatever OTEL_EXPORTER_OTLP_PROTOCOL says",
        )
    attributes = {"service.version": metadata.version("labelbridge")}
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    if not named:
        attributes["service.name"] = service
    provider = TracerProvider(
        resource=Resource.create(attributes), id_generator=SpanIds(), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
