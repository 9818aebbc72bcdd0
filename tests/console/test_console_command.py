"""`labelbridge console` serves, ends cleanly, and says what it misses before it opens a port."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from labelbridge.errors import ExitCode
from labelbridge.local.processes import free_port
from tests.console.serving import SESSION_KEY, Trust, serves_until_sigterm

COMMAND = (sys.executable, "-m", "labelbridge.cli.main", "console")


def environment(trust: Trust, port: int, **more: str) -> dict[str, str]:
    own = {
        "BASE_URL": f"https://127.0.0.1:{port}",
        "ISSUER": "https://127.0.0.1:9/issuer",
        "CLIENT_ID": "client",
        "SESSION_KEY": SESSION_KEY,
        "PORT": str(port),
        "TLS_CERTIFICATE": trust.files[0],
        "TLS_KEY": trust.files[1],
    }
    console = {f"LABELBRIDGE_CONSOLE__{name}": value for name, value in (own | more).items()}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    nowhere = {
        "LABELBRIDGE_TEMPORAL__ADDRESS": f"127.0.0.1:{free_port()}",
        "LABELBRIDGE_TEMPORAL__CONNECT_TIMEOUT": "PT0.5S",
    }
    return kept | nowhere | console


def run(variables: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        COMMAND, env=variables, cwd=directory, capture_output=True, text=True, check=False, timeout=120
    )


def test_it_serves_over_tls_until_sigterm_and_ends_cleanly(trust: Trust, tmp_path: Path) -> None:
    port = free_port()
    serves_until_sigterm(COMMAND, environment(trust, port), port, trust, tmp_path / "console.log")


def test_it_shows_metrics_and_health_on_a_port_of_their_own(trust: Trust, tmp_path: Path) -> None:
    port, shown = free_port(), free_port()
    context = ssl.create_default_context(cafile=str(trust.ca))
    seen: dict[str, httpx.Response] = {}

    def look() -> None:
        httpx.get(f"https://127.0.0.1:{port}/problems/forbidden", verify=context)
        for path in ("metrics", "healthz", "readyz"):
            seen[path] = httpx.get(f"http://127.0.0.1:{shown}/{path}")

    variables = environment(trust, port) | {"LABELBRIDGE_TELEMETRY__PORT": str(shown)}
    serves_until_sigterm(COMMAND, variables, port, trust, tmp_path / "console.log", look)
    counted = 'labelbridge_console_requests_total{method="GET",route="/problems/{code}",status="2xx"} 1.0'
    assert counted in seen["metrics"].text
    # There is no Temporal here.
    assert {path: answer.status_code for path, answer in seen.items()} == {
        "metrics": 200,
        "healthz": 200,
        "readyz": 503,
    }


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"SESSION_KEY": ""}, "console.session_key"),
        ({"SESSION_KEY": "too short"}, "console.session_key"),
        ({"CLIENT_ID": ""}, "LABELBRIDGE_CONSOLE__CLIENT_ID"),
        ({"BASE_URL": "http://127.0.0.1"}, "console.base_url"),
        ({"BASE_URL": "https://host/path"}, "console.base_url"),
        ({"ISSUER": "http://issuer"}, "console.issuer"),
        ({"TLS_KEY": "/no/such/file"}, "/no/such/file"),
    ],
    ids=str,
)
def test_what_is_missing_or_wrong_is_named(
    trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], named: str
) -> None:
    from typer.testing import CliRunner

    from labelbridge.cli.main import app

    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("LABELBRIDGE_")]:
        monkeypatch.delenv(name)
    for name, value in environment(trust, free_port(), **more).items():
        monkeypatch.setenv(name, value)
    outcome = CliRunner().invoke(app, ["console"])
    assert outcome.exit_code == ExitCode.USAGE
    assert "settings_invalid" in outcome.stderr
    assert named in outcome.stderr
    assert SESSION_KEY not in outcome.stderr


def test_a_port_that_is_taken_is_said(trust: Trust, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run(environment(trust, port), tmp_path)
    assert ended.returncode == ExitCode.USAGE
    assert f"cannot serve on 127.0.0.1:{port}" in ended.stderr
