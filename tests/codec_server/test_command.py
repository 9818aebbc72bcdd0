"""`labelbridge codec-server` serves and ends cleanly, and does not start without keys."""

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelbridge.cli.main import app
from labelbridge.errors import ExitCode
from labelbridge.local.processes import free_port
from tests.console.serving import Trust, serves_until_sigterm

COMMAND = (sys.executable, "-m", "labelbridge.cli.main", "codec-server")


def environment(trust: Trust, port: int, keys_file: Path) -> dict[str, str]:
    own = {
        "CODEC_SERVER__ISSUER": "https://127.0.0.1:9/issuer",
        "CODEC_SERVER__AUDIENCE": "client",
        "CODEC_SERVER__PORT": str(port),
        "CODEC_SERVER__TLS_CERTIFICATE": trust.files[0],
        "CODEC_SERVER__TLS_KEY": trust.files[1],
        "ENCRYPTION__KEYS_FILE": str(keys_file),
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {f"LABELBRIDGE_{name}": value for name, value in own.items()}


def test_it_serves_over_tls_until_sigterm_and_ends_cleanly(
    trust: Trust, keys_file: Path, tmp_path: Path
) -> None:
    port = free_port()
    variables = environment(trust, port, keys_file)
    serves_until_sigterm(COMMAND, variables, port, trust, tmp_path / "codec.log")


def test_without_its_keys_it_opens_no_port(
    trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("LABELBRIDGE_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    for name, value in environment(trust, free_port(), tmp_path / "no-keys.json").items():
        monkeypatch.setenv(name, value)
    outcome = CliRunner().invoke(app, ["codec-server"])
    assert outcome.exit_code == ExitCode.USAGE
    assert "no-keys.json" in outcome.stderr
