"""The commands that change nothing in Azure: doctor, status, history, cancel."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli import seen
from labelbridge.cli.conduct import asked, execute, project_of, run
from labelbridge.cli.options import AnyProjectArg, OutputOption, ProjectArg, ResourceOption, duration
from labelbridge.cli.output import OutputFormat, done, emit, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.model import ProjectStatus, Request
    from labelbridge.settings import Settings

NO_PROJECT = (
    "No project was ever connected here. `labelbridge doctor PROJECT` looks at what a connection needs, "
    "`labelbridge connect PROJECT --job NAME` makes it."
)


class Purpose(StrEnum):
    """What a look is for; an import is looked at with `import --dry-run`, which has its options."""

    CONNECT = "connect"
    SWITCH = "switch"
    SYNC = "sync"
    TRAIN = "train"
    DISCONNECT = "disconnect"


class DoctorFormat(StrEnum):
    """As `OutputFormat`, and `report`: a page for a ticket."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    REPORT = "report"


def doctor(
    project: ProjectArg,
    purpose: Annotated[
        Purpose | None,
        typer.Option("--for", help="Operation to look for: connect if not connected, else switch."),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            "--job", metavar="NAME", help="Labeling job to create, for connect; the project's name."
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", metavar="ARM-ID", help="Azure ML workspace, instead of LABELBRIDGE_WORKSPACE."
        ),
    ] = None,
    language_resource: ResourceOption = None,
    output: Annotated[
        DoctorFormat,
        typer.Option(
            "--output",
            "-o",
            help="Form of the data on stdout; `report` is Markdown for a ticket: versions, settings without "
            "secrets, status, findings, also if nothing can be reached.",
        ),
    ] = DoctorFormat.TABLE,
) -> None:
    """Look at everything an operation needs; each finding comes with the command that mends it."""
    if output is DoctorFormat.REPORT:
        from labelbridge.cli.report import print_report

        def request(status: "ProjectStatus", settings: "Settings") -> "Request":
            return _request_for(purpose, status, job, workspace or settings.workspace)

        with reporting(OutputFormat.TABLE):
            raise done(print_report(project, language_resource, request))

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        from labelbridge.cli.present import findings_table

        ref = bridge.project(project)
        request = _request_for(purpose, await bridge.status(ref), job, workspace or settings.workspace)
        preflight = await bridge.preflight(ref, request)
        emit(preflight, findings_table(preflight.findings), OutputFormat(output.value))
        say(f"Looked for {request.kind}: {len(preflight.errors)} errors.")
        return ExitCode.FINDINGS if preflight.errors else ExitCode.DONE

    execute(OutputFormat(output.value), language_resource, work)


def _request_for(
    purpose: Purpose | None, status: "ProjectStatus", job: str | None, workspace: str | None
) -> "Request":
    """The request whose needs are looked at; its own choices (names) do not change the findings."""
    from labelbridge.model import (
        ConnectRequest,
        DisconnectRequest,
        JobRef,
        SwitchRequest,
        SyncRequest,
        TrainRequest,
    )

    purpose = purpose or (Purpose.SWITCH if status.connected else Purpose.CONNECT)
    match purpose:
        case Purpose.CONNECT:
            if workspace is None:
                raise LabelbridgeError(
                    "settings_invalid", "No workspace: give --workspace or LABELBRIDGE_WORKSPACE."
                )
            name = job or re.sub(r"[^A-Za-z0-9_-]", "-", status.project.name).lstrip("-_")
            return asked(ConnectRequest, job=asked(JobRef, workspace=workspace, name=name))
        case Purpose.SWITCH:
            return SwitchRequest(to=status.active.other)
        case Purpose.SYNC:
            return SyncRequest()
        case Purpose.TRAIN:
            return TrainRequest(model="doctor")
        case Purpose.DISCONNECT:
            return DisconnectRequest(labels="sync")


def status(
    project: AnyProjectArg = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say who labels where, since which epoch, and what runs now."""

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        from labelbridge.cli.present import status_table, statuses_table

        if project is not None:
            one = await _with_policy(settings, await bridge.status(bridge.project(project)))
            emit(one, status_table(one), output)
            return ExitCode.DONE
        everything = await bridge.statuses()
        seen.remember(one.project for one in everything)
        if everything or output is not OutputFormat.TABLE:
            emit(everything, statuses_table(everything), output)
        else:
            say(NO_PROJECT)
        return ExitCode.DONE

    execute(output, language_resource, work)


async def _with_policy(settings: "Settings", status: "ProjectStatus") -> "ProjectStatus":
    """The status with what the registry says of automatic syncs, if it can be read."""
    from labelbridge._offline import stores

    try:
        async with stores(settings) as opened:
            policy = await opened.policies.read(status.project)
    except LabelbridgeError:
        return status
    return status.model_copy(update={"auto_sync": policy.text})


def since(text: str) -> datetime:
    """Read a time: `2026-03-01`, `2026-03-01T12:00Z` (UTC if no zone is said), or how long ago: `90m`, `7d`.

    Raises:
        typer.BadParameter: for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return datetime.now(UTC) - duration(text)
        except (typer.BadParameter, OverflowError) as error:
            raise typer.BadParameter(
                f"{text!r} is neither a time nor a duration: say 2026-03-01, 2026-03-01T12:00Z or 7d"
            ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def history(
    project: ProjectArg,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="The newest so many; 0 for all that there are.")
    ] = 100,
    after: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            metavar="TIME",
            parser=since,
            help="Only what ended since then: 2026-03-01, 2026-03-01T12:00Z, or 7d (days ago).",
            show_default=False,
        ),
    ] = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print the audit trail, oldest first: each operation that ended, by whom, and how."""
    with reporting(output):
        from labelbridge import _offline
        from labelbridge.cli.present import history_table

        settings, ref = project_of(project, language_resource)
        read = run(_offline.history(settings, ref, limit=limit or None))
        entries = [entry for entry in read if after is None or entry.ended_at >= after]
        emit(entries, history_table(entries), output)
        if limit and len(entries) == limit:
            say(f"The newest {limit}; there may be older ones: --limit 0 prints all.")


def cancel(
    project: ProjectArg,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Cancel the running operation: undone before its commit, completed after it."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        running = await bridge.cancel(bridge.project(project))
        if running is None:
            if output is not OutputFormat.TABLE:
                emit(None, "", output)
            say("Nothing is running.")
        else:
            emit(running, running.operation_id, output)
            say(
                f"{running.kind.value} {running.operation_id} was asked to stop; `labelbridge wait` says how it ends."
            )
        return ExitCode.DONE

    execute(output, language_resource, work)
