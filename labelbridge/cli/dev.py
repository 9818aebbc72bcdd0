"""`labelbridge dev`: the local stack in the foreground, with a sample project in it."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.extras import Extra, needs

if TYPE_CHECKING:
    from labelbridge.local.stack import Stack

DEFAULT_DIRECTORY = Path(".labelbridge/dev")
PROJECT = "clinic"


def run_dev(
    directory: Path = DEFAULT_DIRECTORY,
    *,
    data: Path | None = None,
    workers: int = 1,
    ui: bool = True,
    web: bool = True,
    console: Console | None = None,
    announce: Callable[[Path], None] | None = None,
) -> int:
    """Start the local stack, say where everything is, and wait for Ctrl-C or SIGTERM.

    Args:
        directory: keeps all state; an earlier run's is taken up again.
        data: folder of documents and a labels file for the project; the shipped sample if None.
        workers: how many workers.
        ui: also Temporal's web interface.
        web: also Labelbridge's own console.
        console: where to write; stderr if None.
        announce: told the env file once everything serves.

    Returns:
        The exit code: 0 after being interrupted, 7 if a part died.

    Raises:
        LabelbridgeError: `extra_missing` if the extra `local` is not installed, `unavailable` if a
            part could not be started.
    """
    with needs(Extra.LOCAL, "The local stack"):
        from labelbridge.local import env
        from labelbridge.local.processes import ChildError
        from labelbridge.local.stack import Stack
    console = console or Console(stderr=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    def died(message: str) -> None:
        console.print(f"[red]{message}[/red]", highlight=False)
        ended.set()

    console.print(f"Starting the local stack in {directory} (logs in {directory / 'logs'})", highlight=False)
    stack = Stack(directory, workers=workers, ui=ui, console=web, reconcile="PT1M", on_death=died)
    try:
        with stack:
            file = stack.directory / "operator.env"
            env.write_env_file(file, stack.environment("operator"))
            name = _seed(stack, data)
            _print_addresses(console, stack, name, file)
            if announce:
                announce(file)
            ended.wait()
            console.print("Stopping")
    except ChildError as error:
        if stack.failure:
            return int(ExitCode.UNREACHABLE)
        raise LabelbridgeError(
            "unavailable", str(error), remedy="See the log that the message names."
        ) from error
    return 0


def _seed(stack: "Stack", data: Path | None) -> str:
    """Make the project if this directory has none yet; its name."""
    from labelbridge.local import seed
    from labelbridge.local.folders import ProjectFolder
    from labelbridge.samples import CLINIC

    name = PROJECT if data is None else data.resolve().name
    marker = stack.directory / f"seeded-{name}"
    if not marker.exists():
        seed.make_project(stack.tenant, ProjectFolder.read(data or CLINIC), name=name)
        marker.touch()
    return name


def _print_addresses(console: Console, stack: "Stack", project: str, file: Path) -> None:
    web = stack.console.address if "console" in stack.names else "off"
    for name, value in {
        "Console": web,
        "Language Studio (rehearsal)": f"{stack.place.base_url}{_language_page(stack, project)}",
        "Azure ML labeling (rehearsal)": f"{stack.place.base_url}/studio, once a project is connected",
        "Who can sign in": ", ".join(name.capitalize() for name in _people()),
        "Temporal": stack.temporal.address,
        "Temporal's UI": stack.temporal.ui_address or "off",
        "Azure (ARM, Language)": stack.place.base_url,
        "Identity": stack.place.identity_endpoint,
        "Blob": stack.place.storage_endpoint,
        "Language resource": stack.tenant.language_resource,
        "Workspace": stack.tenant.workspace,
        "Project": project,
        "Environment file": str(file),
    }.items():
        # No table: it would cut addresses off where the terminal is narrow, or is none.
        console.print(f"{name:<30} {value}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"\nIn another terminal:  set -a; . {file}; set +a; labelbridge status {project}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"The browser does not know this stack's certificates: accept them once, or trust {stack.place.authority}",
        highlight=False,
        soft_wrap=True,
    )
    console.print("Ctrl-C ends everything.")


def _people() -> tuple[str, ...]:
    from labelbridge.local.seed import SIGN_INS

    return tuple(SIGN_INS)


def _language_page(stack: "Stack", project: str) -> str:
    account = stack.tenant.language_resource.rsplit("/", 1)[-1]
    return f"/studio/language/{account}/{project}"
