"""The command `convert`, as a script meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labelbridge.errors import ExitCode


def convert(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "labelbridge.cli.main", "convert", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents, rows that fit them, and one row that does not."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Ana 😀 Oslo", encoding="utf-8", newline="")
    (tmp_path / "docs" / "b.txt").write_text("Bob", encoding="utf-8", newline="")
    rows = [("a.txt", 0, 3), ("b.txt", 0, 3), ("b.txt", 0, 3)]
    lines = [
        json.dumps(
            {
                "image_url": f"AmlDatastore://s/{d}",
                "label": [{"label": "PER", "offsetStart": a, "offsetEnd": b}],
            }
        )
        for d, a, b in rows
    ]
    (tmp_path / "good.jsonl").write_text("\n".join(lines[:2]) + "\n", encoding="utf-8")
    (tmp_path / "bad.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_done_and_done_with_quarantine_are_told_apart(folder: Path) -> None:
    out = folder / "out.json"
    good = convert(folder / "good.jsonl", out, "--documents", folder / "docs", "--output", "json")
    assert good.returncode == ExitCode.DONE
    assert json.loads(good.stdout)["totals"]["written"] == 2
    assert len(json.loads(out.read_bytes())["assets"]["documents"]) == 2
    assert not list(folder.glob("*quarantine*"))
    bad = convert(folder / "bad.jsonl", out, "--documents", folder / "docs")
    assert bad.returncode == ExitCode.QUARANTINED
    (aside,) = (folder / "out.json.quarantine.jsonl").read_bytes().splitlines()
    assert json.loads(aside)["code"] == "duplicate_document"
    assert b"1 of 3 rows" in bad.stderr
    convert(folder / "good.jsonl", out, "--documents", folder / "docs")
    assert not list(folder.glob("*quarantine*"))


def test_pipes_carry_labels_and_nothing_else(folder: Path) -> None:
    options = ("--documents", folder / "docs")
    data = (folder / "good.jsonl").read_bytes()
    there = convert("-", "-", "--to", "snapshot", *options, given=data)
    back = convert(
        "-",
        "-",
        "--to",
        "azureml",
        "--datastore",
        "s",
        "--offset-unit",
        "utf16",
        *options,
        given=there.stdout,
    )
    assert (there.returncode, back.returncode) == (0, 0)
    assert [json.loads(line)["label"] for line in back.stdout.splitlines()] == [
        json.loads(line)["label"] for line in data.splitlines()
    ]
    assert b"2 rows in, 2 out" in back.stderr


def test_a_failure_leaves_what_was_there_and_no_half_file(folder: Path) -> None:
    out = folder / "out.conll"
    out.write_bytes(b"before")
    rows = json.loads((folder / "good.jsonl").read_bytes().splitlines()[0])
    rows["label"] *= 2
    (folder / "twice.jsonl").write_text(json.dumps(rows), encoding="utf-8")
    refused = convert(folder / "twice.jsonl", out, "--documents", folder / "docs")
    assert refused.returncode == ExitCode.REFUSED
    assert b"lossy_export" in refused.stderr
    assert out.read_bytes() == b"before"
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]
    allowed = convert(folder / "twice.jsonl", out, "--documents", folder / "docs", "--allow-lossy")
    assert allowed.returncode == ExitCode.DONE
    assert b"span_repeated 1" in allowed.stderr
    assert b"B-PER" in out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("none.jsonl", "out.json"), b"cannot be read"),
        (("good.jsonl", "out.json"), b"give --documents"),
        (("good.jsonl", "out.xyz"), b"give --to"),
        (("good.jsonl", "good.jsonl"), b"same file"),
        (("good.jsonl", "out.json", "--documents", "nowhere"), b"no folder"),
        (("good.jsonl", "out.json", "--documents", "https://x/y?sig=1"), b"without a signature"),
        (("good.jsonl", "no/such/out.json", "--documents", "docs"), b"cannot be written"),
        (("docs/a.txt", "out.json"), b"give --from"),
        (("docs", "out.json"), b"MLTable"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: bytes
) -> None:
    monkeypatch.chdir(folder)
    outcome = convert(*arguments)
    assert outcome.returncode in (ExitCode.USAGE, ExitCode.REFUSED)
    assert expected in outcome.stderr
    assert b"Traceback" not in outcome.stderr
    assert outcome.stdout == b""
