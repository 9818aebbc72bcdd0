"""Dashboard and alert rules beside what a real worker shows, in a real Prometheus."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelbridge import names
from labelbridge.local.processes import Child, free_port
from labelbridge.telemetry.prometheus import Prometheus
from labelbridge.telemetry.settings import TelemetrySettings
from tests.operations.rehearsal import eventually
from tests.telemetry.conftest import HTTP, Fleet, Scrape, required

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/labelbridge.json"
NAME = re.compile(r"\b(?:labelbridge|temporal|process)_[a-z0-9_]+\b")


def tool(name: str) -> Path:
    """A program of Prometheus; without it the test is skipped, except where it must not be."""
    places = [os.environ.get("LABELBRIDGE_PROMETHEUS"), str(ROOT / ".labelbridge/prometheus/usr/bin")]
    for place in places:
        if place and (Path(place) / name).exists():
            return Path(place) / name
    if found := shutil.which(name):
        return Path(found)
    reason = f"no {name}: run deploy/install-prometheus.sh, or say where it is by LABELBRIDGE_PROMETHEUS"
    if required():
        pytest.fail(reason)
    pytest.skip(reason)


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    """Every query of the rules and of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    queries += [one["query"]["query"] for one in variables if isinstance(one["query"], dict)]
    return queries + [rule["expr"] for rule in alerts()]


def test_promtool_takes_the_rules_and_their_tests_pass() -> None:
    for arguments in (("check", "rules", RULES.name), ("test", "rules", "alerts_test.yml")):
        done = subprocess.run(
            [tool("promtool"), *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_names_its_place_in_the_runbook() -> None:
    tests = (RULES.parent / "alerts_test.yml").read_text()
    for rule in alerts():
        name = rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert f'alertname="{name}"' in tests, f"no test lets {name} fire"


@pytest.fixture
def console_names() -> set[str]:
    """What only a console shows."""
    console = Prometheus(TelemetrySettings(port=1))
    console.console_request("GET", "/projects/{key}", 200, 0.1)
    return {name for name in Scrape(console.text().decode()).names if "_console_" in name}


@asynccontextmanager
async def stuck(fleet: Fleet) -> AsyncIterator[None]:
    """An operation whose order no worker can read: its workflow task fails, and it runs on."""
    async with fleet.bridge() as bridge:
        handle = await bridge.client.start_workflow(
            names.OPERATION_WORKFLOWS["switch"],
            {"neither": "project nor operation"},
            id=f"stuck-{uuid.uuid4().hex}",
            task_queue=fleet.settings.temporal.task_queue,
        )
        try:
            yield
        finally:
            await handle.terminate()


async def test_dashboard_and_rules_name_only_metrics_that_a_worker_shows(
    fleet: Fleet, console_names: set[str]
) -> None:
    wanted = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(wanted) > 25

    async def shown() -> bool | None:
        seen = await asyncio.to_thread(fleet.worker.scrape)
        missing = wanted - seen.names - fleet.told.names - console_names
        missing_now.clear()
        missing_now.update(missing)
        return True if not missing else None

    missing_now: set[str] = set()
    async with stuck(fleet):
        try:
            await eventually(shown, "never shown", patience=300)
        except TimeoutError:
            pytest.fail(f"no worker shows {sorted(missing_now)}")


@pytest.fixture
def prometheus(fleet: Fleet, tmp_path: Path) -> Iterator[str]:
    """Debian's Prometheus with our rules, looking at the worker every second."""
    port = free_port()
    target = {"targets": [fleet.worker.address.removeprefix("http://")]}
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "labelbridge-worker", "static_configs": [target]}],
    }
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    address = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return bool(HTTP.request("GET", f"{address}/-/ready").status == 200)
        except Exception:
            return False

    child = Child(
        "prometheus",
        [
            str(tool("prometheus")),
            f"--config.file={file}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        tmp_path / "prometheus.log",
        ready=ready,
    )
    child.start()
    try:
        yield address
    finally:
        child.stop()


async def test_a_real_prometheus_loads_the_rules_scrapes_the_worker_and_hears_who_waits_for_a_person(
    fleet: Fleet, prometheus: str
) -> None:
    def ask(path: str, **fields: str) -> Any:
        return json.loads(HTTP.request("GET", f"{prometheus}/api/v1/{path}", fields=fields).data)["data"]

    async def answered() -> float | None:
        found = await asyncio.to_thread(
            ask,
            "query",
            query='sum(labelbridge_waiting_for_person{job="labelbridge-worker"}) and on() sum(up) == 1',
        )
        return float(found["result"][0]["value"][1]) if found["result"] else None

    assert await eventually(answered, "Prometheus has nothing of the worker") == 1

    async def heard() -> list[dict[str, Any]] | None:
        (group,) = (await asyncio.to_thread(ask, "rules"))["groups"]
        rules: list[dict[str, Any]] = group["rules"]
        states = {rule["name"]: rule["state"] for rule in rules}
        return rules if states["LabelbridgeNeedsPerson"] == "pending" else None

    rules = await eventually(heard, "the alert is not pending")
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert {rule["health"] for rule in rules} == {"ok"}
    down = next(rule for rule in rules if rule["name"] == "LabelbridgeWorkerDown")
    assert down["state"] == "inactive"
    for expression in expressions():
        if not expression.startswith("label_values"):
            query = expression.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$kind", ".*")
            found = await asyncio.to_thread(ask, "query", query=query)
            assert "resultType" in found, query
