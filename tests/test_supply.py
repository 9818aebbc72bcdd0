"""What the product is made of: every dependency pinned, none that is not used, licences that may be shipped."""

import importlib.metadata
import os
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETUP["project"]
BUILD: list[str] = SETUP["build-system"]["requires"]
"""What builds a wheel; it stands in an environment of its own while it does."""
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
ELSEWHERE = {"airflow", "bench"}
"""Extras that have environments of their own: Airflow has constraints of its own, benchmarks none beyond ours."""
NOT_SHIPPED = {"dev", "deploy", *ELSEWHERE}
FREE = (
    r"(the )?(mit|mit no attribution|mit-0|apache[- ](software )?(license[ ,]*)?(version )?2\.0|apache software license"
    r"|apache 2\.0|apache-2\.0|(3-clause )?bsd( license|-2-clause|-3-clause|-0-clause)?|bsd[- ]3[- ]clause( license)?"
    r"|isc( license)?( \(iscl\))?|psf-2\.0|python software foundation license|unlicense|zlib|0bsd|cc0-1\.0"
    r"|mpl-2\.0|mozilla public license 2\.0( \(mpl 2\.0\))?)( license)?"
)
"""Permissive licences, and the Mozilla licence (certifi's list of authorities), which asks only for its own files."""
LINES = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
PINS = {
    canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES if line)
}


def requirements(*extras: str) -> list[str]:
    """The project's own, with those of some extras; an extra may name others of the project's."""
    found: list[str] = [*PROJECT["dependencies"]]
    for text in (one for extra in extras for one in EXTRAS[extra]):
        named = Requirement(text)
        inner = sorted(named.extras) if named.name == PROJECT["name"] else []
        found += requirements(*inner) if inner else [text]
    return found


class MissingError(Exception):
    """A package of an extra is not installed here, so it cannot be told what it needs."""


def closure(wanted: Iterable[str]) -> set[str]:
    """All packages that these requirements bring here, by what the installed ones say of themselves."""
    todo, seen = [Requirement(one) for one in wanted], set[tuple[str, frozenset[str]]]()
    while todo:
        one = todo.pop()
        key = canonicalize_name(one.name), frozenset(one.extras)
        if key in seen or not (one.marker is None or one.marker.evaluate({"extra": ""})):
            continue
        seen.add(key)
        try:
            needs = importlib.metadata.distribution(one.name).requires or []
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingError(one.name) from error
        todo += _applying((Requirement(need) for need in needs), one.extras)
    return {name for name, _ in seen}


def _applying(needs: Iterable[Requirement], extras: Iterable[str]) -> Iterator[Requirement]:
    for need in needs:
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            need.marker = None
            yield need


def installed(wanted: Iterable[str]) -> set[str]:
    """`closure`, or a skip where `make` did not install everything; in CI it did."""
    try:
        return closure(wanted)
    except MissingError as error:
        if os.environ.get("LABELBRIDGE_CI"):
            raise
        pytest.skip(f"{error} is not installed here: `make setup deploy-tools`")


def test_every_pin_is_exact() -> None:
    assert [
        line for line in LINES if line and not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)
    ] == []


def test_every_direct_dependency_is_pinned_within_what_is_asked_for() -> None:
    for text in (*requirements(*(EXTRAS.keys() - ELSEWHERE)), *BUILD):
        one = Requirement(text)
        version = PINS.get(canonicalize_name(one.name))
        assert version is not None, f"{one.name} is not pinned"
        assert one.specifier.contains(version, prereleases=True), f"{one} but pinned {version}"


def test_what_is_installed_is_what_is_pinned_and_no_pin_is_unused() -> None:
    found = installed(requirements(*(EXTRAS.keys() - ELSEWHERE)))
    assert found - PINS.keys() == set(), "not pinned"
    builds = {canonicalize_name(Requirement(text).name) for text in BUILD}
    assert PINS.keys() - found - builds == set(), "pinned and not used"
    assert {n: importlib.metadata.version(n) for n in found} == {n: v for n, v in PINS.items() if n in found}


def licences(name: str) -> list[str]:
    """What a package says of its licence: the expression, else its field and its classifiers."""
    told = importlib.metadata.metadata(name)
    if expression := (told.get_all("License-Expression") or [""])[0]:
        return [expression]
    classified = [
        one.split("::")[-1].strip() for one in told.get_all("Classifier") or () if one.startswith("License")
    ]
    short = (told.get_all("License") or [""])[0].strip()
    return classified or ([short] if short and "\n" not in short else [])


def allowed(texts: Iterable[str]) -> bool:
    """True if one of the alternatives that are offered is free, and with it all that it is joined with."""
    parts = [re.split(r"\s+OR\s+", text, flags=re.IGNORECASE) for text in texts]
    return any(
        all(
            re.fullmatch(FREE, re.sub(r"^\((.*)\)$", r"\1", one.strip()), re.IGNORECASE)
            for one in re.split(r"\s+AND\s+", choice)
        )
        for choices in parts
        for choice in choices
    )


def test_what_is_shipped_has_a_licence_that_lets_us() -> None:
    shipped = installed(requirements(*(EXTRAS.keys() - NOT_SHIPPED)))
    assert len(shipped) > 50
    assert {name: licences(name) for name in sorted(shipped) if not allowed(licences(name))} == {}


@pytest.mark.parametrize(
    ("texts", "free"),
    [
        (["Apache-2.0 AND MIT"], True),
        (["GPL-3.0-only OR MIT"], True),
        (["GPL-3.0-only AND MIT"], False),
        (["AGPL-3.0"], False),
        (["GNU Lesser General Public License v3 (LGPLv3)"], False),
        ([], False),
    ],
)
def test_licences_are_told_apart(texts: list[str], free: bool) -> None:
    assert allowed(texts) is free


def committed() -> list[Path]:
    """Every file that git knows, or a skip outside a checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


OF_A_MACHINE = re.compile(
    r"(pypi|pythonhosted|registry\.npmjs)\.(org|com)"
    r"|(?<![\w./-])/(root|home/[a-z][a-z0-9_-]*|work|Users/[a-z]+)/[\w.]"
    r"|_authToken|PIP_INDEX_URL|--(extra-)?index-url"
)


def test_no_committed_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}"
        for path in committed()
        if path != Path(__file__)  # it says what to look for
        for number, line in enumerate(path.read_bytes().decode("utf-8", "ignore").splitlines(), 1)
        if OF_A_MACHINE.search(line)
    }
    assert found == set()


# Put together here, so that this file holds neither.
@pytest.mark.parametrize(
    "planted", [f"/{'root'}/.cache/x", f"see https://{'pypi'}.org/simple", f"cd /{'work'}/x"]
)
def test_a_planted_path_is_found(planted: str) -> None:
    assert OF_A_MACHINE.search(planted)
