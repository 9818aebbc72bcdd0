"""The chart, by Helm's own engine: what it makes is valid, safe, and what the product reads."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from labelbridge.console.app import check_settings, create_app
from labelbridge.settings import Settings
from tests.deploy import helm, keda
from tests.deploy.helm import Rendered
from tests.deploy.tools import DEPLOY, module
from workers.main import SHUTDOWN_MARGIN

SETTINGS: dict[str, Any] = {
    "language_resource": "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a",
    "temporal": {
        "address": "temporal.example.net:7233",
        "namespace": "labeling",
        "max_cached_workflows": 500,
    },
    "registry": {"account": "contosolabelbridge"},
    "labels": {"offset_unit": "utf16", "shard_documents": 20000},
    "reconcile": {"only_report": ["azureml_shut"]},
    "console": {
        "base_url": "https://labelbridge.contoso.com",
        "issuer": "https://login.microsoftonline.com/t/v2.0",
        "client_id": "00000000-0000-0000-0000-000000000001",
        "upload_limit": 1073741824,
    },
}
WITH_EVERYTHING: dict[str, Any] = {
    "settings": SETTINGS,
    "image": {"repository": "contoso.azurecr.io/labelbridge", "digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "temporal": {
        "tls": {"clientSecret": "temporal-client", "caSecret": "temporal-ca", "serverName": "temporal"}
    },
    "worker": {
        "identity": {"clientId": "00000000-0000-0000-0000-000000000002"},
        "serviceAccount": {"annotations": {"example.net/owner": "labeling"}},
        "autoscaling": {"enabled": True, "taskQueues": ["labelbridge", "labelbridge-other"]},
        "probes": {"livenessProbe": {"httpGet": {"path": "/healthz", "port": 9000}}},
        "extraEnv": [{"name": "LABELBRIDGE_LOG_LEVEL", "value": "debug"}],
        "extraEnvFrom": [{"secretRef": {"name": "webhooks"}}],
        "podAnnotations": {"example.net/a": "b"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    },
    "console": {
        "secret": "console",
        "tlsSecret": "console-tls",
        "identity": {"clientId": "00000000-0000-0000-0000-000000000003"},
        "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "web", "annotations": {"a": "b"}},
        "extraEnv": [{"name": "LABELBRIDGE_LOG_LEVEL", "value": "debug"}],
    },
    "encryption": {"secret": "payload-keys", "key": "ring"},
    "codecServer": {
        "enabled": True,
        "tlsSecret": "codec-tls",
        "identity": {"clientId": "00000000-0000-0000-0000-000000000004"},
        "serviceAccount": {"annotations": {"example.net/owner": "labeling"}},
        "extraEnv": [{"name": "LABELBRIDGE_LOG_LEVEL", "value": "debug"}],
    },
    "networkPolicy": {
        "codecServerFrom": [{"podSelector": {}}],
        "consoleFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "telemetryFrom": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        ],
    },
    "telemetry": {
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "otlpEndpoint": "http://collector:4318",
    },
}
GOOD: dict[str, dict[str, Any]] = {
    "plain": {"settings": SETTINGS, "console": {"secret": "console"}},
    "everything": WITH_EVERYTHING,
    "api key": {
        "settings": SETTINGS,
        "temporal": {"apiKey": {"secret": "temporal"}},
        "console": {"enabled": False},
        "worker": {"autoscaling": {"enabled": True}},
        "networkPolicy": {"enabled": False},
        "telemetry": {"enabled": False},
    },
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no address": ({"settings": {"registry": {"account": "a"}}}, "settings.temporal.address"),
    "no account": ({"settings": {"temporal": {"address": "t:1"}}}, "settings.registry.account"),
    "no session key": ({"settings": SETTINGS}, "console.secret"),
    "codec server without keys": ({"codecServer": {"enabled": True}}, "it needs encryption.secret"),
    "keys from two places": (
        {"settings": {"encryption": {"vault": "https://v.vault.azure.net"}}, "encryption": {"secret": "k"}},
        "not both",
    ),
    "keys in the settings": ({"settings": {"encryption": {"keys_file": "/keys"}}}, "keys_file"),
    "nothing to scrape": (
        {"telemetry": {"enabled": False, "podMonitor": {"enabled": True}}},
        "nothing to scrape",
    ),
    "telemetry on the console's port": ({"telemetry": {"port": 8443}}, "port"),
    "two credentials": (
        {"temporal": {"apiKey": {"secret": "a"}, "tls": {"clientSecret": "b"}}},
        "not both",
    ),
    "scaler without TLS": (
        {"temporal": {"tls": {"enabled": True}}, "worker": {"autoscaling": {"enabled": True}}},
        "speaks TLS only with",
    ),
    "scale to nothing": ({"worker": {"autoscaling": {"minReplicas": 0}}}, "minReplicas"),
    "short grace": ({"worker": {"terminationGracePeriodSeconds": 20}}, "terminationGracePeriodSeconds"),
    "secret in the settings": ({"settings": {"console": {"session_key": "x"}}}, "settings"),
    "webhooks in the settings": ({"settings": {"events": {"webhooks": {}}}}, "webhooks"),
    "misspelt": ({"worker": {"replica": 3}}, "replica"),
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, Rendered]:
    return helm.render(GOOD | {name: values for name, (values, _) in BAD.items()})


@pytest.mark.parametrize("case", GOOD)
def test_helm_lints_and_renders_without_a_complaint(rendered: dict[str, Rendered], case: str) -> None:
    found = rendered[case]
    assert found.error is None
    assert [m for m in found.lint if m["error"] != "icon is recommended"] == []
    assert found.objects


@pytest.mark.parametrize("case", BAD)
def test_values_that_cannot_work_are_refused_and_named(rendered: dict[str, Rendered], case: str) -> None:
    assert BAD[case][1] in (rendered[case].error or "")


@pytest.mark.parametrize(
    ("case", "version"), [("everything", helm.OLDEST), ("everything", helm.NEWEST), ("plain", helm.NEWEST)]
)
def test_every_object_is_valid_for_kubernetes_and_keda(
    rendered: dict[str, Rendered], case: str, version: str
) -> None:
    validate = module("kubernetes_validate").validate
    for found in rendered[case].objects:
        if found["apiVersion"].startswith("keda.sh/"):
            module("jsonschema").validate(found, keda.SCHEMAS[found["kind"]])
        elif found["apiVersion"].startswith("monitoring.coreos.com/"):
            continue  # see test_helm_telemetry
        else:
            validate(found, version, strict=True)


def test_an_api_key_reaches_worker_and_scaler(rendered: dict[str, Rendered]) -> None:
    found = rendered["api key"]
    authentication = found.one("TriggerAuthentication", "labelbridge-worker")
    module("jsonschema").validate(authentication, keda.TRIGGER_AUTHENTICATION)
    (target,) = authentication["spec"]["secretTargetRef"]
    (variable,) = _container(found, "worker")["env"]
    assert variable["name"] == "TEMPORAL_API_KEY"
    assert variable["valueFrom"]["secretKeyRef"] == {k: target[k] for k in ("name", "key")}
    assert not [o for o in found.objects if o["metadata"]["name"] == "labelbridge-console"]


@pytest.mark.parametrize("case", GOOD)
def test_no_pod_runs_as_root_or_writes_outside_tmp(rendered: dict[str, Rendered], case: str) -> None:
    containerfile = (DEPLOY / "Containerfile").read_text()
    for found in rendered[case].objects:
        if found["kind"] != "Deployment":
            continue
        pod = found["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"USER {pod['securityContext']['runAsUser']}:" in containerfile
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
        assert writable == {"/tmp"}


CODEC_SERVER = {"plain": (), "everything": ("labelbridge-codec-server",)}


@pytest.mark.parametrize("case", ["plain", "everything"])
def test_selectors_find_the_pods_they_mean(rendered: dict[str, Rendered], case: str) -> None:
    found = rendered[case]
    parts = ("labelbridge-worker", "labelbridge-console", *CODEC_SERVER[case])
    for name in parts:
        pods = found.one("Deployment", name)["spec"]["template"]["metadata"]["labels"].items()
        selectors = [
            found.one("Deployment", name)["spec"]["selector"]["matchLabels"],
            found.one("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
            found.one("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"],
        ]
        assert all(selector.items() <= pods for selector in selectors)
        other = "console" if name.endswith("worker") else "worker"
        assert all(selector["app.kubernetes.io/component"] != other for selector in selectors)
    service = found.one("Service", "labelbridge-console")["spec"]["selector"]
    assert (
        service.items()
        <= dict(
            found.one("Deployment", "labelbridge-console")["spec"]["template"]["metadata"]["labels"]
        ).items()
    )


def test_the_scaler_alone_says_how_many_workers(rendered: dict[str, Rendered]) -> None:
    found = rendered["everything"]
    assert "replicas" not in found.one("Deployment", "labelbridge-worker")["spec"]
    scaled = found.one("ScaledObject", "labelbridge-worker")["spec"]
    assert scaled["scaleTargetRef"]["name"] == "labelbridge-worker"
    assert [t["metadata"]["taskQueue"] for t in scaled["triggers"]] == ["labelbridge", "labelbridge-other"]
    assert {t["metadata"]["namespace"] for t in scaled["triggers"]} == {"labeling"}
    assert rendered["plain"].one("Deployment", "labelbridge-worker")["spec"]["replicas"] == 2


def test_identities_are_those_of_workload_identity(rendered: dict[str, Rendered]) -> None:
    for part, values in (("worker", "worker"), ("console", "console"), ("codec-server", "codecServer")):
        account = rendered["everything"].one("ServiceAccount", f"labelbridge-{part}")
        wanted = WITH_EVERYTHING[values]["identity"]["clientId"]
        assert account["metadata"]["annotations"]["azure.workload.identity/client-id"] == wanted
        pod = rendered["everything"].one("Deployment", f"labelbridge-{part}")["spec"]["template"]
        assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
        assert pod["spec"]["serviceAccountName"] == f"labelbridge-{part}"
        if part == "codec-server":
            continue
        plain = rendered["plain"].one("Deployment", f"labelbridge-{part}")["spec"]["template"]
        assert "azure.workload.identity/use" not in plain["metadata"]["labels"]


def test_the_product_reads_the_settings_that_the_chart_writes(
    rendered: dict[str, Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = rendered["plain"].one("ConfigMap", "labelbridge-settings")["data"]["labelbridge.toml"]
    assert tomllib.loads(text)["registry"]["account"] == "contosolabelbridge"
    (tmp_path / "labelbridge.toml").write_text(text)
    _bare(tmp_path, monkeypatch)
    for variable in _container(rendered["plain"], "console")["env"]:
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    monkeypatch.setenv("LABELBRIDGE_CONSOLE__SESSION_KEY", "x" * 40)

    settings = Settings.load()

    check_settings(settings)
    assert settings.temporal.address == "temporal.example.net:7233"
    assert (settings.temporal.namespace, settings.temporal.task_queue) == ("labeling", "labelbridge")
    assert settings.temporal.max_cached_workflows == 500
    assert settings.labels.shard_documents == 20000
    assert settings.reconcile.only_report == ("azureml_shut",)
    assert settings.console.upload_limit == 1 << 30
    assert (settings.console.bind, settings.console.port) == ("0.0.0.0", 8443)
    probed = _container(rendered["plain"], "console")["readinessProbe"]["httpGet"]["path"]
    assert probed in {getattr(route, "path", "") for route in create_app(settings).routes}


def test_variables_of_the_console_are_settings(rendered: dict[str, Rendered]) -> None:
    names = {v["name"] for v in _container(rendered["everything"], "console")["env"]}
    for name in names - {n for n in names if n.startswith(("TEMPORAL_", "OTEL_"))}:
        fields: Any = Settings
        for part in name.removeprefix("LABELBRIDGE_").lower().split("__"):
            assert part in fields.model_fields, name
            fields = fields.model_fields[part].annotation


def test_temporals_client_reads_the_connection_that_the_chart_writes(
    rendered: dict[str, Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from temporalio.envconfig import ClientConfigProfile

    _bare(tmp_path, monkeypatch)
    container = _container(rendered["everything"], "worker")
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    tls = ClientConfigProfile.load().tls
    assert tls is not None
    assert tls.server_name == "temporal"
    assert not tls.disabled
    mounts = [Path(m["mountPath"]) for m in container["volumeMounts"]]
    for file in (tls.client_cert, tls.client_private_key, tls.server_root_ca_cert):
        assert isinstance(file, Path)
        assert file.parent in mounts


def test_every_process_gets_the_keys_and_nobody_else_can_read_them(rendered: dict[str, Rendered]) -> None:
    for part in ("worker", "console", "codec-server"):
        container = _container(rendered["everything"], part)
        (variable,) = [v for v in container["env"] if v["name"] == "LABELBRIDGE_ENCRYPTION__KEYS_FILE"]
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "keys"]
        assert Path(variable["value"]).parent == Path(mount["mountPath"])
        assert mount["readOnly"]
        pod = rendered["everything"].one("Deployment", f"labelbridge-{part}")["spec"]["template"]["spec"]
        (volume,) = [v["secret"] for v in pod["volumes"] if v["name"] == "keys"]
        assert (volume["secretName"], volume["defaultMode"]) == ("payload-keys", 0o440)
        assert volume["items"] == [{"key": "ring", "path": Path(variable["value"]).name}]
        plain = rendered["plain"].objects
        assert "KEYS_FILE" not in str(plain)
        assert not [o for o in plain if o["metadata"]["name"].endswith("codec-server")]


def test_the_codec_server_reads_the_settings_that_the_chart_writes(
    rendered: dict[str, Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelbridge import codec_server

    text = rendered["everything"].one("ConfigMap", "labelbridge-settings")["data"]["labelbridge.toml"]
    (tmp_path / "labelbridge.toml").write_text(text)
    _bare(tmp_path, monkeypatch)
    container = _container(rendered["everything"], "codec-server")
    for variable in container["env"]:
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    settings = Settings.load()
    codec_server.check_settings(settings)
    assert (settings.codec_server.bind, settings.codec_server.port) == ("0.0.0.0", 8444)
    assert container["ports"][0]["containerPort"] == settings.codec_server.port
    assert container["args"] == ["codec-server"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "web", "scheme": "HTTPS"}


def test_a_worker_has_time_to_finish_what_it_does(rendered: dict[str, Rendered]) -> None:
    pod = rendered["plain"].one("Deployment", "labelbridge-worker")["spec"]["template"]["spec"]
    graceful = Settings.model_fields["temporal"].default.graceful_shutdown.total_seconds()
    assert pod["terminationGracePeriodSeconds"] > graceful + SHUTDOWN_MARGIN


def test_changed_settings_start_new_pods(rendered: dict[str, Rendered]) -> None:
    def stamp(case: str, part: str) -> str:
        template = rendered[case].one("Deployment", f"labelbridge-{part}")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert stamp("plain", "worker") == stamp("plain", "console")
    assert stamp("plain", "worker") != stamp("api key", "worker")  # without the console's


def _container(found: Rendered, part: str) -> dict[str, Any]:
    (container,) = found.one("Deployment", f"labelbridge-{part}")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def _bare(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder and no variable that configures something."""
    for name in os.environ:
        if name.startswith(("LABELBRIDGE_", "TEMPORAL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.chdir(directory)
