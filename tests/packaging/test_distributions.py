"""What is built can be installed: the files it holds, what the base does alone, what each extra adds."""

import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from tests.packaging import rooms
from tests.packaging.rooms import Room

IMPORT_ALL = """
import importlib, importlib.util, pkgutil
for top in ("labelbridge", "workflows", "activities", "workers"):
    where = importlib.util.find_spec(top).submodule_search_locations
    for found in pkgutil.walk_packages(where, f"{top}.", lambda name: None):
        if not found.name.startswith("labelbridge.airflow."):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                print(found.name)
"""
"""Imports every module but Airflow's; prints those that lack something."""
SERVED = """
import asyncio
from labelbridge.console.app import create_app
from labelbridge.settings import Settings
given = {"base_url": "https://c", "issuer": "https://i", "client_id": "c", "session_key": "x" * 40}
app = create_app(Settings(console=given))
async def get(path):
    sent = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]
    async def receive():
        return body.pop() if body else await asyncio.Event().wait()
    async def send(message):
        sent.append(message)
    await app({
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(b"host", b"c")], "server": ("c", 443), "client": ("127.0.0.1", 1),
    }, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)
for name in ("vendor/htmx.js", "console.js", "console.css"):
    status, body = asyncio.run(get(f"/static/{name}"))
    print(name, status, len(body) > 1000)
"""
"""Asks the console of an installation for what its pages load."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rooms.copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def dist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("dist")
    done = rooms.build(sources, output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return rooms.clean_room(tmp_path_factory.mktemp("base"), wheel)


def test_the_wheel_holds_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    held = {name for name in names if ".dist-info/" not in name}
    wanted = {str(f) for f in rooms.source_files() if f.parts[0] in rooms.SOURCE_DIRECTORIES}
    wanted |= {f"labelbridge/local/azurite_npm/{name}" for name in ("package.json", "package-lock.json")}
    assert held == wanted
    assert {f"{package}/py.typed" for package in rooms.SOURCE_DIRECTORIES} <= held
    assert {name.split(".dist-info/")[1] for name in names - held} >= {"METADATA", "licenses/LICENSE"}


def test_the_source_distribution_builds_that_wheel_and_holds_no_tests(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "constraints.txt", "setup.py", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]


def test_the_metadata_names_each_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [n for n in opened.namelist() if n.endswith(".dist-info/METADATA")]
        found = Metadata.from_email(opened.read(name))
        (name,) = [n for n in opened.namelist() if n.endswith(".dist-info/entry_points.txt")]
        assert b"labelbridge = labelbridge.cli.start:run" in opened.read(name)
    assert {"worker", "console", "local", "airflow"} <= set(found.provides_extra or ())
    assert found.license_expression == "MIT"
    assert str(found.requires_python) == ">=3.11"
    assert "Labelbridge" in (found.description or "")


@pytest.mark.long
def test_a_wheel_without_the_consoles_script_is_not_built(sources: Path, tmp_path: Path) -> None:
    script = sources / rooms.VENDOR / "htmx.js"
    aside = script.rename(tmp_path / "aside.js")
    try:
        done = rooms.build(sources, tmp_path / "dist", "--wheel")
    finally:
        aside.rename(script)
    assert done.returncode != 0
    assert "make dist" in done.stdout + done.stderr
    assert not list(tmp_path.glob("dist/*"))


def test_the_base_alone_is_client_and_command_line(base: Room) -> None:
    version = base.run("labelbridge", "--version")
    assert (version.returncode, version.stdout) == (0, "labelbridge 0.1.0\n")
    assert "Usage" in base.run("labelbridge", "--help").stdout
    sample = base.python_says("from labelbridge.samples import CLINIC; print(CLINIC)")
    done = base.run(
        "labelbridge", "convert", f"{sample}/labels.json", "rows.jsonl", "--documents", sample
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (base.directory / "rows.jsonl").read_text().count("visit") == 7
    assert base.python_says("from labelbridge.client import Labelbridge; print(Labelbridge.__name__)")
    refused = base.run("labelbridge", "status", "tickets", LABELBRIDGE_TEMPORAL__ADDRESS="127.0.0.1:1")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (7, "temporal_unreachable")


@pytest.mark.parametrize(
    ("command", "extra"), [("worker", "worker"), ("console", "console"), ("dev", "local")]
)
def test_a_command_without_its_extra_says_what_to_install(base: Room, command: str, extra: str) -> None:
    done = base.run("labelbridge", command)
    assert done.returncode == 2
    assert done.stderr.startswith("extra_missing: ")
    assert f"pip install 'labelbridge[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_without_extras_only_what_they_are_for_cannot_be_imported(base: Room) -> None:
    lacking = base.python_says(IMPORT_ALL).split()
    parts = ("codec_server", "console", "local", "telemetry")
    ours = ("activities", "workers", *(f"labelbridge.{part}" for part in parts))
    assert {name for name in lacking if not name.startswith(ours)} == {
        "labelbridge.azure.assignments",
        "labelbridge.azure.event_grid",
    }


def test_with_the_extra_local_everything_can_be_imported_and_the_console_serves_its_script(
    wheel: Path, tmp_path: Path
) -> None:
    room = rooms.clean_room(tmp_path, wheel, ["local"])
    assert room.python_says(IMPORT_ALL + SERVED).splitlines() == [
        "vendor/htmx.js 200 True",
        "console.js 200 True",
        "console.css 200 True",
    ]


@pytest.mark.parametrize("extras", [["worker"], ["console"]], ids=lambda extras: str(extras[0]))
def test_worker_and_console_need_no_other_extra(wheel: Path, tmp_path: Path, extras: list[str]) -> None:
    room = rooms.clean_room(tmp_path, wheel, extras)
    done = room.run("labelbridge", extras[0], LABELBRIDGE_TEMPORAL__ADDRESS="127.0.0.1:1")
    assert done.returncode in {2, 7}, done.stderr
    assert done.stderr.split(":")[0] in {"settings_invalid", "temporal_unreachable"}, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_pip_installs_it_from_nothing_and_the_installation_rehearses(
    dist: Path, tmp_path: Path, kind: str
) -> None:
    (file,) = dist.glob(kind)
    room = rooms.installed(tmp_path, f"{file}[local]")
    assert room.python_says(IMPORT_ALL) == ""
    with _rehearsal(room) as env:  # npm fetches Azurite by the lock file in the installation
        done = room.run("/bin/sh", "-c", f"set -a; . {env}; bin/labelbridge status clinic --output json")
    assert done.returncode == 0, done.stderr
    assert '"clinic"' in done.stdout


@pytest.mark.long
def test_pip_installs_the_base_from_nothing(wheel: Path, tmp_path: Path) -> None:
    room = rooms.installed(tmp_path, str(wheel))
    assert room.run("labelbridge", "--version").stdout == "labelbridge 0.1.0\n"
    assert "pip install 'labelbridge[worker]'" in room.run("labelbridge", "worker").stderr


@contextmanager
def _rehearsal(room: Room) -> Iterator[Path]:
    """`labelbridge dev` of an installation while the block runs; its file of variables."""
    command = [str(room.directory / "bin" / "labelbridge"), "dev", "--no-ui", "--directory", "state"]
    process = subprocess.Popen(command, cwd=room.directory, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = list(takewhile(lambda line: "Ctrl-C ends everything" not in line, process.stderr))
        assert process.poll() is None, said
        yield room.directory / "state" / "operator.env"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
