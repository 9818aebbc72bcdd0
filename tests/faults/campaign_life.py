"""One project of a campaign: what is asked of it, by whom, what is done to it, and the verdicts.

Prevents a campaign that only counts what went well: every request gets an answer that is noted, an
operation that does not end is a violation, and a project of which nothing was witnessed is void.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from temporalio.service import RPCError

from labelbridge._submit import status as ask_entity
from labelbridge.client import OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    OperationResult,
    ProjectRef,
    ProjectStatus,
    ReconcileRequest,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from tests.faults.blob_faults import disturbances as struck_blobs
from tests.faults.campaign_births import import_of, made, sync_on_export
from tests.faults.campaign_judge import Meddling, judge
from tests.faults.campaign_plan import Life, Move
from tests.faults.campaign_scene import Outcome, Scene
from tests.faults.campaign_witness import CampaignWitness, steadily
from tests.faults.checker import Violation
from tests.faults.recording import Ask, Disturbance

PATIENCE = 600.0
"""Seconds until an operation is taken for stuck; with faults all the time on a busy machine."""
JUDGE_EVERY = 5
"""Moves between two quiescent points."""
NOBODY_KNOWS = ("no_worker", "temporal_unreachable")
"""Answers after which a caller repeats the request with the same key."""


class Lived:
    """A project that lives through its plan."""

    def __init__(self, scene: Scene, plan: Life) -> None:
        self._scene = scene
        self._plan = plan
        self._meddling = Meddling()
        self._models = 0
        self._burst = 0
        self._twins: list[tuple[str, str]] = []
        self._source: ImportRequest | None = None
        self._heard: list[Disturbance] = []
        """Events: each may have a sync of its own beside those of people."""
        self.witness: CampaignWitness
        self.outcome = Outcome(plan.number, "")

    async def live(self) -> Outcome:
        """All of it; what goes wrong is in the outcome."""
        judged = False
        try:
            await self._begin()
            for place, move in enumerate(self._plan.moves, 1):
                if time.monotonic() > self._scene.ends_at and place > 1:
                    break
                await (self._import if move.what == "import" else self._carry_out)(move)
                judged = place % JUDGE_EVERY == 0
                if judged:
                    await self._judge()
            if not judged:  # a verdict on nothing new would be void
                await self._judge()
        except Exception as error:
            self.outcome.broken = f"{type(error).__name__}: {error}"
            with suppress(Exception):
                await self._judge(final=False)
        finally:
            await self._end()
        return self.outcome

    async def _begin(self) -> None:
        """A project that exists and is labelled, or one that is to be imported."""
        project, folder = await made(self._scene, self._plan)
        self.witness = CampaignWitness(self._scene.stack, self._scene.log, project, folder, self._scene.path)
        self.outcome.project = project.ref.name
        if self._plan.auto_sync and self._scene.stores:
            await sync_on_export(self._scene, self._ref)
        if self._plan.imported:
            self._source = await import_of(self._scene, project, folder, self.witness.job)
        else:
            await self.witness.begin_work()
        self.witness.watch()

    async def _end(self) -> None:
        if not self.outcome.project:
            return
        with suppress(Exception):
            await asyncio.to_thread(self.witness.leave)
        with suppress(RPCError):
            await self._scene.client.get_workflow_handle(self._ref.workflow_id).terminate("the life is over")
        self._scene.taken.extend(self.witness.jobs)
        self.outcome.jobs = {job.name for job in self.witness.jobs}

    @property
    def _ref(self) -> ProjectRef:
        return self.witness.project.ref

    # Moves.

    async def _import(self, move: Move) -> None:
        """Until the project is there: the first try may be stopped, and others ask for the same at once."""
        deadline = time.monotonic() + PATIENCE
        while not await steadily(self.witness.exists):
            if time.monotonic() > deadline:
                raise TimeoutError("I3: the project cannot be imported")
            await self._carry_out(move)
            move = replace(move, stop=None, beside=())
            await self._rest()
        await self.witness.begin_work()

    async def _carry_out(self, move: Move) -> None:
        stands = await self._rest()
        if not stands.connected and move.what not in ("connect", "train", "import"):
            move = replace(move, what="connect", callers=1)
        elif stands.connected and move.what == "connect":
            move = replace(move, what="sync")
        told: asyncio.Future[OperationHandle | None] = asyncio.get_running_loop().create_future()
        key = uuid.uuid4().hex
        work: list[Coroutine[Any, Any, Any]] = []
        if move.what == "burst":
            self._burst += 1
            burst = f"{self._ref.name}/{self._burst}"
            told.set_result(None)
            work += [self._ask(SyncRequest(), burst=burst) for _ in range(move.callers)]
        else:
            if move.what == "connect":
                await asyncio.to_thread(self.witness.next_job)
            request = self._request(move, stands)
            work.append(self._ask(request, key=key, told=told))
            if move.stop:
                work.append(self._stop(move, told, request.kind))
            work += [self._beside(what, after, stands, request, key) for what, after in move.beside]
        if move.meddle:
            work.append(self._meddle(move))
        await asyncio.gather(*work)

    def _request(self, move: Move, stands: ProjectStatus) -> Request:
        match move.what:
            case "import":
                assert self._source is not None
                return self._source
            case "connect":
                return ConnectRequest(job=self.witness.job, instructions="Mark what is named.")
            case "switch":
                return SwitchRequest(to=stands.active.other)
            case "merge":
                return SyncRequest(merge=True)
            case "train":
                self._models = self._models % 5 + 1
                return TrainRequest(model=f"m{self._models}")
            case "disconnect":
                return DisconnectRequest(labels="discard" if move.discard else "sync")
            case _:
                return SyncRequest()

    async def _beside(
        self, what: str, after: float, stands: ProjectStatus, request: Request, key: str
    ) -> None:
        """Somebody else asks too; most of it must be refused."""
        await asyncio.sleep(after)
        taken = self._scene.taken[-1] if self._scene.taken else self.witness.job
        match what:
            case "import" if self._source is not None:
                await self._ask(self._source)
            case "twice":
                await self._ask(request, key=key, again=True)
            case "same":
                await self._ask(SwitchRequest(to=stands.active))
            case "other":
                await self._ask(SwitchRequest(to=stands.active.other))
            case "connect":
                await self._ask(ConnectRequest(job=self.witness.job))
            case "steal":
                await self._ask(ConnectRequest(job=taken))
            case "undecided" if stands.active is Studio.AZUREML:
                await self._ask(DisconnectRequest())
            case "gone":
                await self._ask(TrainRequest(model="m9", labels="0" * 64))
            case _:
                await self._ask(SyncRequest())

    async def _ask(
        self,
        request: Request,
        *,
        burst: str | None = None,
        key: str | None = None,
        again: bool = False,
        told: "asyncio.Future[OperationHandle | None] | None" = None,
    ) -> None:
        """Carry a request to its end as a good caller does: the same key again until the answer is clear."""
        asks, key = self.witness.asks, key or uuid.uuid4().hex
        place, deadline = len(asks), time.monotonic() + PATIENCE
        asks.append(Ask(request.kind, time.time(), burst=burst, again=again))
        self.outcome.requests += 1
        known: dict[str, Any] = {}
        try:
            handle = await self._accepted(request, key, deadline)
            self._twins.append((key, handle.operation_id))
            known["operation"] = handle.operation_id
            asks[place] = replace(asks[place], **known)
            if told is not None:
                told.set_result(handle)
            result = await self._ended(handle, deadline)
            known["snapshot"] = result.snapshot.id if result.snapshot else None
        except LabelbridgeError as error:
            if error.code in ("wait_timeout", *NOBODY_KNOWS):
                return  # it stays unanswered, which the checker reports
            known["code"] = error.code
            if "operation" not in known:
                self.outcome.refused[error.code] += 1
        finally:
            if told is not None and not told.done():
                told.set_result(None)
        asks[place] = replace(asks[place], **known, answered_at=time.time())

    async def _accepted(self, request: Request, key: str, deadline: float) -> OperationHandle:
        while True:
            try:
                return await self._scene.bridge.start(self._ref, request, key=key, accept_timeout=20)
            except LabelbridgeError as error:
                if error.code not in NOBODY_KNOWS or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.3)

    async def _ended(self, handle: OperationHandle, deadline: float) -> OperationResult:
        while True:
            try:
                return await handle.result(max(1.0, deadline - time.monotonic()))
            except LabelbridgeError as error:
                if error.code not in NOBODY_KNOWS or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.3)

    async def _stop(self, move: Move, told: "asyncio.Future[OperationHandle | None]", kind: str) -> None:
        """Cancel or terminate the operation, if it still runs then."""
        handle = await told
        if handle is None:
            return
        await asyncio.sleep(move.stop_after)
        with suppress(LabelbridgeError, RPCError):
            if move.stop == "cancel":
                await handle.cancel()
            else:
                await self._scene.client.get_workflow_handle(handle.workflow_id).terminate("by hand")
                self._meddling.terminated[handle.operation_id] = (kind, time.time())
            self.outcome.meddled[str(move.stop)] += 1

    async def _meddle(self, move: Move) -> None:
        """A person goes past Labelbridge."""
        await asyncio.sleep(move.meddle_after)
        if move.meddle == "resume":
            done = await steadily(self.witness.resume_job)
        elif move.meddle == "export":
            done = await steadily(self.witness.export_job)
        else:
            done = await steadily(lambda: self.witness.meddle_with_record(unlock=move.meddle == "unlock"))
            self._meddling.edits += done
        self.outcome.meddled[str(move.meddle)] += bool(done)

    # Quiescent points.

    async def _rest(self) -> ProjectStatus:
        """How the project stands once nothing runs and nothing waits."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            seen = await ask_entity(self._scene.client, self._ref)
            if seen is None and (not self.witness.asks or not await steadily(self.witness.exists)):
                return ProjectStatus(project=self._ref, known=True)
            if seen is not None and seen.running is None and not seen.queued:
                return seen
            await asyncio.sleep(0.2)
        raise TimeoutError(f"I3: the entity of {self._ref.name} does not come to rest")

    async def _judge(self, *, final: bool = True) -> None:
        """The checker's verdict while nobody labels and nothing runs."""
        if final:
            await self._something_is_seen()
            await self._rest()
            await self._hear()
            await self._reconcile()
        await self.witness.end_work()
        self.witness.disturbances = [*self._scene.disturbances, *struck_blobs(self._scene.blobs)]
        self.witness.disturbances += self._heard
        recording = await steadily(self.witness.recording)
        self._meddling.opened = self.witness.opened_by_people()
        verdict = await asyncio.to_thread(judge, recording, self._meddling)
        twins: dict[str, str] = {}
        for key, operation in self._twins:
            if twins.setdefault(key, operation) != operation:
                what = f"one key started {twins[key]} and {operation}"
                verdict.violations.append(Violation("I3", what))
        self.outcome.verdicts.append(verdict)
        self.outcome.operations = Counter(f"{one.kind} {one.outcome}" for one in recording.trail)
        if verdict.violations or self.outcome.broken:
            place = self._scene.path / f"{self._ref.name}.recording.json"
            recording.save(place)
            self._meddling.save(place.with_suffix(".meddling.json"))
        await self.witness.begin_work()

    async def _something_is_seen(self) -> None:
        """A verdict soon after another, or at the campaign's end, would show nothing of what came between."""
        deadline = time.monotonic() + PATIENCE
        while not self.witness.has_news and time.monotonic() < deadline:
            self.witness.labelers.check()
            await asyncio.sleep(0.2)

    async def _hear(self) -> None:
        """Wait for what Event Grid tells of this project, and for what that starts."""
        grid, jobs, told = self._scene.grid, [job.resource_id for job in self.witness.jobs], -1
        while grid is not None:
            found = await grid.settled(self._ref, jobs)
            await self._rest()
            if len(found) == told:
                break
            told = len(found)
            for one in found:
                result = one.outcomes[self._ref.key]
                if result.outcome == "started" and result.operation_id:
                    self._meddling.heard[result.operation_id] = one.heard.id
                if one.lost(self._ref, self._scene.stack.tenant.principals["worker"].object_id):
                    self.outcome.lost.add(one.heard.id)
            self._heard = [Disturbance(one.began, one.ended or time.time(), 1) for one in found]
        if grid is not None:
            begun = await grid.scheduled(self._ref)
            self._meddling.heard |= dict.fromkeys(begun, "the Schedule that stands in for lost events")

    async def _reconcile(self) -> None:
        """What a schedule does every few minutes is done now, if somebody meddled."""
        if not self.outcome.meddled:
            return
        for _ in range(3):
            with suppress(LabelbridgeError):
                handle = await self._accepted(
                    ReconcileRequest(), uuid.uuid4().hex, time.monotonic() + PATIENCE
                )
                await handle.result(PATIENCE)
                break
        await self._rest()
