"""Entry point of `labelbridge`; each command imports what it needs only when it runs.

Prevents slow starts (`--help` and a TAB in the shell load Typer and Rich and nothing else that is large) and
unclean ends: the process leaves through `_exit.leave`, whatever happened.
"""

import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from labelbridge.cli import convert, events, fleet, following, looking, operations, reconcile, snapshots
from labelbridge.cli._exit import leave
from labelbridge.cli.command import command
from labelbridge.cli.completion import completion, prepare
from labelbridge.cli.output import OutputFormat, reporting
from labelbridge.errors import ExitCode

_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.UNEXPECTED: "unexpected failure (a bug: please report the traceback)",
    ExitCode.USAGE: "the command line or the settings are wrong, or the confirmation did not match",
    ExitCode.REFUSED: "refused, without effect",
    ExitCode.ROLLED_BACK: "failed and put back",
    ExitCode.CANCELLED: "cancelled and undone; with --all: some projects were not begun",
    ExitCode.STILL_RUNNING: "the operation still runs or the condition is not met yet, only the waiting ended",
    ExitCode.UNREACHABLE: "a service could not be reached",
    ExitCode.FINDINGS: "doctor or --dry-run found errors, or reconcile something that differs still; with --all: some "
    "projects were refused or failed",
    ExitCode.QUARANTINED: "done, but some labels are in quarantine (operations: with --allow-quarantine)",
}
EPILOG = "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in _MEANINGS.items()) + "."

_NO_HELP = {
    "help": False,
    "version": False,
    snapshots.NAME: {"help": False},
    events.NAME: {"help": False},
    fleet.NAME: {"help": False},
}
"""`--help` and `--version` that were not given, said in Typer's own type: it would load pydantic to read a None as no."""

app = typer.Typer(
    help="Move the right to label a text project between Language Studio and Azure ML, with its labels.",
    epilog=EPILOG,
    no_args_is_help=True,
    # `completion` prints the script. Typer's own options would cost every `--help` the loading of pydantic.
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "default_map": _NO_HELP},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"labelbridge {version('labelbridge')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for function in (
    looking.doctor,
    operations.connect,
    operations.switch,
    operations.sync,
    operations.train,
    operations.disconnect,
    looking.status,
    following.watch,
    following.wait,
    looking.history,
    looking.cancel,
    reconcile.reconcile,
    events.policy,
    convert.convert,
):
    command(app)(function)
command(app, "import")(operations.import_)
command(app, "list")(fleet.list_)
app.add_typer(snapshots.app)
app.add_typer(events.app)
app.add_typer(fleet.app)
command(app)(completion)


@command(app)
def dev(
    directory: Annotated[
        Path, typer.Option("--directory", metavar="DIR", help="Where the stack keeps its state between runs.")
    ] = Path(".labelbridge/dev"),
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Documents and labels file of the project; the shipped sample if not given.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="How many workers.")] = 1,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Also Temporal's web interface.")] = True,
    web: Annotated[bool, typer.Option("--console/--no-console", help="Also Labelbridge's console.")] = True,
) -> None:
    """Run the local stack in the foreground: a rehearsal of Azure, with a sample project in it."""
    from labelbridge.cli.dev import run_dev

    with reporting(OutputFormat.TABLE):
        code = run_dev(directory, data=data, workers=workers, ui=ui, web=web)
    raise typer.Exit(code)


@command(app)
def worker() -> None:
    """Run workflows and activities until SIGTERM or Ctrl-C. Settings: LABELBRIDGE_* variables."""
    from labelbridge.extras import Extra, needs

    with reporting(OutputFormat.TABLE):
        with needs(Extra.WORKER, "A worker"):
            from workers.main import main
        main()


@command(app)
def console() -> None:
    """Serve the console and the HTTP API until SIGTERM or Ctrl-C. Settings: LABELBRIDGE_CONSOLE__* variables."""
    from labelbridge.cli.console import run_console

    with reporting(OutputFormat.TABLE):
        run_console()


@command(app, "codec-server")
def codec_server() -> None:
    """Show payloads to Temporal's UI, for those who may, until SIGTERM or Ctrl-C. Settings: LABELBRIDGE_CODEC_SERVER__*."""
    from labelbridge.cli.codec_server import run_codec_server

    with reporting(OutputFormat.TABLE):
        run_codec_server()


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process; see the epilog of `--help` for the exit codes."""
    code = int(ExitCode.UNEXPECTED)
    try:
        prepare()
        app(arguments, prog_name="labelbridge")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # the process ends here: nothing may escape into the interpreter's take-down
        traceback.print_exc(file=sys.stderr)
    leave(code)


if __name__ == "__main__":
    run()
