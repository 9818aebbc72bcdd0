"""Shells complete commands, values and the names of projects that were listed on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labelbridge.cli import seen
from labelbridge.model import ProjectRef

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/"


def projects(*names: str, account: str = "a") -> list[ProjectRef]:
    return [ProjectRef(language_resource=RESOURCE + account, name=name) for name in names]


def completed(line: str, cache: Path) -> list[str]:
    asked = {
        "_LABELBRIDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "XDG_CACHE_HOME": str(cache),
    }
    command = [sys.executable, "-m", "labelbridge.cli.main"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=300, env=os.environ | asked
    )
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_the_command_itself(shell: str) -> None:
    command = [sys.executable, "-m", "labelbridge.cli.main", "completion", shell]
    script = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    assert f"_LABELBRIDGE_COMPLETE=complete_{shell}" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=300)


def test_commands_values_and_known_projects_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed("labelbridge sw", tmp_path) == ["switch"]
    assert "active=azureml" in completed("labelbridge wait x --for ", tmp_path)
    assert completed("labelbridge switch ti", tmp_path) == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen.remember(projects("tickets", "toys", "tills"))
    assert completed("labelbridge switch ti", tmp_path) == ["tickets", "tills"]


def test_names_are_those_of_the_resource_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(seen.RESOURCE, raising=False)
    seen.remember([*projects("tickets"), *projects("trams", account="b")])
    assert seen.complete("t") == ["tickets", "trams"]
    monkeypatch.setenv(seen.RESOURCE, f"{RESOURCE}B/")
    assert seen.complete("t") == ["trams"]


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": 3}', b"\xff", b"{"])
def test_a_spoiled_cache_completes_nothing_and_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "labelbridge").mkdir()
    (tmp_path / "labelbridge" / "projects.json").write_bytes(content)
    assert seen.complete("t") == []
    seen.remember(projects("tickets"))
    assert seen.complete("t") == ["tickets"]


def test_a_folder_that_cannot_be_written_costs_only_the_completion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labelbridge").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen.remember(projects("tickets"))
    assert seen.complete("") == []
