"""One trace from a command to each request to Azure, with nothing in it that must not leave."""

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from labelbridge.plans import Step
from tests.operations.helpers import Bench
from tests.operations.rehearsal import eventually
from tests.telemetry.collector import Seen
from tests.telemetry.conftest import Fleet

SPAN = "00f067aa0ba902b7"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass
class Traced:
    bench: Bench
    spans: list[Seen]
    scheduled: Counter[str]

    @property
    def of_switch(self) -> list[Seen]:
        (root,) = [one for one in self.spans if one.service == "labelbridge-cli" and not one.parent]
        return [one for one in self.spans if one.trace == root.trace]


@pytest.fixture
async def traced(fleet: Fleet) -> Traced:
    """What was exported of the story: a project was connected by somebody who does not trace, then switched."""

    async def written() -> list[Seen] | None:
        spans = list(fleet.collector.spans)
        return spans if any(one.name == "labelbridge.switch" for one in spans) else None

    return Traced(fleet.bench, await eventually(written, "no switch was traced"), fleet.scheduled)


def test_every_span_of_the_switch_hangs_from_the_command_that_asked_for_it(traced: Traced) -> None:
    spans = {one.id: one for one in traced.of_switch}
    roots = [one.name for one in spans.values() if one.parent not in spans]
    assert roots == ["labelbridge switch"]
    names = {one.name for one in spans.values()}
    assert {"update submit", "handle submit", "labelbridge.switch"} <= names
    assert {one.service for one in spans.values()} == {"labelbridge-cli", "labelbridge-worker"}


def test_every_activity_of_the_switch_is_in_it_and_every_request_of_an_activity(traced: Traced) -> None:
    spans = {one.id: one for one in traced.of_switch}
    (operation,) = [one for one in spans.values() if one.name == "labelbridge.switch"]
    activities = Counter(
        one.name
        for one in spans.values()
        if one.parent == operation.id and "labelbridge.attempt" in one.attributes
    )
    assert set(activities) == set(traced.scheduled)
    assert all(activities[name] >= count for name, count in traced.scheduled.items())
    requests = [one for one in spans.values() if "labelbridge.service" in one.attributes]
    reach = {(spans[one.parent].name, one.attributes["labelbridge.service"]) for one in requests}
    assert {("set_gate", "language"), ("set_gate", "azureml"), ("write_record", "blob")} <= reach
    assert all(one.attributes["http.response.status_code"] >= 200 for one in requests)
    assert all(one.attributes["http.request.method"] and one.attributes["server.address"] for one in requests)


@pytest.mark.long  # a task that a busy server asks for twice is told of twice
def test_no_span_is_written_twice_although_every_task_was_replayed(traced: Traced) -> None:
    ids = Counter((one.trace, one.id) for one in traced.spans)
    assert max(ids.values()) == 1
    names = Counter(one.name for one in traced.of_switch)
    assert names["labelbridge.switch"] == names["handle submit"] == 1
    steps = (
        Step.PREFLIGHT,
        Step.INTEND,
        Step.GATE,
        Step.DRAIN,
        Step.SNAPSHOT,
        Step.DELIVER,
        Step.COMMIT,
        Step.OPEN,
    )
    assert [names[f"step {step.name.lower()}"] for step in steps] == [1] * len(steps)


@pytest.mark.long  # a task that a busy server asks for twice is told of twice
def test_steps_lie_within_the_operation_and_say_project_operation_and_epoch(traced: Traced) -> None:
    spans = traced.of_switch
    (operation,) = [one for one in spans if one.name == "labelbridge.switch"]
    steps = [one for one in spans if one.name.startswith("step ")]
    assert all(operation.start <= one.start <= one.end <= operation.end for one in steps)
    (drain,) = [one for one in steps if one.name == "step drain"]
    assert drain.end > drain.start
    assert drain.attributes["labelbridge.project"] == traced.bench.ref.key
    assert drain.attributes["labelbridge.operation"].endswith(
        operation.attributes["labelbridge.operation"][-8:]
    )
    assert isinstance(drain.attributes["labelbridge.epoch"], int)


def test_the_entity_of_a_caller_who_does_not_trace_leaves_no_span_in_the_trace_of_the_next(
    traced: Traced,
) -> None:
    inspected = [one for one in traced.of_switch if one.name == "inspect"]
    handled = {one.id for one in traced.of_switch if one.name == "handle submit"}
    assert all(one.parent in handled for one in inspected)


def test_no_span_holds_a_query_a_token_a_document_or_a_label(traced: Traced) -> None:
    words = {"sig=", "?", "eyJ", "whsec_", "SharedAccess", "Bearer"}
    for document in traced.bench.project.documents:
        words.add(document)
        words |= {
            line.strip()
            for line in traced.bench.folder.content(document).decode().splitlines()
            if line.strip()
        }
    words |= set(traced.bench.project.categories)
    said = [text for one in traced.spans for text in one.texts]
    assert [text for text in said if any(word in text for word in words)] == []
    assert not any(one.events or one.message for one in traced.spans)


CONSOLE = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
import httpx
from labelbridge.console.app import create_app
from labelbridge.settings import Settings
console = dict(base_url="https://c.test", issuer="https://i.test", client_id="c", session_key="k" * 40)
app = create_app(Settings(_env_file=None, console=console))
async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://c.test") as client:
        given = {"traceparent": sys.argv[1]}
        for path in ("/api/v1/projects?secret=1", "/healthz"):
            await client.get(path, headers=given)
asyncio.run(main())
for span in exporter.get_finished_spans():
    attributes = span.attributes
    print(f"{span.context.trace_id:032x} {span.parent.span_id:016x} {span.kind.name}", dict(attributes))
"""


def test_a_request_of_the_console_goes_on_with_the_trace_that_it_brings() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONSOLE, f"00-{TRACE}-{SPAN}-01"], capture_output=True, text=True, check=True
    )
    refused, healthy = [line for line in done.stdout.splitlines() if line.startswith(TRACE)]
    assert refused.startswith(f"{TRACE} {SPAN} SERVER")
    assert "'http.response.status_code': 401" in refused
    assert "secret" not in done.stdout
    assert "'http.route': '/healthz'" in healthy


def test_a_process_that_does_not_trace_loads_nothing_of_opentelemetrys_sdk() -> None:
    code = "import sys, labelbridge.client; print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
