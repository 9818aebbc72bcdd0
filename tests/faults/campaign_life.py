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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from labelbridge._submit import status as ask_entity
from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import make_project
from labelbridge.local.stack import Stack
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    JobRef,
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
from tests.faults.campaign_judge import Meddling, judge
from tests.faults.campaign_plan import Life, Move
from tests.faults.campaign_witness import CampaignWitness, steadily
from tests.faults.checker import Verdict, Violation
from tests.faults.recording import Ask
from tests.faults.sampler import TROUBLE
from tests.faults.witness import StudioLog
from tests.projects import write_folder

PATIENCE = 600.0
"""Seconds until an operation is taken for stuck; with faults all the time on a busy machine."""
JUDGE_EVERY = 5
"""Moves between two quiescent points."""
NOBODY_KNOWS = ("no_worker", "temporal_unreachable")
"""Answers after which a caller repeats the request with the same key."""
WITNESSED = ("I1", "I2", "I3", "I4")


@dataclass(frozen=True)
class Scene:
    """What all projects of a campaign share."""

    stack: Stack
    client: Client
    bridge: Labelbridge
    log: StudioLog
    path: Path
    ends_at: float = float("inf")
    """Monotonic time at which every project stops after the move that it is at."""
    taken: list[JobRef] = field(default_factory=list)
    """Labeling jobs that some project has: others try to steal them."""


@dataclass
class Outcome:
    """What became of one project."""

    number: int
    project: str
    verdicts: list[Verdict] = field(default_factory=list)
    broken: str | None = None
    """Why it could not go on."""
    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Code -> requests that were turned away at once."""
    operations: Counter[str] = field(default_factory=Counter)
    """`kind outcome` -> operations that ended so."""
    meddled: Counter[str] = field(default_factory=Counter)
    jobs: set[str] = field(default_factory=set)

    @property
    def void(self) -> set[str]:
        """Invariants of which nothing was witnessed up to the end, and looks that a verdict lacked."""
        if not self.verdicts:
            return set(WITNESSED)
        return self.verdicts[-1].void(*WITNESSED).union(*(one.void("I1") for one in self.verdicts))

    @property
    def bad(self) -> list[str]:
        """Everything that must not be."""
        found = dict.fromkeys(str(one) for verdict in self.verdicts for one in verdict.violations)
        return [
            *found,
            *(f"void: {one}" for one in sorted(self.void)),
            *([self.broken] if self.broken else []),
        ]


class Lived:
    """A project that lives through its plan."""

    def __init__(self, scene: Scene, plan: Life) -> None:
        self._scene = scene
        self._plan = plan
        self._meddling = Meddling()
        self._models = 0
        self._burst = 0
        self._twins: list[tuple[str, str]] = []
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
                await self._carry_out(move)
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
        """A project that exists and is labelled; a fault that strikes its making costs only its name."""
        deadline = time.monotonic() + PATIENCE
        while True:
            name = f"c{self._plan.number:04}{uuid.uuid4().hex[:8]}"
            folder = write_folder(self._scene.path / name, self._plan.kind, documents=10, labelled=6)
            try:
                project = await asyncio.to_thread(make_project, self._scene.stack.tenant, folder, name=name)
                break
            except TROUBLE:
                if time.monotonic() > deadline:
                    raise
        self.witness = CampaignWitness(self._scene.stack, self._scene.log, project, folder, self._scene.path)
        self.outcome.project = name
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

    async def _carry_out(self, move: Move) -> None:
        stands = await self._rest()
        if not stands.connected and move.what not in ("connect", "train"):
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
            if seen is None and not self.witness.asks:
                return ProjectStatus(project=self._ref, known=True)
            if seen is not None and seen.running is None and not seen.queued:
                return seen
            await asyncio.sleep(0.2)
        raise TimeoutError(f"I3: the entity of {self._ref.name} does not come to rest")

    async def _judge(self, *, final: bool = True) -> None:
        """The checker's verdict while nobody labels and nothing runs."""
        if final:
            await self._rest()
            await self._reconcile()
        await self.witness.end_work()
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
