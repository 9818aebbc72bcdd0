"""The commands that change nothing in Azure: doctor, status, history, wait, cancel."""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli.conduct import asked, execute, exit_code
from labelbridge.cli.options import OutputOption, ProjectArg, ResourceOption, TimeoutOption
from labelbridge.cli.output import OutputFormat, emit, emit_json, say
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    JobRef,
    OperationResult,
    ProjectRef,
    ProjectStatus,
    Request,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.settings import Settings


class Purpose(StrEnum):
    """What a look is for; an import is looked at with `import --dry-run`, which has its options."""

    CONNECT = "connect"
    SWITCH = "switch"
    SYNC = "sync"
    TRAIN = "train"
    DISCONNECT = "disconnect"


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
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Look at everything an operation needs; each finding comes with the command that mends it."""
    from labelbridge.cli.present import findings_table

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        ref = bridge.project(project)
        status = await bridge.status(ref)
        request = _request_for(purpose, status, job, workspace or settings.workspace)
        preflight = await bridge.preflight(ref, request)
        emit(preflight, findings_table(preflight.findings), output)
        say(f"Looked for {request.kind}: {len(preflight.errors)} errors.")
        return ExitCode.FINDINGS if preflight.errors else ExitCode.DONE

    execute(output, language_resource, work)


def _request_for(
    purpose: Purpose | None, status: ProjectStatus, job: str | None, workspace: str | None
) -> Request:
    """The request whose needs are looked at; its own choices (names) do not change the findings."""
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
    project: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="One project; all if not given.")
    ] = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say who labels where, since which epoch, and what runs now."""
    from labelbridge.cli.present import status_table, statuses_table

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        if project is None:
            everything = await bridge.statuses()
            emit(everything, statuses_table(everything), output)
        else:
            one = await _with_policy(settings, await bridge.status(bridge.project(project)))
            emit(one, status_table(one), output)
        return ExitCode.DONE

    execute(output, language_resource, work)


async def _with_policy(settings: "Settings", status: ProjectStatus) -> ProjectStatus:
    """The status with what the registry says of automatic syncs, if it can be read."""
    from labelbridge._offline import stores

    try:
        async with stores(settings) as opened:
            policy = await opened.policies.read(status.project)
    except LabelbridgeError:
        return status
    return status.model_copy(update={"auto_sync": policy.text})


def history(
    project: ProjectArg,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print the audit trail: each operation that ended, by whom, and how."""
    from labelbridge.cli.present import history_table

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        entries = await bridge.history(bridge.project(project))
        emit(entries, history_table(entries), output)
        return ExitCode.DONE

    execute(output, language_resource, work)


def wait(
    project: ProjectArg,
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="Id of the operation.", show_default=False)
    ],
    timeout: TimeoutOption = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Wait for an operation that was started elsewhere; one that has ended answers from the history."""
    from labelbridge.cli.present import result_table
    from labelbridge.cli.waiting import watch

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        ref = bridge.project(project)
        result = await _ended(bridge, ref, operation) or await watch(
            bridge.operation(ref, operation), timeout
        )
        emit(result, result_table(result), output)
        return exit_code(result)

    execute(output, language_resource, work)


async def _ended(bridge: "Labelbridge", project: ProjectRef, operation: str) -> OperationResult | None:
    """The result of an operation that Temporal no longer knows; None if it is still to be waited for.

    Raises:
        LabelbridgeError: how that operation failed; `operation_unknown` if nobody knows it, since
            a wait for it would never end.
    """
    from temporalio.service import RPCError, RPCStatusCode

    workflow_id = bridge.operation(project, operation).workflow_id
    try:
        await bridge.client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise LabelbridgeError("temporal_unreachable", str(error)) from error
    else:
        return None
    now = await bridge.status(project)
    if any(queued.operation_id == operation for queued in now.queued):
        return None
    for entry in await bridge.history(project):
        if entry.operation_id == operation and entry.result:
            return entry.result
        if entry.operation_id == operation and entry.error:
            raise LabelbridgeError.from_info(entry.error)
    raise LabelbridgeError("operation_unknown", f"{project.name} has no operation {operation!r}.")


def cancel(
    project: ProjectArg,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Cancel the running operation: undone before its commit, completed after it."""

    async def work(bridge: "Labelbridge", _: "Settings") -> ExitCode:
        running = await bridge.cancel(bridge.project(project))
        if running is None:
            if output is OutputFormat.JSON:
                emit_json(None)
            say("Nothing is running.")
        else:
            emit(running, running.operation_id, output)
            say(
                f"{running.kind.value} {running.operation_id} was asked to stop; `labelbridge wait` says how it ends."
            )
        return ExitCode.DONE

    execute(output, language_resource, work)
