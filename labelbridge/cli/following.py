"""The commands `wait` and `watch`: until something is so, or for as long as somebody looks."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli.conduct import execute, exit_code
from labelbridge.cli.options import AnyProjectArg, OutputOption, ProjectArg, ResourceOption, TimeoutOption
from labelbridge.cli.output import OutputFormat, emit, reporting
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from datetime import timedelta

    from labelbridge.client import Labelbridge
    from labelbridge.model import OperationResult, ProjectRef
    from labelbridge.settings import Settings


class Condition(StrEnum):
    """What can be waited for besides an operation's end."""

    SYNCED = "synced"
    AZUREML = "active=azureml"
    LANGUAGE = "active=language"
    IDLE = "idle"


def wait(
    project: ProjectArg,
    operation: Annotated[
        str | None,
        typer.Argument(metavar="OPERATION", help="Id of the operation.", show_default=False),
    ] = None,
    condition: Annotated[
        Condition | None,
        typer.Option(
            "--for",
            help="Instead of an operation: `synced` until Language got labels exported after this call (starts "
            "no sync), `active=...` until people label there, `idle` until nothing runs or waits.",
            show_default=False,
        ),
    ] = None,
    timeout: TimeoutOption = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Wait for an operation that was started elsewhere, or until something is so.

    Exit code 0 if it is so or the operation committed, 6 at the time-out, 3 if it cannot come about.
    """
    with reporting(output):
        if (operation is None) is (condition is None):
            raise LabelbridgeError("input_invalid", "Name one operation, or say --for CONDITION.")

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        ref = bridge.project(project)
        if condition is None:
            return await _operation(bridge, ref, operation or "", timeout, output)
        from labelbridge.cli.conditions import until
        from labelbridge.cli.present import status_table

        met = await until(bridge, settings, ref, condition, timeout)
        emit(met, status_table(met), output)
        return ExitCode.DONE

    execute(output, language_resource, work)


async def _operation(
    bridge: "Labelbridge",
    ref: "ProjectRef",
    operation: str,
    timeout: "timedelta | None",
    output: OutputFormat,
) -> ExitCode:
    from labelbridge.cli.present import result_table
    from labelbridge.cli.waiting import watch as follow

    result = await _ended(bridge, ref, operation) or await follow(bridge.operation(ref, operation), timeout)
    emit(result, result_table(result), output)
    return exit_code(result)


async def _ended(bridge: "Labelbridge", project: "ProjectRef", operation: str) -> "OperationResult | None":
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


def watch(
    project: AnyProjectArg = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show live what happens to one project, step by step, or to all; ends at Ctrl-C.

    On a terminal one picture is redrawn; elsewhere each change is a line, with --output json a JSON object.
    """

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        from labelbridge.cli import watching

        if project is None:
            await watching.watch_fleet(bridge, output)
        else:
            await watching.watch_project(bridge, bridge.project(project), output)
        return ExitCode.DONE

    execute(output, language_resource, work)
