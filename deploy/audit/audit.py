"""Asks the advisory databases about every pinned dependency, and never says "clean" for what nobody judged.

Prevents the audit that pretends: pip-audit exits 0 and says that nothing is known when a package index cannot be
asked (it skips each package), and npm reports an endpoint that refuses like any other error. Here each package was
judged, or the run fails and says so.

    audit.py PIP-AUDIT CONSTRAINTS NODE NPM-CLI FOLDER...

Exit codes: 0 all were judged and nothing is known; 1 something is known; 3 nothing is known, but not all were judged.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLEAN, KNOWN, UNJUDGED = 0, 1, 3
SERVICES = ("pypi", "osv")
"""pip-audit's two sources of Python advisories; the second is asked for what the first could not judge."""
TIMEOUT = 600
Run = Callable[[Sequence[str], Path], str]


@dataclass(frozen=True)
class Verdict:
    """What is known of one list of packages."""

    name: str
    packages: int
    """0 if not even their number is known."""
    found: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    """Names, or why there was no answer."""

    @property
    def code(self) -> int:
        """The exit code of this list alone."""
        return KNOWN if self.found else UNJUDGED if self.unjudged or not self.packages else CLEAN

    def __str__(self) -> str:
        """One line, and one more for each thing that is known."""
        if self.code == CLEAN:
            return f"{self.name}: nothing is known against any of its {self.packages} packages."
        lines = [f"{self.name}: {one}" for one in self.found]
        if self.code == UNJUDGED or self.unjudged:
            some = ", ".join(self.unjudged[:3]) or "no answer"
            count = len(self.unjudged) if self.packages else "all"
            lines.append(f"{self.name}: NOT JUDGED, {count} of {self.packages or '?'} packages ({some}, ...)")
        return "\n".join(lines)


def python(run: Run, tool: str, constraints: Path) -> Verdict:
    """Judge pinned Python packages."""
    name, found, left, packages = constraints.name, {}, None, 0
    for service in SERVICES:
        command = [tool, "-r", str(constraints), "--no-deps", "--disable-pip", "-f", "json", "-s", service]
        answer = _json(run(command, constraints.parent))
        rows = answer.get("dependencies") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not rows:
            continue
        packages = len(rows)
        for row in rows:
            for one in row.get("vulns") or ():
                found[row["name"], one["id"]] = f"{row['name']} {row.get('version', '')}: {one['id']}"
        skipped = {row["name"] for row in rows if "skip_reason" in row}
        left = skipped if left is None else left & skipped
        if not left:
            break
    unjudged = ("no advisory database answered",) if left is None else tuple(sorted(left))
    return Verdict(name, packages, tuple(found.values()), unjudged)


def npm(run: Run, node: str, cli: str, folder: Path) -> Verdict:
    """Judge the packages of a folder's package-lock.json."""
    name = f"{folder.name}/package-lock.json"
    answer = _json(run([node, cli, "audit", "--json", "--package-lock-only"], folder))
    if not isinstance(answer, dict) or "vulnerabilities" not in answer:
        why = answer.get("message") if isinstance(answer, dict) else None
        return Verdict(name, 0, unjudged=(_short(why) or "no advisory database answered",))
    total = answer.get("metadata", {}).get("dependencies", {}).get("total", 0)
    found = tuple(f"{key}: {one.get('severity', '?')}" for key, one in answer["vulnerabilities"].items())
    return Verdict(name, int(total), found)


def _short(why: object) -> str:
    """The refusal without the address that was asked."""
    return str(why).partition(" - ")[0] if why else ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _run(command: Sequence[str], folder: Path) -> str:
    """What a tool says on stdout; its exit code is not believed."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return json.dumps({"message": f"{Path(command[0]).name}: {type(error).__name__}"})
    return done.stdout


def main(arguments: Sequence[str], run: Run = _run) -> int:
    """Judge everything, print the verdicts, return the exit code."""
    tool, constraints, node, cli, *folders = arguments
    verdicts = [python(run, tool, Path(constraints).resolve())]
    verdicts += [npm(run, node, cli, Path(folder).resolve()) for folder in folders]
    for verdict in verdicts:
        sys.stdout.write(f"{verdict}\n")
    codes = {verdict.code for verdict in verdicts}
    if KNOWN in codes:
        return KNOWN
    if UNJUDGED in codes:
        sys.stdout.write(
            "The audit is not complete: run it again where the advisory databases can be reached.\n"
        )
        return UNJUDGED
    return CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
