"""`--query` chooses what is printed, in each form, and never what is done."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from labelbridge.cli import query
from labelbridge.cli.main import app
from labelbridge.cli.output import OutputFormat, emit, emit_line, show_error
from labelbridge.cli.query import Query, using
from labelbridge.errors import ExitCode, LabelbridgeError

ROWS = [
    {"project": {"name": "tickets"}, "epoch": 4, "connected": True},
    {"project": {"name": "[b]toys"}, "epoch": 0, "connected": False},
]


def printed(
    capsys: pytest.CaptureFixture[str], expression: str, output: OutputFormat, data: object = ROWS
) -> str:
    with using(Query(expression)):
        emit(data, "the whole table", output)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[].project.name", "tickets\n[b]toys\n"),
        ("[0].epoch", "4\n"),
        ("[0].[project.name, epoch]", "tickets\n4\n"),
        ("[].[project.name, epoch]", "tickets\t4\n[b]toys\t0\n"),
        ("[5]", ""),
        ("[?epoch > `9`]", ""),
        ("[0].connected", "true\n"),
    ],
)
def test_plain_values_are_lines_that_a_script_can_read(
    capsys: pytest.CaptureFixture[str], expression: str, expected: str
) -> None:
    assert printed(capsys, expression, OutputFormat.TABLE) == expected


def test_objects_are_columns_in_the_order_of_the_query(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "[].{epoch: epoch, name: project.name}", OutputFormat.TABLE).splitlines()
    assert [line.split() for line in lines] == [["epoch", "name"], ["4", "tickets"], ["0", "[b]toys"]]


def test_the_same_is_found_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    found = [{"n": "tickets"}]
    expression = "[?connected].{n: project.name}"
    assert json.loads(printed(capsys, expression, OutputFormat.JSON)) == found
    assert yaml.safe_load(printed(capsys, expression, OutputFormat.YAML)) == found


def test_yaml_is_the_document_that_json_is(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"text": "ünï: 'x' \n- y", "long": "word " * 60, "none": None, "list": [1, "2", True]}
    emit(document, "", OutputFormat.YAML)
    out = capsys.readouterr().out
    assert yaml.safe_load(out) == document
    assert "ünï" in out
    emit("just a word", "", OutputFormat.YAML)
    assert capsys.readouterr().out == "just a word\n"


def test_a_stream_is_chosen_from_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    for output, read in ((OutputFormat.JSON, json.loads), (OutputFormat.YAML, yaml.safe_load)):
        with using(Query("connected && project.name || null")):
            for row in ROWS:
                emit_line(row, "a line", output)
        assert read(capsys.readouterr().out) == "tickets"
    for row in ROWS:
        emit_line(row, "a line", OutputFormat.YAML)
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == ROWS


def test_an_error_stays_where_scripts_look_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    with using(Query("snapshot.id")):
        show_error(LabelbridgeError("not_connected"), OutputFormat.YAML)
    assert yaml.safe_load(capsys.readouterr().out)["error"]["code"] == "not_connected"


@pytest.mark.parametrize("expression", ["[", "", "nope(@)", "[].{a: b.nope(c)}", "a ||"])
def test_a_query_that_cannot_work_is_refused_before_anything_is_done(expression: str) -> None:
    outcome = CliRunner().invoke(app, ["switch", "tickets", "--to", "azureml", "--query", expression])
    assert outcome.exit_code == ExitCode.USAGE
    assert "--query" in outcome.stderr


def test_a_query_that_fails_on_the_answer_says_that_the_work_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        printed(capsys, "sum([].project.name)", OutputFormat.JSON)
    assert caught.value.code == "input_invalid"
    assert "has done its work" in caught.value.remedy


def test_a_query_is_forgotten_after_its_command(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("document,label,dataset,language\na.txt,x,Train,en\n", encoding="utf-8")
    convert = ["convert", str(rows), str(tmp_path / "out.csv"), "--kind", "single-label"]
    outcome = CliRunner().invoke(app, [*convert, "--query", "totals.written"])
    assert (outcome.exit_code, outcome.stdout) == (0, "1\n"), outcome.stderr
    assert query.chosen() is None


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_honoured_on_a_terminal(environment: dict[str, str], coloured: bool) -> None:
    terminal, side = pty.openpty()
    given = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    code = (
        "from labelbridge.cli.output import show_error, OutputFormat; from labelbridge.errors import LabelbridgeError;"
        "show_error(LabelbridgeError('not_connected'), OutputFormat.TABLE)"
    )
    try:
        subprocess.run(
            [sys.executable, "-c", code],
            stdin=side, stdout=side, stderr=side, check=True, timeout=300, env=given | {"TERM": "xterm"} | environment,
        )  # fmt: skip
        written = os.read(terminal, 65536)
    finally:
        os.close(terminal)
        os.close(side)
    assert (b"\x1b[1;31m" in written or b"31m" in written) is coloured
