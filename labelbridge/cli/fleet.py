"""`list`, the fleet by a filter, and `fleet status|watch|report|cancel|list`, the acts on many projects at once."""

from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli import seen
from labelbridge.cli.command import command
from labelbridge.cli.conduct import execute
from labelbridge.cli.options import OutputOption, TimeoutOption, WhereOption
from labelbridge.cli.output import OutputFormat, emit, say
from labelbridge.errors import ExitCode

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.settings import Settings

NAME = "fleet"

app = typer.Typer(
    name=NAME, no_args_is_help=True, help="Look at acts on many projects (`switch --all`), or stop one."
)
ActArg = Annotated[str, typer.Argument(metavar="ID", help="Id of the act: its `--key`.", show_default=False)]


def list_(
    where: WhereOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Read no more than so many; 0 for all that match.")
    ] = 0,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the projects that match: who labels where, what runs, who needs a person.

    It is Temporal's list, about a second old, of every project that anything was ever asked of.
    """

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        from labelbridge.cli.many_pictures import Line, fleet_table

        found = await bridge.fleet.list(where or "", limit=limit or None)
        if not where and not limit:
            seen.remember(one.project for one in found)
        lines = [Line.of(one) for one in found]
        emit(lines, fleet_table(lines) if lines else "", output)
        say(f"{len(lines)} projects." if lines else "No project matches.")
        return ExitCode.DONE

    execute(output, None, work)


@command(app)
def status(act: ActArg, output: OutputOption = OutputFormat.TABLE) -> None:
    """Say how an act stands: how many are done, what runs."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        from labelbridge.cli.many_pictures import act_table

        found = await bridge.fleet.act(act).status()
        emit(found, act_table(found), output)
        return ExitCode.DONE

    execute(output, None, work)


@command(app)
def watch(act: ActArg, timeout: TimeoutOption = None, output: OutputOption = OutputFormat.TABLE) -> None:
    """Wait for the end of an act, with its progress, and print its report; exits as the act itself."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        from labelbridge.cli.many_waiting import finish

        return await finish(bridge.fleet.act(act), timeout, output)

    execute(output, None, work)


@command(app)
def report(act: ActArg, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print what became of each project so far. Exit code 6 while the act runs, then as the act itself."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        from labelbridge.cli.many_waiting import print_report

        handle = bridge.fleet.act(act)
        return await print_report(handle, await handle.status(), output)

    execute(output, None, work)


@command(app)
def cancel(
    act: ActArg,
    running: Annotated[
        bool,
        typer.Option(
            "--running", help="Also cancel what runs: undone before its commit, completed after it."
        ),
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Stop an act: nothing more is begun, and what runs is left to end."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        handle = bridge.fleet.act(act)
        await handle.cancel(running=running)
        emit({"id": act}, act, output)
        say(f"Nothing more is begun; `labelbridge fleet watch {act}` says how it ends.")
        return ExitCode.DONE

    execute(output, None, work)


@command(app, "list")
def acts(output: OutputOption = OutputFormat.TABLE) -> None:
    """Print the ids of the last acts, newest first, as long as Temporal remembers them."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        found = await bridge.fleet.acts()
        emit(list(found), "\n".join(found), output)
        return ExitCode.DONE

    execute(output, None, work)
