"""A project's life under fault: one stage after another, each with a worker process of its own.

Prevents crash runs that cost more than they show: one project is prepared once and lives through all
operations, each struck at a point of its own, and the checker judges after every stage.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from labelbridge import names
from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.seed import DATA_ACCOUNT, SeededProject
from labelbridge.local.stack import WORKER_READY, Stack
from labelbridge.model import (
    Actor,
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    JobRef,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    ReconcileRequest,
    Request,
    StepState,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.plans import Step
from tests.faults import portal
from tests.faults.births import born, labels_file, unborn
from tests.faults.campaign_judge import Meddling, judge
from tests.faults.checker import Verdict, check
from tests.faults.recording import Ask
from tests.faults.run import Run
from tests.faults.stages import CANCEL, STAGES, TERMINATE, Stage
from tests.faults.witness import StudioLog, Witness
from tests.faults.worker import Strike
from tests.faults.yard import Hand, Yard

PATIENCE = 300.0
"""Seconds until an operation is taken for stuck."""
MOST_HANDS = 8
"""Workers of one stage: one that is struck, one in its place, and some that a starved machine paused."""
Meddle = Callable[[], Awaitable[None]]
"""What somebody does past Labelbridge."""
LOOK = 0.05
"""Seconds between two looks at something that costs little."""
ASK = 0.2
"""Seconds between two questions that a worker answers."""


@dataclass(frozen=True)
class Setting:
    """What all lives of a campaign share."""

    stack: Stack
    yard: Yard
    client: Client
    actor: Actor
    log: StudioLog
    path: Path

    @classmethod
    async def make(cls, stack: Stack, yard: Yard, path: Path) -> "Setting":
        """Sign in as the operator; call it inside `stack.acting_as("operator")`."""
        first = yard.hire("nobody")  # the first worker of all makes the record's container
        while WORKER_READY not in (first.log.read_text() if first.log.exists() else ""):
            assert first.alive, first.log.read_text()
            await asyncio.sleep(LOOK)
        first.kill()
        async with Labelbridge.connect(stack.settings("operator")) as bridge:
            return cls(
                stack,
                yard,
                bridge.client,
                await bridge.actor(),
                StudioLog(stack.tenant.caller("operator")),
                path,
            )

    def bridge(self, queue: str) -> Labelbridge:
        """The client, for the entities of one task queue."""
        settings = self.stack.settings("operator")
        temporal = settings.temporal.model_copy(update={"task_queue": queue})
        return Labelbridge(self.client, settings.model_copy(update={"temporal": temporal}), actor=self.actor)


@dataclass
class Life:
    """One project with its labelers, its task queue and whoever works on it now."""

    setting: Setting
    name: str
    bridge: Labelbridge
    witness: Witness
    hands: list[Hand] = field(default_factory=list)
    models: int = 0
    source: ImportRequest | None = None
    began: float = 0.0
    """When the last stage began."""
    came_to: str | None = None
    reached: bool = True
    meddled: bool = False
    """Somebody opened a second studio, which the verdict does not hold against Labelbridge."""

    @classmethod
    async def begin(cls, setting: Setting, kind: ProjectKind, *, rival: "Life | None" = None) -> "Life":
        """A project that exists and is labelled in Language; it wants its rival's job, on its documents."""
        job, container = (rival.witness.job, rival.witness.project.container) if rival else (None, None)
        project, folder = await born(setting.stack, setting.path, kind, container)
        life = cls._of(setting, project, folder, job)
        await asyncio.to_thread(life.witness.labelers.start)
        life.witness.watch()
        return life

    @classmethod
    async def unborn(cls, setting: Setting, kind: ProjectKind) -> "Life":
        """Documents in a container and a file of labels; the project is still to be imported."""
        project, folder = await unborn(setting.stack, setting.path, kind)
        life = cls._of(setting, project, folder)
        file = await asyncio.to_thread(labels_file, setting.stack, project, folder, life.witness.job)
        life.source = ImportRequest(
            source=await life.bridge.upload(file),
            account=DATA_ACCOUNT,
            container=project.container,
            project_kind=kind,
            language="en-us",
        )
        life.witness.watch()
        return life

    @classmethod
    def _of(
        cls, setting: Setting, project: SeededProject, folder: ProjectFolder, job: JobRef | None = None
    ) -> "Life":
        name = project.ref.name
        job = job or JobRef(workspace=setting.stack.tenant.workspace, name=f"job-{name}")
        witness = Witness(setting.stack, setting.log, project, folder, job, setting.path)
        return cls(setting, name, setting.bridge(name), witness)

    async def end(self) -> None:
        """Everybody goes home; the entity is ended, so that nothing waits for its queue."""
        for hand in self.hands:
            hand.kill()
        await asyncio.to_thread(self.witness.leave)
        with suppress(RPCError):  # an entity whose project does not exist has ended by itself
            await self.setting.client.get_workflow_handle(self.ref.workflow_id).terminate("the life is over")

    @property
    def ref(self) -> ProjectRef:
        """The project."""
        return self.witness.project.ref

    def request(self, stage: Stage) -> Request:
        """What a stage asks for."""
        if stage.kind == "train":
            self.models += 1
            labels = (
                self.witness.record["last_sync"]["id"] if stage.snapshot and self.witness.record else "latest"
            )
            return TrainRequest(model=f"m{self.models}", deployment="production", labels=labels)
        if stage.kind == "import":
            assert self.source is not None
            return self.source
        if stage.kind == "switch":
            assert stage.to is not None
            return SwitchRequest(to=stage.to)
        made: dict[str, Request] = {
            "connect": ConnectRequest(job=self.witness.job, instructions="Mark what is named."),
            "sync": SyncRequest(merge=stage.merge),
            "disconnect": DisconnectRequest(labels="sync"),
            "reconcile": ReconcileRequest(policy=stage.policy),
        }
        return made[stage.kind]

    # Workers.

    def hire(self, strike: Strike | None = None, **options: Any) -> Hand:
        """One more worker for this project."""
        if len(self.hands) >= MOST_HANDS:
            raise AssertionError(f"no worker stays alive: {self.hands[-1].log.read_text()[-2000:]}")
        self.hands.append(self.setting.yard.hire(self.name, strike=strike, **options))
        return self.hands[-1]

    async def dismiss(self) -> None:
        """All workers are asked to end, and those that do not are killed."""
        for hand in self.hands:
            hand.dismiss()
        deadline = time.monotonic() + 5
        while any(hand.alive for hand in self.hands) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK)
        for hand in self.hands:
            hand.kill()
        self.hands.clear()

    # Stages.

    async def live(
        self,
        stage: str | Stage,
        strike: Strike | None = None,
        *,
        meddle: Meddle | None = None,
        wakes: bool = True,
        **options: Any,
    ) -> Run:
        """One operation under a worker that is struck where it is told, then under another; the verdict.

        `meddle` is done where the stage would be stopped. A worker that froze is woken at the end, unless
        it is to sleep on; all other `options` are those of `Yard.hire`.
        """
        stage, began = STAGES[stage] if isinstance(stage, str) else stage, time.monotonic()
        if stage.kind != "import":
            await self.somebody_labels()
        await self.dismiss()
        if stage.drifted:
            self.meddled = self.meddled or stage.drifted in portal.OPENS_A_SECOND
            await asyncio.to_thread(portal.DRIFTS[stage.drifted], self.witness)
        own = {"environment": stage.environment, "pace": stage.pace, "refused": stage.refused}
        options = {**own, **options}
        self.began = time.time()
        self.came_to, self.reached = None, not (stage.at or stage.during)
        hand = self.hire(strike, **options)
        asked = asyncio.create_task(self.ask(self.request(stage), stage, meddle))
        try:
            struck = await self._watch(asked, hand, **options)
            code = await asked
            await self.rest(**options)
        finally:
            asked.cancel()
        struck = struck or hand.struck
        if hand.frozen and wakes:
            await self.wake(hand)
        verdict = await asyncio.to_thread(self.judge)
        seconds, void = time.monotonic() - began, verdict.void(*stage.witnessed)
        found = Run(stage.name, strike, struck, code, verdict, seconds, self.name, void)
        return replace(found, came_to=self.came_to, reached=self.reached, idle=hand.idle)

    async def _watch(self, asked: "asyncio.Task[str | None]", hand: Hand, **options: Any) -> bool:
        """Until the answer is there, and the entity has seen it; who dies or freezes is replaced at once."""
        struck, current = False, hand
        while not (asked.done() and (struck or await self._is_at_rest())):
            if not current.alive or current.frozen:
                struck = struck or hand.struck
                current = self.hire(**options)
            await asyncio.sleep(ASK if asked.done() else LOOK)
        return struck

    async def wake(self, hand: Hand) -> None:
        """Let a frozen worker go on, until it has ended itself or has done what it was about to do."""
        seen = hand.log.stat().st_size
        hand.wake()
        async with asyncio.timeout(PATIENCE):
            while hand.alive and b'"activity"' not in hand.log.read_bytes()[seen:]:
                await asyncio.sleep(LOOK)
        if not await asyncio.to_thread(self.witness.exists):  # nobody labels what was never imported
            return
        if not self.witness.labelers.at_work:
            await asyncio.to_thread(self.witness.labelers.start)
        for _ in range(3):  # what it sent may take effect late: people go on meanwhile
            await self.somebody_labels()

    async def rest(self, **options: Any) -> None:
        """Wait until the entity says that nothing runs; there is always somebody at work."""
        deadline = time.monotonic() + PATIENCE
        while not await self._is_at_rest():
            assert time.monotonic() < deadline, f"the entity of {self.name} does not come to rest"
            if not any(hand.alive and not hand.frozen for hand in self.hands):
                self.hire(**options)
            await asyncio.sleep(ASK)

    async def _is_at_rest(self) -> bool:
        """True once the entity answers that nothing runs."""
        entity = self.setting.client.get_workflow_handle(self.ref.workflow_id)
        try:
            seen: ProjectStatus = await entity.query(
                names.STATUS, result_type=ProjectStatus, rpc_timeout=timedelta(seconds=2)
            )
        except (RPCError, WorkflowQueryFailedError):
            return False
        return seen.running is None and not seen.queued

    async def ask(
        self, request: Request, stage: Stage | None = None, meddle: Meddle | None = None
    ) -> str | None:
        """Carry a request to its end; the code that it failed with, or None. Both are witnessed."""
        place = len(self.witness.asks)
        self.witness.asks.append(Ask(request.kind, time.time()))
        known: dict[str, Any] = {}
        try:
            handle = await self.bridge.start(self.ref, request)
            known["operation"] = handle.operation_id
            self.witness.asks[place] = replace(self.witness.asks[place], **known)
            if stage is not None and (stage.at or stage.during):
                self.came_to, self.reached = await self._come_to(handle, stage)
                if meddle is not None:
                    await meddle()
                await self._stop(handle, stage.stop)
            result = await handle.result(PATIENCE)
            known["snapshot"] = result.snapshot.id if result.snapshot else None
        except LabelbridgeError as error:
            if error.code == "wait_timeout":
                return error.code  # it stays unanswered, which the checker reports
            known["code"] = error.code
        self.witness.asks[place] = replace(self.witness.asks[place], **known, answered_at=time.time())
        return known.get("code")

    async def _stop(self, handle: OperationHandle, how: str | None) -> None:
        """Cancel the operation as a caller does, or terminate its workflow as somebody with the keys may."""
        if how == CANCEL:
            await handle.cancel()
        elif how == TERMINATE:
            with suppress(RPCError):  # it had just ended
                await self.setting.client.get_workflow_handle(handle.workflow_id).terminate("by a test")

    async def _come_to(self, handle: OperationHandle, stage: Stage) -> tuple[str | None, bool]:
        """Wait until the operation is where it is to be stopped, or has ended: its last step, and if it is there.

        One that was to be stopped exactly at a step and has gone on is not there, and will not come there.
        """
        while True:
            seen = await handle.progress()
            begun = [one.name for one in seen.steps if one.state is not StepState.WAITING] if seen else []
            last = begun[-1] if begun else None
            if Step.ANNOUNCE in begun:
                return last, stage.at is Step.ANNOUNCE
            there = stage.at in begun if stage.at else True
            if there and await self._is_as_wanted(handle, stage):
                return last, last == stage.at or not stage.exactly
            await asyncio.sleep(LOOK)

    async def _is_as_wanted(self, handle: OperationHandle, stage: Stage) -> bool:
        """True unless the stage names an activity that does not run now, or is to wait and does not."""
        if stage.during is None and not stage.waiting:
            return True
        try:
            seen = await self.setting.client.get_workflow_handle(handle.workflow_id).describe()
        except RPCError:  # a server out of breath
            return False
        doing = {one.activity_type.name for one in seen.raw_description.pending_activities}
        return not doing if stage.waiting else stage.during in doing

    async def somebody_labels(self) -> None:
        """Wait until one more write was acknowledged."""
        labelers = self.witness.labelers
        before = labelers.acknowledged()
        async with asyncio.timeout(PATIENCE):
            while labelers.acknowledged() == before:
                labelers.check()
                await asyncio.sleep(LOOK)

    def judge(self) -> Verdict:
        """What the checker says of everything so far; people stop labeling while it looks."""
        labelers = self.witness.labelers
        working = labelers.at_work
        labelers.stop()
        recording = self.witness.recording()
        verdict = (
            judge(recording, Meddling(self.witness.opened_by_people())) if self.meddled else check(recording)
        )
        if verdict.violations:
            recording.save(self.setting.path / f"{self.name}.recording.json")
        if working:
            labelers.start()
        return verdict
