"""`--help` is quick and shows how each command is used."""

import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from labelbridge.cli.examples import EXAMPLES
from labelbridge.cli.main import app

LIGHT = {
    "typer",
    "annotated_doc",
    "shellingham",
    "rich",
    "markdown_it",
    "mdurl",
    "pygments",
    "attr",
    "labelbridge",
}
"""What Typer and Rich bring, and we. Measured: under 130 ms of processor time, pydantic alone adds 80."""
SHELL_WORDS = {"|", "&&", ">"}


def paths() -> Iterator[tuple[str, ...]]:
    """Every command, e.g. ("events", "tail")."""
    root = typer.main.get_command(app)
    for name, command in vars(root)["commands"].items():
        inner = vars(command).get("commands")
        yield from ((name, other) for other in inner) if inner else ((name,),)


@pytest.mark.parametrize("arguments", [(), ("switch",), ("events", "tail"), ("wait",), ("snapshots",)])
def test_help_loads_the_terminals_libraries_and_nothing_else(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from labelbridge.cli.main import app\n"
        f"try: app({[*arguments, '--help']!r}, prog_name='labelbridge')\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert "Usage" in done.stdout
    modules = done.stderr.split()
    standard = set(sys.stdlib_module_names) | {"__main__"}
    loaded = {name.split(".")[0] for name in modules} - standard
    assert {one for one in loaded if not one.startswith(("_", "sitecustomize"))} <= LIGHT
    assert "asyncio" not in modules


def test_each_command_has_examples_and_each_example_a_command() -> None:
    assert {" ".join(path) for path in paths()} == set(EXAMPLES)
    for path in paths():
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300"}).stdout
        for example in EXAMPLES[" ".join(path)]:
            assert f"$ {example}" in shown


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_can_be_parsed(path: str) -> None:
    for example in EXAMPLES[path]:
        words = shlex.split(example.split("labelbridge ", 1)[1].rstrip(")"))
        end = next((at for at, word in enumerate(words) if word in SHELL_WORDS), len(words))
        assert words[: len(path.split())] == path.split()
        command, arguments = typer.main.get_command(app), words[:end]
        for name in path.split():
            command, arguments = vars(command)["commands"][name], arguments[1:]
        if "--instructions-file" in arguments or path == "import":
            arguments[arguments.index("--file") + 1] = __file__  # must exist
        command.make_context(path, arguments)


def test_every_command_that_prints_data_takes_query_and_yaml() -> None:
    for path in paths():
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).stdout
        assert ("--output" in shown) is ("--query" in shown)
        if "--output" in shown:
            assert "|yaml" in shown
