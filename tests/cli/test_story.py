"""The commands against the real stack: what they print, how they exit, what Ctrl-C does."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from labelbridge.errors import ExitCode
from labelbridge.local.seed import SeededProject
from labelbridge.local.stack import Stack
from tests.cli.conftest import COMMAND, Run
from tests.conftest import NewProject
from tests.operations.rehearsal import Fault


def data(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_project_goes_through_its_life_by_commands_alone(new_project: NewProject, labelbridge: Run) -> None:
    project: SeededProject = new_project()
    name = project.ref.name

    healthy = data(labelbridge("doctor", name, "-o", "json"))
    assert {finding["severity"] for finding in healthy["findings"]} <= {"ok", "warning"}

    connected = labelbridge(
        "connect", name, "--job", name, "--confirm", name, "--vendor", "Fabrikam", "-o", "json"
    )
    assert data(connected)["active"] == "language"
    assert "only recorded" in connected.stderr
    assert ": done" in connected.stderr

    planned = labelbridge("switch", name, "--to", "azureml", "--dry-run", "-o", "json")
    assert [step["name"] for step in data(planned)["steps"]][-1] == "write the audit entry"
    assert data(labelbridge("status", name, "-o", "json"))["epoch"] == data(connected)["epoch"]

    refused = labelbridge("switch", name, "--to", "language", "-o", "json")
    assert data(refused, ExitCode.REFUSED)["error"]["code"] == "already_active"
    assert refused.stderr.splitlines()[0].startswith("already_active: ")

    accepted = labelbridge("switch", name, "--to", "azureml", "--no-wait", "-o", "json", "--key", "k1")
    again = labelbridge("switch", name, "--to", "azureml", "--no-wait", "-o", "json", "--key", "k1")
    operation = data(accepted)["operation_id"]
    assert data(again)["operation_id"] == operation
    assert data(labelbridge("wait", name, operation, "-o", "json"))["active"] == "azureml"

    undecided = labelbridge("disconnect", name, "--confirm", name, "-o", "json")
    assert data(undecided, ExitCode.REFUSED)["error"]["code"] == "labels_undecided"
    ended = data(labelbridge("disconnect", name, "--sync", "--confirm", name, "-o", "json"))
    assert ended["active"] == "language"

    entries = data(labelbridge("history", name, "-o", "json"))
    assert [entry["kind"] for entry in entries] == ["connect", "switch", "disconnect"]
    assert data(labelbridge("status", name, "-o", "json"))["connected"] is False
    for command, expected in ((["status", name], name), (["history", name], "committed"), (["status"], name)):
        shown = labelbridge(*command)
        assert shown.returncode == 0
        assert expected in shown.stdout


def test_a_dry_run_with_errors_exits_with_8_and_a_refused_one_with_3(
    new_project: NewProject, labelbridge: Run
) -> None:
    name = new_project().ref.name
    unknown = labelbridge("doctor", "nobody", "-o", "json")
    assert "project_unknown" in {f["code"] for f in data(unknown, ExitCode.FINDINGS)["findings"]}
    refused = data(labelbridge("sync", name, "--dry-run", "-o", "json"), ExitCode.REFUSED)
    assert refused["refusal"]["code"] == "not_connected"


def test_ctrl_c_ends_only_the_waiting(
    new_project: NewProject, labelbridge: Run, operator: dict[str, str]
) -> None:
    name = new_project().ref.name
    process = subprocess.Popen(
        [*COMMAND, "connect", name, "--job", name, "--confirm", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=operator,
        # Whoever runs the tests in the background may have left us a Ctrl-C that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stderr is not None
        operation = next(line.split()[-1].rstrip(".") for line in process.stderr if "is operation" in line)
        next(line for line in process.stderr if ": running" in line)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=300)[1]
    finally:
        process.kill()
    assert process.returncode == ExitCode.STILL_RUNNING, rest
    assert "only the waiting ended" in rest
    assert data(labelbridge("wait", name, operation, "-o", "json"))["kind"] == "connect"


def test_a_timeout_ends_only_the_waiting_and_cancel_undoes(
    stack: Stack, new_project: NewProject, labelbridge: Run
) -> None:
    name = new_project().ref.name
    connect = ("connect", name, "--job", name, "--confirm", name, "--timeout", "1s", "-o", "json")
    # However slow the commands start, the labels do not come to rest before the cancellation.
    with Fault(stack, f"/projects/{name}/export/jobs/", "hang", method="GET"):
        error = data(labelbridge(*connect), ExitCode.STILL_RUNNING)["error"]
        assert error["code"] == "wait_timeout"
        running = data(labelbridge("cancel", name, "-o", "json"))
    ended = labelbridge("wait", name, running["operation_id"], "-o", "json")
    assert data(ended, ExitCode.CANCELLED)["error"]["code"] == "cancelled"


def test_a_model_is_trained_by_a_command(new_project: NewProject, labelbridge: Run) -> None:
    name = new_project().ref.name
    planned = labelbridge("train", name, "--model", "m1", "--labels", "as-is", "--dry-run", "-o", "json")
    assert data(planned)["steps"][0]["number"] == 1
    trained = data(labelbridge("train", name, "--model", "m1", "--deploy", "live", "-o", "json"))
    assert (trained["model"]["label"], trained["model"]["deployment"]) == ("m1", "live")
    bad = labelbridge("train", name, "--model", "no spaces please", "-o", "json")
    assert data(bad, ExitCode.USAGE)["error"]["code"] == "input_invalid"


def test_a_dry_run_of_an_import_uploads_nothing(tmp_path: Path, labelbridge: Run) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text("{}\n", encoding="utf-8")
    where = ("--account", "nowhere", "--container", "documents", "--kind", "entities", "--language", "en-us")
    planned = labelbridge("import", "brand-new", "--file", str(file), *where, "--dry-run", "-o", "json")
    found = data(planned, ExitCode.FINDINGS)
    assert found["steps"][0]["name"] == "check roles, links and labels"
    assert "not uploaded" in planned.stderr
