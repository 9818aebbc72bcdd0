"""`switch --all` and `sync --all`: one act on every project that a filter matches, confirmed by their number.

Prevents an act on more projects than somebody meant: their number is typed, or given with `--confirm`, and the act
begins nothing if by then more of them match.
"""

import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from labelbridge.cli.conduct import Ask, Build, conduct, execute
from labelbridge.cli.output import emit, reporting, say, stderr
from labelbridge.errors import ExitCode, LabelbridgeError

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.fleet.client import FleetHandle
    from labelbridge.fleet.orders import FleetRequest
    from labelbridge.settings import Settings


@dataclass(frozen=True)
class Many:
    """The options of a command that one project's name, or `--all`, gives its objects."""

    everything: bool
    where: str | None
    max_parallel: int
    stop_after: int | None
    confirm: int | None

    def check(self, ask: Ask) -> None:
        """Refuse what does not go together; `input_invalid` says what."""
        if bool(ask.project) is self.everything:
            raise LabelbridgeError("input_invalid", "Name one project, or say --all.")
        if not self.everything and (self.where, self.stop_after, self.confirm) != (None, None, None):
            raise LabelbridgeError("input_invalid", "--where, --stop-after and --confirm go with --all.")
        if self.everything and ask.language_resource is not None:
            raise LabelbridgeError(
                "input_invalid",
                "--language-resource names one project's resource.",
                remedy="With --all say it in the filter: --where 'resource=NAME'.",
            )


def conduct_one_or_many(ask: Ask, many: Many, build: Build) -> NoReturn:
    """Do what a changing command was asked, of one project or of many."""
    with reporting(ask.output):
        many.check(ask)
    if not many.everything:
        conduct(ask, build)

    async def work(bridge: "Labelbridge", settings: "Settings") -> ExitCode:
        from labelbridge.cli.many_waiting import finish

        request = await build(bridge, settings)
        assert request.kind in ("switch", "sync", "train")
        if ask.dry_run:
            return await _rehearse(bridge, request, ask, many)
        handle = await _start(bridge, request, ask, many)
        if handle is None:
            return ExitCode.DONE
        if ask.wait:
            return await finish(handle, ask.timeout, ask.output)
        emit({"id": handle.id, "workflow_id": handle.workflow_id}, handle.id, ask.output)
        return ExitCode.DONE

    execute(ask.output, None, work)


async def _start(
    bridge: "Labelbridge", request: "FleetRequest", ask: Ask, many: Many
) -> "FleetHandle | None":
    """The act; None if there is nothing to act on."""
    where = many.where or ""
    at_most = None
    if ask.key is None or not await bridge.fleet.knows(ask.key):
        found = await bridge.fleet.list(where)
        if not found:
            emit([], "", ask.output)
            say("No project matches: nothing was begun.")
            return None
        confirm_number(len(found), many.confirm, what=f"{request.kind} of {len(found)} projects")
        at_most = len(found)
    handle = await bridge.fleet.start(
        request,
        where=where,
        key=ask.key,
        max_parallel=many.max_parallel,
        at_most=at_most,
        stop_after=many.stop_after,
        wait_for_roles=ask.wait_for_roles or timedelta(0),
    )
    say(f"{request.kind} of all that match is fleet act {handle.id}.")
    return handle


def confirm_number(number: int, given: int | None, *, what: str) -> None:
    """Return if the caller gave or typed the number of projects, else raise `not_confirmed`."""
    if given is not None:
        if given != number:
            raise LabelbridgeError(
                "not_confirmed",
                f"--confirm says {given}, but {number} projects match. Nothing was begun.",
                remedy="Look at them with `labelbridge list --where …`.",
            )
        return
    if not sys.stdin.isatty():
        raise LabelbridgeError(
            "not_confirmed",
            f"This is a {what}. There is no terminal to ask on.",
            remedy=f"Give their number with `--confirm {number}`.",
        )
    say(f"This is a {what}; `labelbridge list --where …` shows them.")
    stderr().print(f"Type their number ({number}) to go on: ", markup=False, end="")
    typed = sys.stdin.readline().strip()
    if typed != str(number):
        raise LabelbridgeError("not_confirmed", f"{typed!r} is not {number}. Nothing was begun.")


async def _rehearse(bridge: "Labelbridge", request: "FleetRequest", ask: Ask, many: Many) -> ExitCode:
    from labelbridge.cli.many_pictures import rehearsal_table
    from labelbridge.fleet.rehearsal import rehearse

    found = await rehearse(bridge, request, many.where or "", parallel=many.max_parallel)
    emit(found, rehearsal_table(found), ask.output)
    stopped = sum(one.refused for one in found)
    say(f"{len(found)} projects match, {stopped} would be refused. Nothing was changed.")
    return ExitCode.FINDINGS if stopped else ExitCode.DONE


__all__ = ["Many", "conduct_one_or_many", "confirm_number"]
