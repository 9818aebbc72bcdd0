"""The report for a ticket holds what is asked first in each ticket, and no secret."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from labelbridge.cli.looking import since
from labelbridge.cli.main import app
from labelbridge.cli.report import HIDDEN, Seen, flat, page
from labelbridge.errors import ExitCode
from labelbridge.model import Finding, Preflight, Severity
from labelbridge.settings import Settings
from tests.cli.test_conditions import status

SECRETS = (
    "s3cret-session-key-of-forty-characters!!",
    "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNA==",
    "hunter2",
)


def test_settings_are_shown_and_secrets_are_named_only() -> None:
    settings = Settings.model_validate(
        {
            "language_resource": None,
            "log_level": "debug",
            "console": {"session_key": SECRETS[0], "client_secret": SECRETS[2], "port": 9},
            "events": {"webhooks": {"crm": {"url": "https://x/?k=hunter2", "secrets": [SECRETS[1]]}}},
        }
    )
    found = dict(flat(settings.model_dump(mode="json", exclude_unset=True)))
    assert found["log_level"] == "debug"
    assert found["console.port"] == "9"
    assert found["console.session_key"] == found["events.webhooks.crm.secrets"] == HIDDEN
    assert found["events.webhooks.crm.url"] == f"https://x/ {HIDDEN}"
    text = "\n".join(page("tickets", settings, Seen()))
    assert not [secret for secret in SECRETS if secret in text]
    assert "| console.port | 9 |" in text


@pytest.mark.parametrize("name", ["api_token", "sas", "account_key", "db_password", "connection_string"])
def test_what_could_be_a_secret_by_its_name_is_not_printed(name: str) -> None:
    assert dict(flat({"a": {name: "x"}})) == {f"a.{name}": HIDDEN}


def test_findings_and_status_come_with_the_commands_that_mend() -> None:
    seen = Seen()
    seen.status, seen.looked_for = status(), "switch"
    seen.preflight = Preflight(
        findings=(
            Finding(
                code="role_missing", severity=Severity.ERROR, message="a | b\nc", command="az role create"
            ),
        )
    )
    text = "\n".join(page("tickets", None, seen))
    assert r"| error | role_missing | a \| b c |" in text
    assert "```sh\naz role create\n```" in text
    assert "| State | Language Studio labels |" in text
    assert re.search(r"\| labelbridge \| \d", text)


def test_a_report_is_made_also_if_nothing_answers(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELBRIDGE_TEMPORAL__ADDRESS", f"127.0.0.1:{free_port}")
    monkeypatch.setenv("LABELBRIDGE_TEMPORAL__CONNECT_TIMEOUT", "PT0.2S")
    outcome = CliRunner().invoke(app, ["doctor", "tickets", "--output", "report"])
    assert outcome.exit_code == ExitCode.UNREACHABLE
    assert "**temporal_unreachable**" in outcome.stdout
    assert f"| temporal.address | 127.0.0.1:{free_port} |" in outcome.stdout
    assert "## Versions" in outcome.stdout
    monkeypatch.setenv("LABELBRIDGE_TIMING__DRAIN", "PT1S")
    outcome = CliRunner().invoke(app, ["doctor", "tickets", "--output", "report"])
    assert outcome.exit_code == ExitCode.USAGE
    assert "timing.drain" in outcome.stdout


def test_a_time_is_read_as_people_write_it() -> None:
    assert since("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    assert since("2026-03-01T12:00+02:00") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    before = datetime.now(UTC)
    assert before <= since("7d") + timedelta(days=7) <= datetime.now(UTC)
    for text in ("yesterday", "-3d", "999999999999d"):
        outcome = CliRunner().invoke(app, ["history", "tickets", "--since", text])
        assert outcome.exit_code == ExitCode.USAGE
