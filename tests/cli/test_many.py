"""`list`, `switch --all` and `fleet`: what goes together, what must be confirmed, and how an act exits."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelbridge import names
from labelbridge.cli.main import app
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.cli.conftest import Run
from tests.conftest import NewProject


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["switch", "--to", "azureml"], "Name one project, or say --all."),
        (["switch", "tickets", "--all", "--to", "azureml"], "Name one project, or say --all."),
        (["sync", "tickets", "--where", "name=x"], "go with --all"),
        (["sync", "--all", "--language-resource", "/x"], "--where 'resource=NAME'"),
    ],
)
def test_one_project_and_many_are_never_mixed(arguments: Sequence[str], says: str) -> None:
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 2
    assert says in shown.stderr


def test_administrators_are_told_every_search_attribute() -> None:
    text = Path("docs/deploy.md").read_text()
    assert [name for name in names.SEARCH_ATTRIBUTES if f"`{name}`" not in text] == []


@pytest.fixture
def pair(stack: Stack, new_project: NewProject, labelbridge: Run) -> list[str]:
    """Names of two projects that are connected."""
    made = [new_project(ProjectKind.SINGLE_LABEL, documents=3, labelled=2).ref.name for _ in range(2)]

    def connect(name: str) -> None:
        done = labelbridge("connect", name, "--job", f"job-{name}", "--confirm", name)
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as both:
        list(both.map(connect, made))
    return sorted(made)


def test_many_are_listed_rehearsed_counted_switched_and_reported(pair: list[str], labelbridge: Run) -> None:
    where = f"name in ({', '.join(pair)}) and active=language"
    lines = listed(labelbridge, where, 2)
    assert [line["name"] for line in lines] == pair
    assert {(line["kind"], line["state"], line["epoch"]) for line in lines} == {
        ("single-label", "language", 0)
    }

    many = ("switch", "--all", "--where", where, "--to", "azureml")
    rehearsed = labelbridge(*many, "--dry-run", "-o", "json")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert [one["outcome"] for one in json.loads(rehearsed.stdout)] == [None, None]
    unconfirmed = labelbridge(*many)
    assert (unconfirmed.returncode, unconfirmed.stdout) == (2, "")
    assert "--confirm 2" in unconfirmed.stderr
    assert labelbridge(*many, "--confirm", "3").returncode == 2
    assert len(listed(labelbridge, where, 2)) == 2, "a refused act, or a dry run, changed something"

    key = f"wave-{pair[0]}"
    done = labelbridge(*many, "--confirm", "2", "--key", key, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert f"{key}: 2 of 2 done (2 committed)" in done.stderr
    report = json.loads(done.stdout)
    assert sorted(row["project"]["name"] for row in report["rows"]) == pair
    assert all(row["epoch"] == 1 and row["labels_disabled_seconds"] > 0 for row in report["rows"])

    again = labelbridge(*many, "--key", key, "-o", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == report
    shown = labelbridge("fleet", "report", key, "--query", "rows[].outcome")
    assert (shown.returncode, shown.stdout.split()) == (0, ["committed", "committed"])
    unknown = labelbridge("fleet", "report", "no-such-act")
    assert unknown.returncode == 3
    assert "fleet_unknown" in unknown.stderr


def listed(labelbridge: Run, where: str, count: int) -> list[dict[str, object]]:
    """The projects that match, once lists show so many: they are a second late."""
    end = time.monotonic() + 30
    while True:
        done = labelbridge("list", "--where", where, "-o", "json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, object]] = json.loads(done.stdout)
        if len(found) == count or time.monotonic() > end:
            return found
        time.sleep(0.2)
