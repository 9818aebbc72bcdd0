"""What workers have been struck at so far: `covered.json`, written from a whole matrix or from a journal.

Prevents two lies: a matrix that was cut off and looks whole, and a point that is called covered although
nobody struck it. What was found and not struck is listed in the file itself.
"""

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.points import Point
from tests.faults.report import HARMED

COVERED = Path(__file__).with_name("covered.json")


def covered(place: Path = COVERED) -> list[Point]:
    """The points that were struck without harm."""
    return [Point.parse(text) for text in json.loads(place.read_text())["points"]]


def is_whole(place: Path = COVERED) -> bool:
    """True if every point that was found has been struck."""
    return bool(json.loads(place.read_text())["figures"]["whole"])


def note_found(journal: Path | None, points: Iterable[str]) -> None:
    """Keep, beside the journal, which points there are; of several discoveries all of them."""
    if journal is not None:
        every = {*found(journal), *points}
        _beside(journal).write_text("".join(f"{point}\n" for point in sorted(every)), encoding="utf-8")


def found(journal: Path) -> set[str]:
    """The points that were found by the campaigns with this journal."""
    place = _beside(journal)
    return set(place.read_text("utf-8").splitlines()) if place.exists() else set()


def save_journal(journal: Path, place: Path = COVERED) -> str:
    """Write `covered.json` from a journal; returns a line that says what it is worth.

    A journal has a line for each run that struck its point: those that did harm say so and cover nothing.
    """
    lines = journal.read_text("utf-8").splitlines()
    struck = [line for line in lines if not line.startswith("#")]
    harmed = sum(line.startswith(HARMED) for line in lines)
    return save(found(journal), struck, len(struck) + harmed, harmed, place)


def save(
    wanted: Collection[str], struck: Collection[str], runs: int, harmed: int, place: Path = COVERED
) -> str:
    """Write `covered.json`.

    Args:
        wanted: every point that was found.
        struck: those that were struck without harm; what is not found any more does not count.
        runs: runs in which a worker was struck.
        harmed: those of them that ended with a violation, or void.
        place: the file.
    """
    points = sorted(set(struck) & set(wanted))
    missing = set(wanted) - set(points)
    done = {_rule(point) for point in points}
    figures = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "found": len(set(wanted)),
        "points": len(points),
        "runs": runs,
        "violations": harmed,
        "whole": not missing,
    }
    not_yet = sorted({_rule(point) for point in missing} - done)
    content = {"figures": figures, "not_yet": not_yet, "points": points}
    place.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return (
        f"{len(points)} of {figures['found']} points, not yet struck at all: {', '.join(not_yet) or 'none'}"
    )


def _rule(point: str) -> str:
    """`workflow/activity/mode` of a point."""
    parsed = Point.parse(point)
    return f"{parsed.workflow}/{parsed.activity}/{parsed.mode}"


def _beside(journal: Path) -> Path:
    return journal.with_name(journal.name + ".found")
