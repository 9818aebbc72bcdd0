"""The Containerfile: read by hadolint, and held against the tree that it copies from."""

import re
import tomllib

import yaml

from labelbridge.cli.main import app
from tests.deploy import tools
from tests.deploy.tools import DEPLOY, ROOT

FILE = DEPLOY / "Containerfile"
TEXT = FILE.read_text()


def test_hadolint_has_nothing_to_say() -> None:
    done = tools.run("hadolint", ["--failure-threshold", "style", str(FILE)])
    assert done.returncode == 0, done.stdout


def test_everything_that_is_copied_exists_and_is_let_through() -> None:
    ignore = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE):
        copied.update(source.rstrip("/") for source in line.split()[:-1])
    assert all((ROOT / source).exists() for source in copied)
    assert copied == let_through


def test_every_package_and_extra_that_is_installed_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = set(re.search(r"ARG EXTRAS=(\S+)", TEXT)[1].split(","))  # type: ignore[index]
    extras |= set(re.search(r'"\.\[([a-z,]+)\]"', TEXT)[1].split(","))  # type: ignore[index]
    assert extras <= set(project["project"]["optional-dependencies"])
    found = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert all(f"COPY {package.rstrip('*')}/ {package.rstrip('*')}/" in TEXT for package in found)


def test_the_console_gets_the_script_that_the_makefile_makes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in ("htmx.min.js", "ext/hx-sse.min.js"):
        assert f"dist/{name}" in makefile
        assert f"dist/{name}" in TEXT


def test_the_commands_that_containers_run_exist() -> None:
    names = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    assert {"worker", "console"} <= names


def test_package_chart_and_image_carry_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((DEPLOY / "helm" / "labelbridge" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    for file in ("deploy/Containerfile", "deploy/compose/compose.yaml", "docs/deploy.md"):
        assert set(re.findall(r"labelbridge:(?:-labelbridge:)?(\d[\w.]*)", (ROOT / file).read_text())) == {
            version
        }


def test_the_image_holds_what_worker_and_console_need() -> None:
    extras = re.search(r"ARG EXTRAS=(\S+)", TEXT)[1].split(",")  # type: ignore[index]
    assert set(extras) == {"worker", "console"}
    assert '".[local]"' in TEXT  # and the rehearsal all of it
