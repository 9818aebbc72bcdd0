"""`watch` and `wait --for` beside a real project: what a pipeline and a person see while it is worked on."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from labelbridge.errors import ExitCode
from labelbridge.local.seed import DATA_ACCOUNT
from tests.cli.conftest import COMMAND, Run
from tests.cli.test_story import data
from tests.conftest import NewProject


class Stream:
    """A command in the background: its lines as they come, one JSON object each."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    def until(self, **wanted: str) -> dict[str, Any]:
        """The next object with these values; the test's time-out ends a wait in vain."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if all(self.lines[-1].get(name) == value for name, value in wanted.items()):
                return self.lines[-1]
        raise AssertionError(f"it ended before {wanted}")

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.process.stdout.read()
        return self.process.wait(60)


@contextmanager
def background(environment: dict[str, str], *arguments: str) -> Iterator[Stream]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        # Whoever runs the tests in the background may have left us a Ctrl-C that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield Stream(process)
    finally:
        process.kill()
        process.wait()


def test_who_watches_and_who_waits_see_a_sync_through(
    new_project: NewProject, labelbridge: Run, operator: dict[str, str]
) -> None:
    name = new_project().ref.name
    unconnected = labelbridge("wait", name, "--for", "synced", "-o", "json")
    assert data(unconnected, ExitCode.REFUSED)["error"]["code"] == "not_connected"
    data(labelbridge("connect", name, "--job", name, "--confirm", name, "-o", "json"))

    with (
        background(operator, "watch", name, "-o", "json") as one,
        background(operator, "watch", "-o", "json") as fleet,
        background(
            operator, "wait", name, "--for", "synced", "-o", "json", "--query", "[connected]"
        ) as waiting,
    ):
        assert one.until(event="state")["status"]["connected"] is True
        while fleet.until(event="state")["project"]["name"] != name:
            pass
        # A sync that began before the wait's first look does not end it, so there may have to be another.
        data(labelbridge("sync", name, "-o", "json"))
        while waiting.process.poll() is None:
            data(labelbridge("sync", name, "-o", "json"))
        assert waiting.process.returncode == 0
        assert waiting.process.stdout is not None
        assert json.loads(waiting.process.stdout.read()) == [True]

        last = one.until(event="ended")
        assert last["operation"]["kind"] == "sync"
        assert "error" not in last
        steps = [line for line in one.lines if line["event"] == "step"]
        assert {line["step"]["state"] for line in steps} >= {"done"}
        # The fleet is the whole stack's: other tests' projects are seen in between.
        while (seen := fleet.until(event="state"))["project"]["name"] != name or not seen["status"].get(
            "last_sync"
        ):
            pass
        assert (one.interrupt(), fleet.interrupt()) == (0, 0)
    newest = labelbridge("history", name, "--limit", "1", "--since", "1h", "-o", "yaml")
    assert [entry["kind"] for entry in yaml.safe_load(newest.stdout)] == ["sync"]
    assert "--limit 0" in newest.stderr
    report = labelbridge("doctor", name, "--output", "report")
    assert "## Findings for switch" in report.stdout, report.stderr


def test_what_does_not_exist_is_neither_watched_nor_waited_for(labelbridge: Run) -> None:
    for command in (("watch", "nobody"), ("wait", "nobody", "--for", "idle")):
        refused = labelbridge(*command, "-o", "json")
        assert data(refused, ExitCode.REFUSED)["error"]["code"] == "project_unknown"


def test_a_fleet_of_none_is_a_hint_and_no_empty_table(new_project: NewProject, labelbridge: Run) -> None:
    # A container that has no records: that of a project's documents.
    nowhere = {
        "LABELBRIDGE_REGISTRY__ACCOUNT": DATA_ACCOUNT,
        "LABELBRIDGE_REGISTRY__CONTAINER": new_project().container,
    }
    empty = labelbridge("status", **nowhere)
    assert (empty.returncode, empty.stdout) == (0, ""), empty.stderr
    assert "labelbridge connect PROJECT" in empty.stderr
    assert data(labelbridge("status", "-o", "json", **nowhere)) == []
