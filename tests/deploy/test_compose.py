"""The Compose files, by Docker Compose itself (which needs no daemon to read them)."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labelbridge.local.processes import free_port
from labelbridge.settings import Settings
from tests.deploy import tools
from tests.deploy.tools import DEPLOY, ROOT
from workers.main import SHUTDOWN_MARGIN

HERE = DEPLOY / "compose"
BASE = ("compose.yaml",)
REHEARSAL = ("compose.yaml", "compose.rehearsal.yaml")
OURS = ("worker", "console", "azure")


def _config(files: tuple[str, ...], **variables: str) -> dict[str, Any]:
    arguments = [word for file in files for word in ("--file", file)]
    done = tools.run(
        "docker-compose", [*arguments, "config", "--format", "json"], directory=HERE, variables=variables
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module", params=[BASE, REHEARSAL], ids=["azure", "rehearsal"])
def services(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(_config(request.param, TEMPORAL_DB_PASSWORD="x")["services"])


def test_a_database_password_must_be_chosen() -> None:
    done = tools.run("docker-compose", ["config", "--quiet"], directory=HERE)
    assert done.returncode != 0
    assert "TEMPORAL_DB_PASSWORD" in done.stderr


def test_nothing_is_reachable_from_another_machine(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_our_containers_write_nowhere_but_tmp_and_their_volume(services: dict[str, Any]) -> None:
    for name in OURS:
        if name not in services:
            continue
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"] == ["/tmp"]
        assert "user" not in service  # the image's: not root


def test_every_image_names_its_version(services: dict[str, Any]) -> None:
    for service in services.values():
        assert re.search(r":\d", service["image"]), service["image"]


def test_every_file_that_is_mounted_exists(services: dict[str, Any]) -> None:
    bound = [v["source"] for s in services.values() for v in s.get("volumes", []) if v["type"] == "bind"]
    assert bound
    assert all(Path(source).exists() for source in bound)


def test_a_worker_has_time_to_finish_what_it_does(services: dict[str, Any]) -> None:
    graceful = Settings.model_fields["temporal"].default.graceful_shutdown.total_seconds()
    seconds = int(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds > graceful + SHUTDOWN_MARGIN


def test_the_rehearsal_shares_the_network_of_the_machine_and_nothing_of_your_azure() -> None:
    services = _config(REHEARSAL, TEMPORAL_DB_PASSWORD="x")["services"]
    for name in OURS:
        assert services[name]["network_mode"] == "host"
        assert "ports" not in services[name]
        assert not services[name].get("environment")
        assert not services[name].get("env_file")


@pytest.mark.parametrize("script", sorted((HERE / "temporal").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_sound_and_executable(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert os.access(script, os.X_OK)


def test_the_example_names_settings_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("LABELBRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    example = (HERE / "settings.env.example").read_text() + (HERE / "secrets.env.example").read_text()
    given = dict(re.findall(r"^(LABELBRIDGE_\w+)=(.*)$", example, re.MULTILINE))
    for name, value in given.items():
        fields: Any = Settings
        for part in name.removeprefix("LABELBRIDGE_").lower().split("__"):
            assert part in fields.model_fields, name
            fields = fields.model_fields[part].annotation
        monkeypatch.setenv(name, value or "x" * 40)
    settings = Settings.load()
    assert settings.registry.account == "ACCOUNT"


def test_the_local_azure_understands_its_command_line() -> None:
    spec = importlib.util.spec_from_file_location("local_azure", HERE / "local_azure.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    command = _config(REHEARSAL, TEMPORAL_DB_PASSWORD="x")["services"]["azure"]["command"]
    options = found._options(command)
    assert (options.namespace, options.console_port) == ("labelbridge", 8443)
    assert options.temporal == "127.0.0.1:7233"


@pytest.mark.long
def test_the_local_azure_for_containers_serves_and_says_how_to_reach_it(tmp_path: Path) -> None:
    ports = {name: str(free_port()) for name in ("azure", "identity", "blob", "console")}
    command = [sys.executable, str(HERE / "local_azure.py"), "--directory", str(tmp_path / "state")]
    command += ["--temporal", "127.0.0.1:7233", "--namespace", "labeling"]
    command += [word for name, port in ports.items() for word in (f"--{name}-port", port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "The local Azure serves" in process.stderr.readline()
        assert (tmp_path / "state" / "ready").exists()
        answer = _as("operator", tmp_path / "state", _ASK)
        assert answer == "labeling clinic"
        assert _as("console", tmp_path / "state", _CHECK) == f"https://127.0.0.1:{ports['console']}"
        assert _as("worker", tmp_path / "state", _TASKS) == "127.0.0.1:7233"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)
    assert process.returncode == 0
    assert not (tmp_path / "state" / "ready").exists()


_ASK = """
import asyncio
from labelbridge.azure.session import AzureSession
from labelbridge.settings import Settings
async def ask():
    settings = Settings.load()
    async with AzureSession(settings) as session:
        found = await session.language(settings.language_resource).project("clinic")
    print(settings.temporal.namespace, found.name)
asyncio.run(ask())
"""
_CHECK = """
from labelbridge.console.app import check_settings
from labelbridge.settings import Settings
settings = Settings.load()
check_settings(settings)
print(settings.console.base_url)
"""
_TASKS = "from labelbridge.settings import Settings; print(Settings.load().temporal.address)"


def _as(principal: str, state: Path, program: str) -> str:
    """Run a program with the env file of that principal, as the containers do."""
    done = subprocess.run(
        ["sh", "-c", f'set -a; . "{state}/{principal}.env"; exec "$0" -c "$1"', sys.executable, program],
        cwd=state,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
