"""A fleet of this room's own on the shared stack: a namespace, a registry, and a worker that shows metrics.

The worker keeps no workflow in memory, so each task replays its history from the start: what is counted once
was not counted by a replay.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import LABELING_VERSION
from labelbridge.local.processes import Child, free_port
from labelbridge.local.seed import DATA_ACCOUNT, RECORDS_ACCOUNT
from labelbridge.local.stack import WORKER_READY, Stack
from labelbridge.model import (
    ConnectRequest,
    ImportRequest,
    ProjectKind,
    ProjectRef,
    ReconcileRequest,
)
from labelbridge.settings import Settings
from tests.events.receiver import new_secret
from tests.namespaces import make_namespace
from tests.operations.helpers import Bench, carry_out, connect
from tests.operations.rehearsal import Fault
from tests.telemetry.collector import Collector

COMMAND = (sys.executable, "-m", "labelbridge.cli.main")
HTTP = urllib3.PoolManager(retries=False, timeout=20)


class ShownWorker(Child):
    """A worker process that serves metrics and health on `port`."""

    def __init__(self, stack: Stack, name: str, **variables: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        shown = {"LABELBRIDGE_TELEMETRY__PORT": str(self.port), "LABELBRIDGE_LOG_FORMAT": "json"}
        super().__init__(
            name,
            [*COMMAND, "worker"],
            stack.logs / f"{name}.log",
            environment=stack.environment("worker") | shown | variables,
            directory=stack.directory,
            ready=lambda: WORKER_READY in self.log.read_text()[self._from :],
        )
        self._from = 0

    def launch(self) -> None:
        self._from = len(self.log.read_text()) if self.log.exists() else 0
        super().launch()

    def get(self, path: str) -> tuple[int, str]:
        answer = HTTP.request("GET", self.address + path)
        return answer.status, answer.data.decode()

    def scrape(self) -> "Scrape":
        status, text = self.get("/metrics")
        assert status == 200, text
        return Scrape(text)


class Scrape:
    """One scrape, parsed by Prometheus' own client."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))

    @property
    def names(self) -> set[str]:
        """Of all series, as a query writes them."""
        # Not the parser's: it gives every counter the end `_total`, and the SDK's have none.
        return set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[ {]", self.text, re.MULTILINE))

    def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Series of one name, by the values of some labels; series that differ elsewhere are added up."""
        found: dict[tuple[str, ...], float] = {}
        for family in self.families:
            for sample in family.samples:
                if sample.name == name:
                    key = tuple(sample.labels.get(label, "") for label in labels)
                    found[key] = found.get(key, 0.0) + sample.value
        return found

    def labels(self) -> set[str]:
        """Every value of every label."""
        samples = (sample for family in self.families for sample in family.samples)
        return {value for sample in samples for value in sample.labels.values()}


@dataclass
class Fleet:
    """What stands after the story: one worker, what happened, and the names that must not be seen."""

    stack: Stack
    worker: ShownWorker
    settings: Settings
    bench: Bench
    blind: ProjectRef
    """Its record is garbage: a person is needed."""
    collector: Collector
    """Where the worker, and the command that asked for the switch, export their spans."""
    told: Scrape = field(default_factory=lambda: Scrape(""))
    """Scraped when the story was over; counters begin anew with each life of a worker."""
    scheduled: Counter[str] = field(default_factory=Counter)
    """Activities that the switch's history schedules, by type."""

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[Labelbridge]:
        """The client as the operator, in this room's namespace."""
        with self.stack.acting_as("operator"):
            async with Labelbridge.connect(self.settings) as bridge:
                yield bridge


def own_settings(stack: Stack, namespace: str) -> Settings:
    """The operator's, in a namespace and a registry of this name."""
    base = stack.settings("operator")
    return base.model_copy(
        update={
            "temporal": base.temporal.model_copy(update={"namespace": namespace}),
            "registry": base.registry.model_copy(update={"container": namespace}),
        }
    )


def own_variables(namespace: str) -> dict[str, str]:
    """The same for a worker."""
    return {"LABELBRIDGE_TEMPORAL__NAMESPACE": namespace, "LABELBRIDGE_REGISTRY__CONTAINER": namespace}


@pytest.fixture(scope="package")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The story has been played: see `_play`."""
    with Collector() as collector:
        yield from _fleet(stack, collector, tmp_path_factory.mktemp("fleet"))


def _fleet(stack: Stack, collector: Collector, path: Path) -> Iterator[Fleet]:
    namespace = f"telemetry-{uuid.uuid4().hex[:8]}"
    asyncio.run(make_namespace(stack.temporal.address, namespace))
    nobody = {"nobody": {"url": f"http://127.0.0.1:{free_port()}/", "secrets": [new_secret()]}}
    worker = ShownWorker(
        stack,
        namespace,
        **own_variables(namespace),
        **collector.variables,
        LABELBRIDGE_TEMPORAL__MAX_CACHED_WORKFLOWS="0",
        LABELBRIDGE_RECONCILE__INTERVAL="PT1H",
        LABELBRIDGE_TELEMETRY__FLEET_INTERVAL="PT1S",
        LABELBRIDGE_EVENTS__WEBHOOKS=json.dumps(nobody),
        LABELBRIDGE_EVENTS__ALLOW_NETWORKS='["127.0.0.0/8"]',
        LABELBRIDGE_EVENTS__RETRIES="[]",
    )
    worker.start()
    try:
        bench = asyncio.run(Bench.make(stack, path, ProjectKind.SINGLE_LABEL))
        blind = ProjectRef(language_resource=bench.ref.language_resource, name=f"blind-{namespace}")
        made = Fleet(stack, worker, own_settings(stack, namespace), bench, blind, collector)
        asyncio.run(_play(made, path))
        made.told = worker.scrape()
        yield made
    finally:
        worker.stop()


async def _play(fleet: Fleet, path: Path) -> None:
    """One of everything that is counted; a command that traces asks for the switch."""
    async with fleet.bridge() as bridge:
        await asyncio.gather(
            _move(fleet, bridge),
            _import_with_a_bad_row(bridge, fleet.bench, path),
            _lose_a_record(fleet, bridge),
        )


async def _move(fleet: Fleet, bridge: Labelbridge) -> None:
    stack, bench = fleet.stack, fleet.bench
    await connect(bridge, bench)
    environment = os.environ | stack.environment("operator") | fleet.collector.variables
    environment |= own_variables(fleet.settings.temporal.namespace)
    switch = (*COMMAND, "switch", bench.ref.name, "--to", "azureml")
    with Fault(stack, r"/pause\?|/authoring/", "status", status=429, seconds=1, times=2):
        done = await asyncio.to_thread(
            subprocess.run, switch, env=environment, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stderr
    entry = (await bridge.history(bench.ref))[-1]
    handle = bridge.client.get_workflow_handle(f"{bench.ref.workflow_id}/{entry.operation_id}")
    for event in (await handle.fetch_history()).events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            fleet.scheduled[event.activity_task_scheduled_event_attributes.activity_type.name] += 1
    operator = stack.tenant.caller("operator")
    await asyncio.to_thread(operator.arm, "POST", f"{bench.job.resource_id}/pause", version=LABELING_VERSION)
    found = await carry_out(bridge, bench.ref, ReconcileRequest(policy="close"))
    assert [drift.outcome for drift in found.drift] == ["closed"]


async def _import_with_a_bad_row(bridge: Labelbridge, bench: Bench, path: Path) -> None:
    documents = bench.project.documents[:3]
    rows = [
        json.dumps({"image_url": f"AmlDatastore://{bench.project.datastore}/{name}", "label": "Billing"})
        for name in documents
    ]
    file = path / "labels.jsonl"
    await asyncio.to_thread(file.write_text, "\n".join([*rows, '{"image_url": ']) + "\n")
    request = ImportRequest(
        source=await bridge.upload(file),
        account=DATA_ACCOUNT,
        container=bench.project.container,
        project_kind=bench.kind,
        language="en-us",
        allow_quarantine=True,
    )
    made = bench.ref.model_copy(update={"name": f"i{uuid.uuid4().hex[:12]}"})
    with pytest.raises(LabelbridgeError) as refused:
        await carry_out(bridge, made, request.model_copy(update={"allow_quarantine": False}))
    assert refused.value.code == "labels_quarantined"
    result = await carry_out(bridge, made, request)
    assert result.snapshot is not None
    assert result.snapshot.quarantined == 1


async def _lose_a_record(fleet: Fleet, bridge: Labelbridge) -> None:
    blobs = fleet.stack.tenant.blobs("operator", RECORDS_ACCOUNT)
    container = blobs.get_container_client(fleet.settings.registry.container)
    await asyncio.to_thread(container.upload_blob, f"projects/{fleet.blind.key}/record.json", b"garbage")
    job = fleet.bench.job.model_copy(update={"name": "never"})
    with pytest.raises(LabelbridgeError) as refused:
        await bridge.start(fleet.blind, ConnectRequest(job=job))
    assert refused.value.code == "record_unreadable"


def required() -> bool:
    """Where a missing tool fails a test instead of skipping it."""
    return bool(os.environ.get("LABELBRIDGE_CI") or os.environ.get("CI"))
