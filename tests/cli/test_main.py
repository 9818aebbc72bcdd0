"""The command line refuses before it reaches for anything, and documents its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelbridge.cli.main import EPILOG, app
from labelbridge.errors import CATALOGUE, ExitCode

COMMANDS = (
    "doctor connect switch sync train import disconnect status cancel history wait watch reconcile policy "
    "convert snapshots events completion worker console dev"
)
run = CliRunner().invoke


def test_help_lists_every_command_and_every_exit_code() -> None:
    text = run(app, ["--help"]).stdout
    for command in COMMANDS.split():
        assert f" {command} " in text
    assert all(f"{code.value} " in EPILOG for code in ExitCode)


def test_every_refusal_has_a_documented_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {code.value} |" in page
    assert {kind.exit_code for kind in CATALOGUE.values()} <= set(ExitCode)


@pytest.mark.parametrize(
    "arguments", [["connect", "tickets", "--job", "tickets-1"], ["disconnect", "tickets", "--sync"]]
)
def test_what_is_permanent_is_refused_without_a_terminal_and_without_confirm(arguments: list[str]) -> None:
    outcome = run(app, arguments)
    assert outcome.exit_code == ExitCode.USAGE
    assert outcome.stdout == ""
    assert "not_confirmed" in outcome.stderr
    assert "--confirm tickets" in outcome.stderr


def test_a_wrong_confirmation_is_refused_and_is_json_on_request() -> None:
    outcome = run(
        app, ["disconnect", "tickets", "--discard-labels", "--confirm", "tickes", "--output", "json"]
    )
    assert outcome.exit_code == ExitCode.USAGE
    assert json.loads(outcome.stdout)["error"]["code"] == "not_confirmed"
    assert "not_confirmed: " in outcome.stderr


def test_the_fate_of_labels_is_one_word_not_two() -> None:
    outcome = run(app, ["disconnect", "tickets", "--sync", "--discard-labels", "--confirm", "tickets"])
    assert outcome.exit_code == ExitCode.USAGE
    assert "input_invalid" in outcome.stderr


def test_the_user_is_told_that_a_vendor_is_only_recorded() -> None:
    outcome = run(app, ["connect", "tickets", "--job", "j", "--vendor", "Fabrikam"])
    assert "only recorded" in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.parametrize("arguments", [["switch", "tickets"], ["switch", "tickets", "--to", "moon"], ["fly"]])
def test_a_wrong_command_line_exits_with_2(arguments: list[str]) -> None:
    assert run(app, arguments).exit_code == ExitCode.USAGE


def test_a_wrong_resource_id_is_refused_before_anything_is_reached() -> None:
    outcome = run(app, ["status", "--language-resource", "contoso"])
    assert outcome.exit_code == ExitCode.USAGE
    assert "input_invalid: --language-resource" in outcome.stderr


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELBRIDGE_TIMING__DRAIN", "PT1S")
    outcome = run(app, ["status"])
    assert outcome.exit_code == ExitCode.USAGE
    assert "timing.drain" in outcome.stderr


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_the_clients_commands_load_no_worker_and_no_azure_management_client() -> None:
    loaded = in_a_fresh_process(
        "import sys, labelbridge.cli.main, labelbridge.cli.present, labelbridge.cli.waiting, labelbridge.client;"
        "print('\\n'.join(sys.modules))"
    ).splitlines()
    heavy = (
        "workers",
        "workflows",
        "activities",
        "azure.mgmt",
        "azure.ai",
        "labelbridge.local",
        "temporalio.worker",
    )
    assert [m for m in loaded if any(m == h or m.startswith(f"{h}.") for h in heavy)] == []
