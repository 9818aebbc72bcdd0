"""`make demo` as a stranger runs it, and `labelbridge dev`."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labelbridge.local.demo import main

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("LABELBRIDGE_", "TEMPORAL_", "IDENTITY_"))}


def test_the_demo_tells_the_whole_story_verifies_it_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labelbridge.local.demo", "--directory", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        env=CLEAN,
        cwd=tmp_path,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything was verified." in done.stdout
    assert "✗" not in done.stdout
    for said in (
        "Switch labeling to Azure ML",
        "Sync",
        "Train",
        "Switch labeling back",
        "Disconnect",
        "Summary",
    ):
        assert said in done.stdout
    assert _processes_of(tmp_path) == []


def test_the_demo_refuses_a_folder_without_a_labels_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(tmp_path), "--directory", str(tmp_path / "state")])
    assert ended.value.code == 2
    assert "exactly one labels file" in capsys.readouterr().err


def test_the_demo_never_empties_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("x")
    with pytest.raises(SystemExit, match="not the state of an earlier run"):
        main(["--directory", str(tmp_path)])
    assert precious.exists()


def test_dev_serves_a_project_until_it_is_told_to_stop(tmp_path: Path) -> None:
    state = tmp_path / "state"
    code = (
        "from pathlib import Path; from labelbridge.cli.dev import run_dev; import sys;"
        f"sys.exit(run_dev(Path({str(state)!r}), announce=lambda file: print(file, flush=True)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=CLEAN, cwd=tmp_path
    ) as dev:
        assert dev.stdout is not None
        file = Path(dev.stdout.readline().strip())
        assert file == state / "operator.env"
        assert file.stat().st_mode & 0o077 == 0
        status = (
            f"set -a; . {file}; set +a; {sys.executable} -m labelbridge.cli.main status clinic --output json"
        )
        shown = subprocess.run(
            ["bash", "-c", status], capture_output=True, text=True, env=CLEAN, cwd=tmp_path, check=False
        )
        assert shown.returncode == 0, shown.stderr
        assert '"clinic"' in shown.stdout
        dev.send_signal(signal.SIGTERM)
        assert dev.wait(60) == 0


def test_nothing_of_the_stack_outlives_a_demo_that_is_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with subprocess.Popen(
        [sys.executable, "-m", "labelbridge.local.demo", "--directory", str(state)],
        stdout=subprocess.PIPE,
        text=True,
        env=CLEAN,
        cwd=tmp_path,
    ) as demo:
        assert demo.stdout is not None
        assert "the local stack is up" in demo.stdout.readline()
        assert len(_processes_of(state)) == 4
        demo.kill()
    deadline = time.monotonic() + 20
    while (found := _processes_of(state)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == []


def _processes_of(directory: Path) -> list[str]:
    """Command lines of processes that run in a folder of the stack."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found
