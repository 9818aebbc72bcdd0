"""The commands `events tail|replay|test|subscribers` and `policy`: what was told to whom, and what syncs by itself.

Prevents an integration that nobody can look into: the outbox is read as it stands, in the order in which it
is delivered, and a subscriber that missed something is told again from any place on.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli.command import command
from labelbridge.cli.conduct import execute, load_settings, run
from labelbridge.cli.options import OutputOption, ProjectArg, ResourceOption
from labelbridge.cli.output import OutputFormat, done, emit, emit_line, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from labelbridge.client import Labelbridge
    from labelbridge.events.event import Event
    from labelbridge.events.policy import Policy
    from labelbridge.events.subscribers import DeadLetter, SubscriberState
    from labelbridge.settings import Settings

FOLLOW = 1.0
"""Seconds between two looks at the outbox's end."""
PAGE = 64
LATEST = 20
"""Events that `tail` prints without `--from`."""

NAME = "events"

app = typer.Typer(
    name=NAME,
    no_args_is_help=True,
    help="Read the events that were told, tell them again, try a subscriber.",
)

CursorOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="CURSOR",
        help="The `sequence` of an event: begin with the one after it; 0 is the beginning.",
        show_default=False,
    ),
]
NameArg = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of a subscriber in the workers' settings.", show_default=False),
]


@command(app)
def tail(
    start: CursorOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new events until Ctrl-C.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print events in the order of the outbox: the last 20, or all after a cursor; JSON is one per line."""
    from labelbridge.events.outbox import cursor

    with reporting(output):
        settings, place = load_settings(None), None if start is None else cursor(start)
        run(_tail(settings, place, follow, output))
        raise done()


async def _tail(settings: "Settings", place: int | None, follow: bool, output: OutputFormat) -> None:
    import asyncio

    from labelbridge._offline import stores

    async with stores(settings) as opened:
        place = max(0, await opened.outbox.tail() - LATEST) if place is None else place
        try:
            while True:
                events = await opened.outbox.read(place, PAGE)
                for event in events:
                    emit_line(event, _line(event), output)
                    place = event.cursor
                if not events and not follow:
                    return
                if not events:
                    await asyncio.sleep(FOLLOW)
        except asyncio.CancelledError:  # Ctrl-C
            if not follow:
                raise


def _line(event: "Event") -> str:
    from labelbridge.cli.present import moment

    project = event.data.get("project", {}).get("name", "")
    kind = event.type.removeprefix("io.labelbridge.")
    return f"{event.sequence}  {moment(event.time)}  {kind:<22} {project}  {event.subject}"


@command(app)
def replay(
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The subscriber.", show_default=False)],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="CURSOR",
            help="Tell again all after this place; 0 is the beginning.",
            show_default=False,
        ),
    ],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let a subscriber be told again everything after a place, also one that was disabled by a 410.

    Events keep their ids, so a receiver that keeps them recognises what it has.
    """
    from labelbridge.events.orders import EventsRequest
    from labelbridge.events.outbox import cursor
    from labelbridge.events.subscribers import SubscriberState

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        request = EventsRequest(kind="replay", subscriber=to, cursor=cursor(start))
        state = SubscriberState.model_validate(await _ask(bridge, settings, request))
        emit(state, _subscribers_table([state]), output)
        say(f"{to} is told again what comes after {state.cursor}.")
        return ExitCode.DONE

    execute(output, None, work)


@command(app, "test")
def try_(name: NameArg, output: OutputOption = OutputFormat.TABLE) -> None:
    """Send a test event to a subscriber, from a worker, and say what it answered; exit code 8 if not 2xx."""
    from labelbridge.cli.present import grid
    from labelbridge.events.orders import EventsRequest

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        found = await _ask(bridge, settings, EventsRequest(kind="test", subscriber=name))
        rows = [(key, str(value)) for key, value in found.items() if value not in (None, "", False)]
        emit(found, grid(rows), output)
        return ExitCode.DONE if found["delivered"] else ExitCode.FINDINGS

    execute(output, None, work)


async def _ask(bridge: "Labelbridge", settings: "Settings", request: object) -> dict[str, object]:
    """Let a worker answer: the subscribers and their secrets stand in its settings."""
    from datetime import timedelta
    from uuid import uuid4

    from temporalio.client import WorkflowFailureError
    from temporalio.service import RPCError

    from labelbridge import names
    from labelbridge._handle import failure

    try:
        found: dict[str, object] = await bridge.client.execute_workflow(
            names.EVENTS_REQUEST_WORKFLOW,
            request,
            id=f"labelbridge/events/request-{uuid4().hex[:8]}",
            task_queue=settings.temporal.task_queue,
            result_type=dict,
            execution_timeout=timedelta(minutes=5),
        )
    except (WorkflowFailureError, RPCError) as error:
        raise failure(error) from error
    return found


@command(app)
def subscribers(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="With the dead letters of this one.", show_default=False),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say how far each subscriber is: what it was told, what waits for another attempt, dead letters."""
    with reporting(output):
        states, letters = run(_subscribers(load_settings(None), name))
        if name is None:
            emit(states, _subscribers_table(states), output)
            raise done()
        if not states:
            raise LabelbridgeError("subscriber_unknown", f"No subscriber {name!r} was ever registered.")
        emit({"state": states[0], "dead_letters": letters}, _letters_table(states, letters), output)
        raise done()


async def _subscribers(
    settings: "Settings", name: str | None
) -> "tuple[Sequence[SubscriberState], Sequence[DeadLetter]]":
    from labelbridge._offline import stores

    async with stores(settings) as opened:
        if name is None:
            return await opened.subscribers.all(), ()
        found = await opened.subscribers.load(name)
        return ((found.state,) if found else ()), await opened.subscribers.dead_letters(name)


def _subscribers_table(states: "Sequence[SubscriberState]") -> "Table":
    from rich.markup import escape

    from labelbridge.cli.present import with_columns

    made = with_columns("subscriber", "told up to", "delivered", "waiting", "dead", "last failure")
    for one in states:
        counts = (one.cursor, one.delivered, len(one.waiting), one.dead)
        made.add_row(one.name, *map(str, counts), escape(one.disabled or one.why))
    return made


def _letters_table(states: "Sequence[SubscriberState]", letters: "Sequence[DeadLetter]") -> "Table":
    from rich.markup import escape

    from labelbridge.cli.present import moment, with_columns

    made = (
        _subscribers_table(states) if not letters else with_columns("dead letter", "type", "given up", "why")
    )
    for one in letters:
        made.add_row(one.event.sequence, one.event.type, moment(one.given_up_at), escape(one.why))
    return made


def policy(
    project: ProjectArg,
    auto_sync: Annotated[
        str | None,
        typer.Option(
            "--auto-sync",
            metavar="WHEN",
            help="`off`, `on_export` (a label export that Event Grid tells of), or `every 15 min`.",
            show_default=False,
        ),
    ] = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say, or set, when the project is synced by itself."""
    from labelbridge.cli.present import grid, moment

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        found = await _policy(bridge, settings, project, auto_sync)
        rows = [("Auto sync", found.text)]
        if found.set_at and found.set_by:
            rows.append(("Set", f"{moment(found.set_at)} by {found.set_by.name or found.set_by.object_id}"))
        emit(found, grid(rows), output)
        return ExitCode.DONE

    execute(output, language_resource, work)


async def _policy(bridge: "Labelbridge", settings: "Settings", name: str, wanted: str | None) -> "Policy":
    from temporalio.service import RPCError

    from labelbridge._offline import stores
    from labelbridge.events.policy import keep_schedule, policy_of

    project = bridge.project(name)
    async with stores(settings) as opened:
        if wanted is None:
            return await opened.policies.read(project)
        made = policy_of(project, wanted, at=datetime.now(UTC), by=await bridge.actor())
        await opened.policies.write(made)
    try:
        await keep_schedule(bridge.client, settings, made)
    except RPCError as error:
        raise LabelbridgeError(
            "temporal_unreachable", f"The policy is set, its Schedule is not: {error}"
        ) from error
    return made
