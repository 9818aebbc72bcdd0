"""Acts on many projects, for callers: start one, look at it, wait for it, stop it. `Labelbridge.fleet` gives it.

Prevents an act that is done twice because an answer was lost: its key is the id of its workflow, and the same key
finds the same act, running or ended.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import _submit, names
from labelbridge._handle import PASSING, as_error, failure
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet import listing
from labelbridge.fleet.orders import (
    FLEET_ID,
    FleetOrder,
    FleetOutcome,
    FleetPhase,
    FleetRequest,
    FleetRow,
    FleetState,
    FleetStatus,
    FleetStop,
)
from labelbridge.fleet.where import parse
from labelbridge.model import MergePolicy, ProjectSummary, SplitPolicy, Studio, SwitchRequest, SyncRequest

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.fleet.acts import Acts

_ATTEMPT = timedelta(seconds=10)
_PAUSE = 0.5
"""Seconds between two attempts to reach a server that does not answer."""
LAST = 50
"""Acts that `list` gives."""


class FleetHandle:
    """One act on many projects."""

    def __init__(self, bridge: "Labelbridge", id: str) -> None:  # noqa: A002
        """Use `Labelbridge.fleet`."""
        self.id = id
        self.workflow_id = names.FLEET.format(id=id)
        self._bridge = bridge

    @property
    def _workflow(self) -> WorkflowHandle[object, FleetStatus]:
        return self._bridge.client.get_workflow_handle(self.workflow_id, result_type=FleetStatus)

    async def result(self, timeout: timedelta | float | None = None) -> FleetStatus:
        """Wait until every project has had its turn, and its operation has ended; counts say how.

        Raises:
            LabelbridgeError: why nothing was begun, or `wait_timeout`; the act goes on then.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            return await asyncio.wait_for(self._result(), seconds)
        except TimeoutError as error:
            raise LabelbridgeError("wait_timeout", f"The fleet act {self.id} still runs.") from error

    async def _result(self) -> FleetStatus:
        while True:
            try:
                return await self._workflow.result()
            except WorkflowFailureError as error:
                raise as_error(error.cause) from error
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    unknown = LabelbridgeError("fleet_unknown", f"There is no fleet act {self.id}.")
                    return await self._kept(unknown)
                if error.status not in PASSING:
                    raise LabelbridgeError("temporal_unreachable", str(error)) from error
            await asyncio.sleep(_PAUSE)

    async def status(self) -> FleetStatus:
        """How the act stands, from its workflow; of one that ended the record store knows, too.

        Raises:
            LabelbridgeError: `fleet_unknown`, `no_worker`, `temporal_unreachable`.
        """
        try:
            seen: FleetStatus = await self._workflow.query(
                names.FLEET_STATUS, result_type=FleetStatus, rpc_timeout=_ATTEMPT
            )
        except WorkflowQueryFailedError as error:
            refusal = LabelbridgeError("no_worker", f"No worker says how the act stands: {error}")
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                refusal = LabelbridgeError("fleet_unknown", f"There is no fleet act {self.id}.")
            elif error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                refusal = LabelbridgeError("no_worker", "No worker says how the act stands.")
            else:
                raise LabelbridgeError("temporal_unreachable", str(error)) from error
        else:
            return seen
        return await self._kept(refusal)

    async def report(self) -> tuple[FleetRow, ...]:
        """What became of each project so far, in the order in which that was known."""
        try:
            last = (await self.status()).rows
        except LabelbridgeError as error:
            if error.final:
                raise
            last = ()  # the pages that are written can be read all the same
        async with _acts(self._bridge) as acts:
            rows = await acts.rows(self.id)
        return tuple({row.project.key: row for row in (*rows, *last)}.values())

    async def cancel(self, *, running: bool = False) -> None:
        """Begin nothing more; what runs is left to end, or (`running`) cancelled: undone before its commit."""
        stop = FleetStop(why="cancelled", running=running)
        try:
            await self._workflow.signal(names.FLEET_STOP, stop, rpc_timeout=_ATTEMPT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise LabelbridgeError("fleet_unknown", f"No fleet act {self.id} runs.") from error
            raise LabelbridgeError("temporal_unreachable", str(error)) from error

    async def _kept(self, refusal: LabelbridgeError) -> FleetStatus:
        async with _acts(self._bridge) as acts:
            ended = await acts.ended(self.id)
        if ended is None:
            raise refusal
        return ended


class FleetDesk:
    """The fleet of one connection."""

    def __init__(self, bridge: "Labelbridge") -> None:
        """Use `Labelbridge.fleet`."""
        self._bridge = bridge

    async def list(self, where: str = "", *, limit: int | None = None) -> list[ProjectSummary]:
        """The projects that match, by name, each as its entity last published it: about a second old.

        Raises:
            LabelbridgeError: `where_invalid`, `temporal_unreachable`.
        """
        return await listing.listed(self._bridge.client, parse(where), limit)

    async def start(
        self,
        request: FleetRequest,
        *,
        where: str = "",
        key: str | None = None,
        max_parallel: int = 4,
        at_most: int | None = None,
        stop_after: int | None = None,
        wait_for_roles: timedelta = timedelta(0),
    ) -> FleetHandle:
        """Ask the same of every project that matches; returns once the server has the act, worker or none.

        Args:
            request: a switch, a sync or a training.
            where: which projects; all if empty. Each is held against it again when its turn comes.
            key: idempotency key and id of the act: up to 80 letters, digits, dots, dashes, underscores.
            max_parallel: projects at once.
            at_most: begin nothing if more projects match than this.
            stop_after: begin nothing more once so many were refused or failed.
            wait_for_roles: how long each preflight may wait for a role assignment.

        Raises:
            LabelbridgeError: `where_invalid`, `key_reused`, `input_invalid`, `temporal_unreachable`.
        """
        parse(where)
        order = _submit.noun(
            FleetOrder,
            id=key or f"{request.kind}-{uuid4().hex[:12]}",
            request=request,
            where=where.strip(),
            actor=await self._bridge.actor(),
            submitted_at=datetime.now(UTC),
            max_parallel=max_parallel,
            at_most=at_most,
            stop_after=stop_after,
            wait_for_roles=wait_for_roles,
        )
        handle = self.act(order.id)
        try:
            await self._bridge.client.start_workflow(
                names.FLEET_WORKFLOW,
                FleetState(order=order),
                id=handle.workflow_id,
                task_queue=self._bridge.settings.temporal.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={names.FLEET_DIGEST: order.digest},
                rpc_timeout=_ATTEMPT,
            )
        except WorkflowAlreadyStartedError as error:
            await self._same(handle, order, error)
        except RPCError as error:
            raise LabelbridgeError("temporal_unreachable", str(error)) from error
        return handle

    async def _same(self, handle: FleetHandle, order: FleetOrder, error: Exception) -> None:
        """The act of this key is ours, or it is another: `key_reused`."""
        described = await self._bridge.client.get_workflow_handle(handle.workflow_id).describe()
        if await described.memo_value(names.FLEET_DIGEST, "") != order.digest:
            raise LabelbridgeError("key_reused", f"The fleet act {order.id} is another.") from error

    async def switch(
        self,
        *,
        to: Studio | str,
        where: str = "",
        max_parallel: int = 4,
        policy: MergePolicy = "active",
        split: SplitPolicy | None = None,
        test_percent: int = 20,
        at_most: int | None = None,
        key: str | None = None,
    ) -> FleetHandle:
        """Move labeling of every project that matches; `await handle.result()` says how many did."""
        request = _submit.noun(SwitchRequest, to=to, policy=policy, split=split, test_percent=test_percent)
        return await self.start(request, where=where, key=key, max_parallel=max_parallel, at_most=at_most)

    async def sync(
        self,
        *,
        where: str = "",
        max_parallel: int = 4,
        merge: bool = False,
        policy: MergePolicy = "active",
        split: SplitPolicy | None = None,
        test_percent: int = 20,
        at_most: int | None = None,
        key: str | None = None,
    ) -> FleetHandle:
        """Bring Language up to date with the active studio, for every project that matches."""
        request = _submit.noun(
            SyncRequest, merge=merge, policy=policy, split=split, test_percent=test_percent
        )
        return await self.start(request, where=where, key=key, max_parallel=max_parallel, at_most=at_most)

    def act(self, id: str) -> FleetHandle:  # noqa: A002
        """An act whose id is known, from this or another process; `fleet_unknown` for what can be none."""
        if not re.fullmatch(FLEET_ID, id):
            raise LabelbridgeError("fleet_unknown", f"{id!r} cannot be the id of a fleet act.")
        return FleetHandle(self._bridge, id)

    async def knows(self, key: str) -> bool:
        """True if this key's act is there: what it changed needs no second confirmation, and may match no more."""
        try:
            await self.act(key).status()
        except LabelbridgeError as error:
            if error.code not in ("fleet_unknown", "no_worker"):
                raise
            return error.code == "no_worker"
        return True

    async def acts(self, limit: int = LAST) -> tuple[str, ...]:
        """Ids of the acts that Temporal remembers, newest first."""
        prefix = names.FLEET.format(id="")
        query = f"WorkflowType = '{names.FLEET_WORKFLOW}'"
        found: dict[str, None] = {}
        try:
            async for one in self._bridge.client.list_workflows(query, limit=limit, rpc_timeout=_ATTEMPT):
                found[one.id.removeprefix(prefix)] = None
        except RPCError as error:
            raise failure(error) from error
        return tuple(found)


@asynccontextmanager
async def _acts(bridge: "Labelbridge") -> "AsyncIterator[Acts]":
    from labelbridge.azure.session import AzureSession
    from labelbridge.fleet.acts import Acts

    async with AzureSession(bridge.settings) as session:
        yield Acts.of(session, bridge.settings)


__all__ = ["FleetDesk", "FleetHandle", "FleetOutcome", "FleetPhase", "FleetRow", "FleetStatus"]
