"""What a campaign does, drawn from its seed: what is asked of each project, and the weather over all.

Prevents a failure that nobody can bring back: nothing here looks at a clock or at the stack, so the
same seed gives the same plan. When things happen still varies with the machine, so a repeat repeats
the plan, not the interleaving.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from labelbridge.model import ProjectKind

KINDS = tuple(ProjectKind)
MOVES = 12
"""Requests of one project between its connect and its last disconnect."""


@dataclass(frozen=True)
class Move:
    """One request, who else asks at once, and what is done to the operation."""

    what: str
    """`import`, `connect`, `switch` (to the other studio), `sync`, `merge` (a merging sync), `burst` (several syncs
    at once), `train`, `disconnect`."""
    callers: int = 1
    beside: tuple[tuple[str, float], ...] = ()
    """What others ask, and how many seconds later; most of it is illegal."""
    stop: str | None = None
    """`cancel` or `terminate`."""
    stop_after: float = 0.0
    meddle: str | None = None
    """What a person does past Labelbridge meanwhile: `resume` (the job), `touch` or `unlock` (the record),
    `export` (the job's labels, of which Event Grid tells)."""
    meddle_after: float = 0.0
    discard: bool = False
    """Disconnect: Azure ML's labels are not wanted."""


@dataclass(frozen=True)
class Life:
    """Everything that is asked of one project."""

    number: int
    kind: ProjectKind
    moves: tuple[Move, ...]
    imported: bool = False
    """It begins as documents and a file of labels, and the first move imports it; else it exists."""
    auto_sync: bool = False
    """Its policy is `on_export`."""


_WHAT = {"switch": 5, "sync": 3, "merge": 1, "burst": 2, "train": 2, "disconnect": 1}
_BESIDE = ("import", "same", "other", "connect", "steal", "undecided", "sync", "twice", "gone")


def life(seed: int, number: int, moves: int = MOVES) -> Life:
    """The plan of one project."""
    dice = random.Random(f"{seed}/project/{number}")
    kind = KINDS[number % len(KINDS)]
    # One project of three each, beside each other, so that a short campaign of three has both.
    imported, auto_sync = number % 3 == 1, number % 3 != 1
    found = [_move("import", dice)] if imported else []
    found.append(_move("connect", dice))
    for what in dice.choices(tuple(_WHAT), tuple(_WHAT.values()), k=moves):
        found.append(_move(what, dice))
        if what == "disconnect":
            found.append(_move("connect", dice))
    return Life(number, kind, (*found, _move("disconnect", dice)), imported, auto_sync)


def _move(what: str, dice: random.Random) -> Move:
    beside = tuple(
        (dice.choice(_BESIDE), dice.uniform(0, 3))
        for _ in range(dice.randint(1, 3) if dice.random() < 0.5 else 0)
    )
    stop = dice.choices((None, "cancel", "terminate"), (84, 10, 6))[0]
    # A resumed job is meant for the middle of a move; the rest of the time it would be drift only.
    meddles: tuple[str | None, ...] = (None, "export", "touch", "resume", "unlock")
    if what not in ("switch", "disconnect"):
        meddles = meddles[:3]
    if what == "import":  # there is neither record nor job
        meddles = (None,)
    meddle = dice.choices(meddles, (64, 18, 4, 10, 4)[: len(meddles)])[0]
    return Move(
        what=what,
        callers=dice.randint(2, 8) if what == "burst" else 1,
        beside=beside,
        stop=stop,
        stop_after=dice.uniform(0, 12),
        meddle=meddle,
        meddle_after=dice.uniform(0, 10),
        discard=dice.random() < 0.3,
    )


@dataclass(frozen=True)
class Strike:
    """One fault: how long after the one before it, what it is, and how long it lasts."""

    after: float
    sort: str
    lasts: float = 0.0
    method: str = "*"
    route: str = ""
    fields: tuple[tuple[str, float], ...] = ()
    """Further fields of the fault table's order."""
    who: int = 0
    """Which worker or which role."""


_EFFECTS = (
    ("PATCH", r"/language/authoring/analyze-text/projects/[^/:?]+\?"),
    ("POST", r"/:import\?"),
    ("POST", r"/:export\?"),
    ("POST", r"/:train\?"),
    ("POST", r"/labelingJobs/[^/]+/(pause|resume)\?"),
    ("POST", r"/labelingJobs/[^/]+/exportLabels\?"),
    ("PUT", r"/labelingJobs/[^/?]+\?"),
    ("PUT", r"/data/[^/]+/versions/"),
    ("PUT", r"/deployments/"),
)
_READS = (
    ("GET", r"/language/authoring/analyze-text/projects/[^/:?]+\?"),
    ("GET", r"/language/authoring/analyze-text/projects/.*/jobs/"),
    ("GET", r"/labelingJobs/[^/?]+\?"),
    ("GET", r"Microsoft.Authorization/"),
    ("GET", r"Microsoft.MachineLearningServices/"),
)
_LABELS = ("PUT", r"/studio/.*/labels")
_REFUSALS = (("status", 429.0, 0.0), ("status", 429.0, 1.0), ("status", 500.0, 0.0), ("status", 503.0, 1.0))
_STATUS = (*_REFUSALS, ("status", 504.0, 0.0), ("status", 502.0, 0.0))
LATE = 0.5
"""Most seconds that an effect is held before it comes: the margin between deadline and drain is longer."""
_GREAT = {
    "kill worker": 6,
    "pause worker": 5,
    "kill temporal": 1,
    "kill azurite": 2,
    "kill azure": 1,
    "take role": 2,
}


def weather(seed: int, *, great_every: float = 20.0, small_every: float = 1.2) -> Iterator[Strike]:
    """Faults without end: small ones at single requests, and now and then a great one."""
    dice = random.Random(f"{seed}/weather")
    until_great = great_every / 2
    while True:
        after = dice.uniform(0.2, 1.8) * small_every
        until_great -= after
        if until_great <= 0:
            until_great = dice.uniform(0.3, 1.7) * great_every
            yield _great(after, dice)
        else:
            yield _small(after, dice)


def _great(after: float, dice: random.Random) -> Strike:
    sort = dice.choices(tuple(_GREAT), tuple(_GREAT.values()))[0]
    # A worker that was stopped for longer than the deadline of an effect must end itself.
    lasts = {"kill worker": 0.0, "pause worker": dice.choice((0.4, 2.0, 10.0))}.get(
        sort, dice.uniform(0.2, 6)
    )
    return Strike(after, sort, lasts, who=dice.randrange(1000))


def _small(after: float, dice: random.Random) -> Strike:
    times = float(dice.randint(1, 3))
    where = dice.choices(("effect", "read", "label"), (55, 35, 10))[0]
    if where == "label":
        method, route = _LABELS
        sorts = ["reset_before", "reset_after", "status"]
    elif where == "read":
        method, route = dice.choice(_READS)
        sorts = ["status", "status", "reset_before", "reset_after", "delay", "hang", "stale", "drop"]
    else:
        method, route = dice.choice(_EFFECTS)
        sorts = ["status", "status", "reset_before", "reset_after", "reset_after", "delay", "hang_after"]
        sorts += ["drop", "duplicate"]
    sort = dice.choice(sorts)
    fields: tuple[tuple[str, float], ...] = (("times", times),)
    lasts = 20.0
    if sort == "status":
        _, status, seconds = dice.choice(_STATUS if where != "label" else (("status", 503.0, 0.0),))
        fields += (("status", status), ("seconds", seconds))
    elif sort in ("hang", "hang_after"):
        lasts = dice.uniform(0.5, 6)
    elif sort == "stale":
        fields += (("seconds", dice.uniform(0.1, 0.6)),)
    elif sort == "drop":
        fields += (("seconds", dice.uniform(0.1, 4)),)
    elif sort == "duplicate" and ":import" in route:
        # An import that was answered and comes again much later would replace labels: see docs/reliability.md.
        fields += (("seconds", 0.0),)
    elif sort in ("delay", "duplicate"):
        fields += (("seconds", dice.uniform(0.05, LATE if where == "effect" else 3)),)
    return Strike(after, sort, lasts, method, route, fields)
