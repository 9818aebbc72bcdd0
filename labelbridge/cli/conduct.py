"""What every command that changes something does: build the request, plan or start it, wait, report.

Prevents commands that differ in their exit codes or in what they do at a time-out: there is one path.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from labelbridge.cli.output import OutputFormat, done, emit, reporting, say
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge, OperationHandle
    from labelbridge.model import Model, OperationResult, ProjectRef, Request
    from labelbridge.settings import Settings

ACCEPT_TIMEOUT = timedelta(seconds=60)
"""How long a request may wait for a worker's answer before the command says that none is up."""

M = TypeVar("M", bound="Model")
T = TypeVar("T")
Work = Callable[["Labelbridge", "Settings"], Awaitable[ExitCode]]
Build = Callable[["Labelbridge", "Settings"], Awaitable["Request"]]


@dataclass(frozen=True)
class Ask:
    """The options that every changing command has; see `options` for their meaning."""

    project: str
    output: OutputFormat
    language_resource: str | None
    wait: bool
    timeout: timedelta | None
    key: str | None
    dry_run: bool
    wait_for_roles: timedelta | None


def asked(model: type[M], /, **fields: object) -> M:
    """Build a noun from what the command line said; `input_invalid` names each field that is wrong."""
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or model.__name__}: {e['msg']}" for e in error.errors()]
        raise LabelbridgeError("input_invalid", "; ".join(lines)) from error


def load_settings(language_resource: str | None) -> "Settings":
    """The settings of this process, with the Language resource that the command line named."""
    from labelbridge.model import arm_id
    from labelbridge.settings import Settings

    settings = Settings.load()
    if language_resource is None:
        return settings
    try:
        return settings.model_copy(update={"language_resource": arm_id(language_resource)})
    except ValueError as error:
        raise LabelbridgeError("input_invalid", f"--language-resource: {error}") from error


def project_of(name: str, language_resource: str | None) -> "tuple[Settings, ProjectRef]":
    """The settings and the project of a command that asks no worker."""
    from labelbridge._submit import reference

    settings = load_settings(language_resource)
    if settings.language_resource is None:
        raise LabelbridgeError("settings_invalid", "language_resource: needed to find a project by its name")
    return settings, reference(settings.language_resource, name)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end. Loads asyncio only now: `--help` has no use for it and would wait for it."""
    import asyncio

    return asyncio.run(work)


def execute(output: OutputFormat, language_resource: str | None, work: Work) -> NoReturn:
    """Run `work` with a connected client and end the command with the exit code it returns."""

    async def work_connected(settings: "Settings") -> ExitCode:
        from labelbridge.client import Labelbridge
        from labelbridge.telemetry import spans

        spans.configure("labelbridge-cli")
        async with Labelbridge.connect(settings) as bridge:
            return await work(bridge, settings)

    with reporting(output):
        code = run(work_connected(load_settings(language_resource)))
    raise done(code)


def conduct(ask: Ask, build: Build) -> NoReturn:
    """Do what a changing command was asked: the plan only, or start the operation and report its end."""

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        from labelbridge.cli.rehearsal import dry_run

        project = bridge.project(ask.project)
        request = await build(bridge, settings)
        if ask.dry_run:
            return await dry_run(bridge, project, request, ask.output)
        handle = await _start(bridge, project, request, ask)
        return await _finish(handle, ask)

    execute(ask.output, ask.language_resource, work)


async def _start(
    bridge: "Labelbridge", project: "ProjectRef", request: "Request", ask: Ask
) -> "OperationHandle":
    import asyncio
    import uuid

    key = ask.key or uuid.uuid4().hex
    again = f"Repeat the command with `--key {key}`: it is done once, however often it is sent."
    try:
        handle = await bridge.start(
            project,
            request,
            key=key,
            wait_for_roles=ask.wait_for_roles or timedelta(0),
            accept_timeout=min(ask.timeout or ACCEPT_TIMEOUT, ACCEPT_TIMEOUT),
        )
    except asyncio.CancelledError:
        raise LabelbridgeError(
            "wait_timeout",
            "Interrupted while the request was on its way: it may have been accepted.",
            remedy=again,
        ) from None
    except LabelbridgeError as error:
        if not error.final:
            say(again)
        raise
    joined = ", which serves this request too" if handle.joined else ""
    say(f"{request.kind} is operation {handle.operation_id}{joined}.")
    return handle


async def _finish(handle: "OperationHandle", ask: Ask) -> ExitCode:
    from labelbridge.cli.present import result_table
    from labelbridge.cli.waiting import watch

    if not ask.wait:
        accepted = {
            "operation_id": handle.operation_id,
            "workflow_id": handle.workflow_id,
            "joined": handle.joined,
        }
        emit(accepted, handle.operation_id, ask.output)
        return ExitCode.DONE
    result = await watch(handle, ask.timeout)
    emit(result, result_table(result), ask.output)
    return exit_code(result)


def exit_code(result: "OperationResult") -> ExitCode:
    """0, or 9 if the operation went on without labels that could not be read."""
    if result.snapshot and result.snapshot.quarantined:
        say(f"{result.snapshot.quarantined} rows are in quarantine: {result.snapshot.quarantine}")
        return ExitCode.QUARANTINED
    return ExitCode.DONE
