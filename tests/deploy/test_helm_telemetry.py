"""What the chart does for metrics, health and traces, and that worker and console read it so."""

from typing import Any

import pytest
import yaml

from labelbridge.settings import Settings
from tests.deploy import helm
from tests.deploy.helm import Rendered
from tests.deploy.test_helm_chart import GOOD
from tests.deploy.tools import DEPLOY

BOTH = ("labelbridge-worker", "labelbridge-console")


@pytest.fixture(scope="module")
def rendered() -> dict[str, Rendered]:
    return helm.render(GOOD)


def container(found: Rendered, name: str) -> dict[str, Any]:
    (one,) = found.one("Deployment", name)["spec"]["template"]["spec"]["containers"]
    return dict(one)


def port_of(found: Rendered, name: str) -> int:
    return {port["name"]: int(port["containerPort"]) for port in container(found, name)["ports"]}["telemetry"]


@pytest.mark.parametrize("name", BOTH)
def test_the_port_that_is_named_is_the_one_that_the_process_opens(
    rendered: dict[str, Rendered], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in container(rendered["plain"], name)["env"]:
        if variable["name"].startswith("LABELBRIDGE_TELEMETRY"):
            monkeypatch.setenv(variable["name"], variable["value"])
    telemetry = Settings(_env_file=None).telemetry
    assert (telemetry.bind, telemetry.port) == ("0.0.0.0", port_of(rendered["plain"], name))


def test_a_worker_is_probed_where_it_says_how_it_is_unless_other_probes_are_given(
    rendered: dict[str, Rendered],
) -> None:
    probes = container(rendered["plain"], "labelbridge-worker")
    paths = {kind: probes[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert paths["readiness"] == {"path": "/readyz", "port": "telemetry"}
    assert paths["startup"] == paths["liveness"] == {"path": "/healthz", "port": "telemetry"}
    given = container(rendered["everything"], "labelbridge-worker")
    assert given["livenessProbe"] == {"httpGet": {"path": "/healthz", "port": 9000}}
    assert "readinessProbe" not in given
    off = container(rendered["api key"], "labelbridge-worker")
    assert not {"ports", "livenessProbe", "readinessProbe"} & off.keys()


@pytest.mark.parametrize("name", BOTH)
def test_metrics_are_reached_by_those_who_may_scrape_and_by_a_monitor_of_this_pod(
    rendered: dict[str, Rendered], name: str
) -> None:
    found = rendered["everything"]
    rules = found.one("NetworkPolicy", name)["spec"]["ingress"]
    (rule,) = [rule for rule in rules if rule["ports"] == [{"port": "telemetry"}]]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }
    monitor = found.one("PodMonitor", name)
    pod = found.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod.items()
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {"port": "telemetry", "path": "/metrics", "interval": "30s"}
    ]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_chart_brings_the_alert_rules_as_they_are_tested(rendered: dict[str, Rendered]) -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    assert rendered["everything"].one("PrometheusRule", "labelbridge")["spec"] == rules
    assert not [one for one in rendered["plain"].objects if one["apiVersion"].startswith("monitoring")]


@pytest.mark.parametrize("name", BOTH)
def test_spans_go_to_the_collector_under_the_name_of_the_process(
    rendered: dict[str, Rendered], name: str
) -> None:
    found = {one["name"]: one.get("value") for one in container(rendered["everything"], name)["env"]}
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert found["OTEL_SERVICE_NAME"] == name
