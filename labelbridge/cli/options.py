"""Options that several commands share, and how their values are read."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli import seen
from labelbridge.cli.output import OutputFormat

if TYPE_CHECKING:
    from labelbridge.model import ProjectKind, Studio

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> timedelta:
    """Read `90s`, `30m`, `1h30m`, `2d`, or a plain number of seconds.

    Raises:
        typer.BadParameter: for anything else.
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is not a duration: say 90s, 30m or 1h30m")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


class KindName(StrEnum):
    """Short names of the project kinds, for the command line."""

    SINGLE_LABEL = "single-label"
    MULTI_LABEL = "multi-label"
    ENTITIES = "entities"

    @property
    def kind(self) -> "ProjectKind":
        """The kind as Azure names it."""
        from labelbridge.model import ProjectKind

        return ProjectKind[self.name]


class StudioName(StrEnum):
    """The studios, for the command line."""

    LANGUAGE = "language"
    AZUREML = "azureml"

    @property
    def studio(self) -> "Studio":
        """The studio itself."""
        from labelbridge.model import Studio

        return Studio(self.value)


class DisconnectLabels(StrEnum):
    """What becomes of Azure ML's labels at a disconnect."""

    SYNC = "sync"
    DISCARD = "discard"


class Policy(StrEnum):
    """What decides documents that both studios changed."""

    ACTIVE = "active"
    REFUSE = "refuse"
    UNION = "union"


class SplitName(StrEnum):
    """Who puts documents into Train and Test."""

    SERVICE = "service"
    KEEP = "keep"


ProjectArg = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT",
        help="Name of the Language project.",
        show_default=False,
        autocompletion=seen.complete,
    ),
]
AnyProjectArg = Annotated[
    str | None,
    typer.Argument(
        metavar="PROJECT",
        help="One project; all if not given.",
        show_default=False,
        autocompletion=seen.complete,
    ),
]
OutputOption = Annotated[OutputFormat, typer.Option("--output", "-o", help="Form of the data on stdout.")]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait for the end, or return once the request is accepted.")
]
TimeoutOption = Annotated[
    timedelta | None,
    typer.Option(
        "--timeout",
        metavar="DURATION",
        parser=duration,
        help="Wait no longer than this (e.g. 90s, 30m); the operation itself goes on. Exit code 6.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Idempotency key: the same request with the same key is done once, however often it is sent.",
        show_default=False,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the plan and the preflight findings; change nothing."),
]
RolesOption = Annotated[
    timedelta | None,
    typer.Option(
        "--wait-for-roles",
        metavar="DURATION",
        parser=duration,
        help="How long to wait for a role assignment that is not there yet (10 to 30 minutes is normal).",
        show_default=False,
    ),
]
ResourceOption = Annotated[
    str | None,
    typer.Option(
        "--language-resource",
        metavar="ARM-ID",
        help="Language resource of the project, instead of LABELBRIDGE_LANGUAGE_RESOURCE.",
        show_default=False,
    ),
]
ConfirmOption = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="NAME",
        help="The project's name, typed instead of asked for: this cannot be undone.",
        show_default=False,
    ),
]
QuarantineOption = Annotated[
    bool,
    typer.Option(
        "--allow-quarantine",
        help="Go on although some labels cannot be read; they stay in a quarantine file. Exit code 9.",
    ),
]
PolicyOption = Annotated[
    Policy,
    typer.Option(
        "--policy",
        help="Documents that both studios changed: `active` takes the active studio's labels, `refuse` "
        "stops and reports both values, `union` (multi-label only) takes the classes of both.",
    ),
]
SplitOption = Annotated[
    SplitName | None,
    typer.Option(
        "--split",
        help="Train and Test: `service` leaves it to Language, `keep` keeps documents where they were and "
        "splits new ones by a hash of their name. Nothing is changed if not given.",
        show_default=False,
    ),
]
TestPercentOption = Annotated[
    int,
    typer.Option(
        "--test-percent", min=0, max=99, help="With `--split keep`: share of new documents in Test."
    ),
]
EveryOption = Annotated[
    bool, typer.Option("--all", help="Every project that --where matches, as one act; instead of PROJECT.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Which projects: name, kind, active, state, resource, workspace, attention, epoch with =, !=, in; "
        "joined by and, or, not. All if not given.",
        show_default=False,
    ),
]
ParallelOption = Annotated[
    int, typer.Option("--max-parallel", min=1, max=100, help="With --all: projects at once.")
]
StopAfterOption = Annotated[
    int | None,
    typer.Option(
        "--stop-after",
        metavar="N",
        min=1,
        help="With --all: begin nothing more once so many were refused or failed. One never stops the rest.",
        show_default=False,
    ),
]
NumberOption = Annotated[
    int | None,
    typer.Option(
        "--confirm",
        metavar="N",
        min=0,
        help="With --all: how many projects match, instead of typing it.",
        show_default=False,
    ),
]
