"""The chart of labels over time and by category, as numbers that a template draws.

Prevents a chart that only eyes can read: every point of it is a row of a table too, and both are made
from the same manifests. Pure: no markup, no I/O.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from labelbridge.labels.manifest import Manifest
from labelbridge.model import Model, Studio

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 150, 12, 28
"""Room around the plot, in units of the drawing: numbers to the left, names to the right."""
MOST_LINES = 6
"""Categories with a line of their own; the rest are one line."""
REST = "all others"
_NAME_ROOM = 14.0
"""Distance between two names beside the plot."""


class Point(Model):
    """One snapshot on a line."""

    x: float
    y: float
    count: int
    taken_at: datetime


class Line(Model):
    """One category."""

    name: str
    number: int
    """0 to `MOST_LINES`: how the line looks."""
    points: tuple[Point, ...]
    name_y: float
    """Where its name stands, clear of the others."""

    @property
    def path(self) -> str:
        """The points as SVG's `points`."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


class Tick(Model):
    """A number beside an axis, at its place."""

    at: float
    text: str


class Chart(Model):
    """Everything that is drawn, and the same as rows."""

    lines: tuple[Line, ...]
    rows: tuple[tuple[str, ...], ...]
    """For each line the count of each snapshot; the first cell of a row is the snapshot's moment."""
    columns: tuple[str, ...]
    counts: tuple[Tick, ...]
    moments: tuple[Tick, ...]
    summary: str


def in_force(manifest: Manifest) -> bool:
    """True for labels of the studio that was active then, a merge or an import.

    Others are what a gated studio held: they are kept, and were nobody's labels at that time. The epoch
    grows with each change of the active studio and begins with Language, so an odd one is Azure ML's.
    """
    active = Studio.AZUREML if manifest.epoch % 2 else Studio.LANGUAGE
    return manifest.side in (active.value, "merged", "imported")


def chart_of(manifests: Sequence[Manifest]) -> Chart | None:
    """The chart of the snapshots in force, given in any order; None if there are fewer than two to join."""
    found = sorted(filter(in_force, manifests), key=lambda one: one.taken_at)
    if len(found) < 2:
        return None
    series = _series(found)
    names = list(series)
    most = _round_up(max((max(values) for values in series.values()), default=0))
    xs = _across([one.taken_at for one in found])
    lines = [
        Line(
            name=name,
            number=i,
            points=tuple(
                Point(x=x, y=_height(count, most), count=count, taken_at=one.taken_at)
                for x, count, one in zip(xs, values, found, strict=True)
            ),
            name_y=0.0,
        )
        for i, (name, values) in enumerate(series.items())
    ]
    first, last = found[0], found[-1]
    return Chart(
        lines=_apart(lines),
        rows=tuple(
            (f"{one.taken_at:%Y-%m-%d %H:%M}", one.side, *(str(series[name][i]) for name in names))
            for i, one in enumerate(found)
        ),
        columns=("Taken (UTC)", "From", *names),
        counts=tuple(Tick(at=_height(n, most), text=str(n)) for n in dict.fromkeys((0, most // 2, most))),
        moments=(
            Tick(at=xs[0], text=f"{first.taken_at:%Y-%m-%d %H:%M}"),
            Tick(at=xs[-1], text=f"{last.taken_at:%Y-%m-%d %H:%M}"),
        ),
        summary=(
            f"{len(found)} snapshots from {first.taken_at:%Y-%m-%d %H:%M} to {last.taken_at:%Y-%m-%d %H:%M}: "
            f"labels went from {first.labels} to {last.labels}."
        ),
    )


def _series(found: Sequence[Manifest]) -> dict[str, list[int]]:
    """Counts by category: those with the most labels in the last snapshot, then the rest as one."""
    totals: Counter[str] = Counter()
    for one in found:
        totals.update(dict.fromkeys(one.counts, 0))
    totals.update(found[-1].counts)
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    own = ranked if len(ranked) <= MOST_LINES else ranked[: MOST_LINES - 1]
    series = {name: [one.counts.get(name, 0) for one in found] for name in own}
    if len(own) < len(ranked):
        name = REST if REST not in series else f"{REST} but these"
        shown = [sum(values) for values in zip(*series.values(), strict=True)]
        series[name] = [sum(one.counts.values()) - n for one, n in zip(found, shown, strict=True)]
    return series


def _across(moments: Sequence[datetime]) -> list[float]:
    """Places from left to right, by time."""
    span = (moments[-1] - moments[0]).total_seconds() or 1.0
    room = WIDTH - LEFT - RIGHT
    return [LEFT + room * (moment - moments[0]).total_seconds() / span for moment in moments]


def _height(count: int, most: int) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - count / most)


def _round_up(most: int) -> int:
    """A round number at or above `most`, even, so that its half is a number too."""
    step = int(10 ** max(0, len(str(most)) - 1))
    for factor in (2, 4, 6, 8, 10):
        if most <= factor * step:
            return factor * step
    return 10 * step


def _apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with their names far enough apart to be read."""
    placed: dict[str, float] = {}
    below = TOP - _NAME_ROOM / 2
    for line in sorted(lines, key=lambda one: one.points[-1].y):
        below = max(line.points[-1].y, below + _NAME_ROOM)
        placed[line.name] = below
    over = below - (HEIGHT - BOTTOM + 4)
    shift = max(0.0, over)
    return tuple(line.model_copy(update={"name_y": placed[line.name] - shift}) for line in lines)
