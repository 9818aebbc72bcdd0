"""The audit says "clean" only for what an advisory database has judged. (That asks it: `make audit`.)"""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "deploy" / "audit" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


class Tools:
    """Stands for pip-audit and npm, which answer as recorded."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __call__(self, command: Sequence[str], _: Path) -> str:
        answer = self.answers["npm" if "audit" in command else command[-1]]
        return answer if isinstance(answer, str) else json.dumps(answer)


def pip(*, skipped: bool = False, vulns: Sequence[str] = ()) -> dict[str, Any]:
    """What pip-audit 2.10 prints with `-f json`: for a package it could not judge, a `skip_reason` and no more."""
    if skipped:
        rows: list[dict[str, Any]] = [
            {"name": n, "skip_reason": f"Dependency not found on PyPI and could not be audited: {n}"}
            for n in ("a", "b")
        ]
    else:
        rows = [
            {"name": "a", "version": "1", "vulns": [{"id": one} for one in vulns]},
            {"name": "b", "version": "2", "vulns": []},
        ]
    return {"dependencies": rows, "fixes": []}


def npm(**vulnerabilities: str) -> dict[str, Any]:
    return {
        "vulnerabilities": {name: {"severity": severity} for name, severity in vulnerabilities.items()},
        "metadata": {"dependencies": {"total": 7}},
    }


REFUSED = {"message": "405 Method Not Allowed - POST https://registry.example/advisories/bulk", "error": {}}


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({"pypi": pip(), "npm": npm()}, 0, "nothing is known against any of its 2 packages"),
        ({"pypi": pip(vulns=["CVE-1"]), "npm": npm()}, 1, "a 1: CVE-1"),
        ({"pypi": pip(), "npm": npm(left="high")}, 1, "left: high"),
        # pip-audit exits 0 here and says "No known vulnerabilities found".
        ({"pypi": pip(skipped=True), "osv": "Traceback ...", "npm": npm()}, 3, "NOT JUDGED, 2 of 2 packages"),
        ({"pypi": pip(skipped=True), "osv": pip(), "npm": npm()}, 0, "its 2 packages"),
        ({"pypi": "", "osv": "", "npm": npm()}, 3, "no advisory database answered"),
        ({"pypi": pip(), "npm": REFUSED}, 3, "405 Method Not Allowed"),
        ({"pypi": pip(), "npm": ""}, 3, "no advisory database answered"),
        ({"pypi": pip(vulns=["CVE-1"]), "npm": REFUSED}, 1, "NOT JUDGED"),
        ({"pypi": {"dependencies": []}, "osv": "", "npm": npm()}, 3, "NOT JUDGED"),
    ],
)
def test_a_verdict_is_clean_only_if_everything_was_judged(
    audit: ModuleType,
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, Any],
    code: int,
    said: str,
) -> None:
    arguments = ["pip-audit", "constraints.txt", "node", "npm-cli.js", "deploy/console"]
    assert audit.main(arguments, Tools(**answers)) == code
    told = capsys.readouterr().out
    assert said in told
    assert ("NOT JUDGED" in told) is (code == 3 or answers["npm"] is REFUSED)
    assert "registry.example" not in told


def test_a_tool_that_is_not_there_judges_nothing(audit: ModuleType, tmp_path: Path) -> None:
    arguments = [
        str(tmp_path / "pip-audit"),
        "constraints.txt",
        str(tmp_path / "node"),
        "cli.js",
        str(tmp_path),
    ]
    assert audit.main(arguments) == 3
