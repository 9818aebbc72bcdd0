"""Environments to try an installation in, and the distributions that are put into them.

Prevents a test that passes because of what the developer's environment has beside: a clean room holds the wheel,
what its requirements name, what those name in turn, and nothing else.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
VENDOR = Path("labelbridge/console/static/vendor")
SOURCE_DIRECTORIES = ("labelbridge", "workflows", "activities", "workers")
_BARE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


@dataclass(frozen=True)
class Room:
    """A virtual environment outside of the checkout."""

    directory: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs with a bare environment, in its own folder."""
        return subprocess.run(
            [str(self.directory / "bin" / words[0]), *words[1:]],
            cwd=self.directory,
            env={**_BARE, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def python_says(self, code: str) -> str:
        """What a program prints that must succeed."""
        done = self.run("python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def source_files() -> set[Path]:
    """What git holds or would hold, and the console's script, which `make setup` puts beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    files = {Path(name) for name in listed if name and (ROOT / name).is_file()}
    return files | {VENDOR / name for name in ("htmx.js", "LICENSE")}


def copy_sources(target: Path) -> Path:
    """The checkout without what was built or installed in it; building leaves files behind."""
    for file in source_files():
        (target / file.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, target / file)
    return target


def build(sources: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build as `make dist` does: the wheel from the source distribution, both with pinned tools."""
    return subprocess.run(
        [sys.executable, "-m", "build", *options, "--outdir", str(output), str(sources)],
        env={**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def clean_room(directory: Path, wheel: Path, extras: Iterable[str] = ()) -> Room:
    """The wheel with its requirements, which are taken from this process's environment."""
    venv.create(directory, with_pip=False, symlinks=True)
    room = Room(directory)
    (packages,) = directory.glob("lib/python*/site-packages")
    _pip("--python", str(room.python), "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    (info,) = packages.glob("labelbridge-*.dist-info")
    for name in _closure(metadata.PathDistribution(info), frozenset(extras), set()):
        _lend(metadata.distribution(name), packages)
    return room


def installed(directory: Path, what: str) -> Room:
    """A fresh environment into which pip itself has installed `what` from the package registry."""
    venv.create(directory, with_pip=True, symlinks=True)
    room = Room(directory)
    done = room.run(
        "python", "-m", "pip", "install", "--no-compile", "--disable-pip-version-check", "-c", str(CONSTRAINTS), what
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return room


def _pip(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _closure(
    found: metadata.Distribution, extras: frozenset[str], seen: set[tuple[str, str]]
) -> Iterator[str]:
    """Names of all distributions that `found` with these extras needs here; each may come more than once."""
    for line in found.requires or ():
        wanted = Requirement(line)
        for extra in ("", *extras):
            if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(wanted.name)
            key = (name, ",".join(sorted(wanted.extras)))
            if key in seen:
                continue
            seen.add(key)
            if name == canonicalize_name(found.metadata["Name"]):
                yield from _closure(found, frozenset(wanted.extras), seen)
                continue
            yield name
            yield from _closure(metadata.distribution(name), frozenset(wanted.extras), seen)


def _lend(found: metadata.Distribution, packages: Path) -> None:
    """Link its packages whole, so that their compiled modules come along; what is in no package, file by file."""
    root = Path(str(found.locate_file("")))
    for file in found.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        folders = [Path(*file.parts[:depth]) for depth in range(1, len(file.parts))]
        whole = next((folder for folder in folders if (root / folder / "__init__.py").exists()), Path(file))
        target = packages / whole
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(root / whole)
