"""Keeps the command sequences of all workflows in a file, each with a version and the reason for it.

    python -m tests.replay.fingerprint                     says what changed; exit 1 if anything did
    python -m tests.replay.fingerprint --reason "why ..."  writes it, if that may be (`make fingerprints`)

Prevents a sequence that changes without anybody deciding it. A sequence of a version that was released
(`released.json`) changes only behind a new `workflow.patched(...)`, or in a release that says that it
breaks what runs: another major version, or before 1.0 the minor one after the next.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.replay.commands import commands, sources
from tests.replay.histories import PRODUCT, releases

FILE = Path(__file__).with_name("fingerprints.json")
WHAT_TO_DO = """
Runs that are on their way were begun with the old sequence. Either take the change back, or
 1. put it behind `if workflow.patched("WHAT-CHANGED"):` and keep the old way in the `else`, unless no released
    version has the old way;
 2. make fingerprints REASON="what changed, and why it is safe"
 3. make histories
docs/versioning.md says it step by step."""


@dataclass(frozen=True)
class Fingerprint:
    """One workflow's sequence, or that of a part that workflows share."""

    version: int
    """Grows by one with each change."""
    product: str
    """The product's version in which the sequence last changed."""
    reason: str
    commands: list[str]


Fingerprints = dict[str, Fingerprint]


def saved() -> Fingerprints:
    """What the file says; empty without one."""
    if not FILE.exists():
        return {}
    return {name: Fingerprint(**one) for name, one in json.loads(FILE.read_text()).items()}


def differences(old: Fingerprints, now: Mapping[str, list[str]]) -> dict[str, str]:
    """Name -> what changed, as a diff. Names that are new or gone are changes, too."""
    found = {}
    for name in sorted(old.keys() | now.keys()):
        before, after = old[name].commands if name in old else [], now.get(name, [])
        if before != after:
            lines = difflib.unified_diff(before, after, f"{name}, saved", f"{name}, now", lineterm="", n=2)
            found[name] = "\n".join(lines)
    return found


def message(changes: Mapping[str, str]) -> str:
    """What a person reads whose change was noticed."""
    listing = "\n\n".join(changes.values())
    return f"The commands of {', '.join(changes)} changed:\n\n{listing}\n{WHAT_TO_DO}"


def renewed(
    old: Fingerprints,
    now: Mapping[str, list[str]],
    *,
    reason: str,
    product: str = PRODUCT,
    released: Sequence[str] | None = None,
) -> Fingerprints:
    """The fingerprints as they would be written.

    Args:
        old: those of the file.
        now: the sequences of the sources.
        reason: why what changed was changed.
        product: the product's version now.
        released: the versions that were released; those of `released.json` if None.

    Raises:
        ValueError: the change may not be made, or gives no reason.
    """
    changed = differences(old, now)
    if changed and len(reason.split()) < 3:
        raise ValueError('say why, in a few words: make fingerprints REASON="..."')
    known = releases() if released is None else released
    refused = [
        name
        for name in changed
        if name in old
        and _runs_somewhere(old[name].product, product, known)
        and not _is_guarded(old[name].commands, now.get(name, []))
    ]
    if refused:
        raise ValueError(
            f"{', '.join(refused)}: a version with the old sequence was released, and the change is not behind "
            "a new `workflow.patched(...)`. Guard it, or raise the version to one that may break what runs."
        )
    result = {}
    for name, lines in now.items():
        before = old.get(name)
        if before is not None and name not in changed:
            result[name] = before
        else:
            version = before.version + 1 if before else 1
            result[name] = Fingerprint(version, product, reason, lines)
    return result


def _is_guarded(before: list[str], after: list[str]) -> bool:
    """True if the sequence has a patch that it did not have; one that loses a patch is the next step of that."""
    patches = {line.strip() for line in after if line.strip().startswith(("patched ", "deprecate_patch "))}
    return bool(patches - {line.strip() for line in before})


def _runs_somewhere(since: str, product: str, released: Sequence[str]) -> bool:
    """True if a sequence that stands since one version was released, and the new one may not break its runs.

    A running operation survives an upgrade from any release of the same major version, and before 1.0 of the
    last minor one (docs/releasing.md).
    """
    having = [_numbers(one) for one in released if _numbers(one) >= _numbers(since)]
    if not having:
        return False
    newest, now = max(having), _numbers(product)
    breaks = now[0] > newest[0] or (now[0] == newest[0] == 0 and now[1] > newest[1] + 1)
    return not breaks


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])


def main() -> int:
    """Say what changed, or write it."""
    parser = argparse.ArgumentParser(
        prog="tests.replay.fingerprint", description="Fingerprints of workflows."
    )
    parser.add_argument("--reason", default="", help="write what changed, for this reason")
    reason: str = parser.parse_args().reason
    old, now = saved(), commands(sources())
    changes = differences(old, now)
    if not changes:
        print("No workflow's commands changed.")  # noqa: T201
        return 0
    if not reason:
        print(message(changes), file=sys.stderr)  # noqa: T201
        return 1
    try:
        found = renewed(old, now, reason=reason)
    except ValueError as error:
        print(f"{message(changes)}\n\nNot written: {error}", file=sys.stderr)  # noqa: T201
        return 2
    FILE.write_text(json.dumps({name: asdict(one) for name, one in found.items()}, indent=1) + "\n")
    print(f"Written: {', '.join(changes)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
