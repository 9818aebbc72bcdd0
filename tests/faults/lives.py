"""A project's life under fault: one stage after another, each with a worker process of its own.

Prevents crash runs that cost more than they show: one project is prepared once and lives through all
operations, each struck at a point of its own, and the checker judges after every stage.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.errors import LabelbridgeError
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.seed import ADMIN, DATA_ACCOUNT, SeededProject, make_project
from labelbridge.local.stack import WORKER_READY, Stack
from labelbridge.local.studios import azureml_studio
from labelbridge.model import (
    Actor,
    ConnectRequest,
    DisconnectRequest,
    ImportRequest,
    JobRef,
    ProjectKind,
    ProjectRef,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from labelbridge.plans import Step
from tests.faults.checker import Verdict, check
from tests.faults.recording import Ask
from tests.faults.witness import StudioLog, Witness
from tests.faults.worker import Strike
from tests.faults.yard import Hand, Yard
from tests.operations.helpers import decision
from tests.projects import CLASSES, ENTITIES, write_folder

BRISK = {
    "EFFECT_DEADLINE": "PT2S",
    "EFFECT_TIMEOUT": "PT2.6S",
    "GATE_DELAY": "PT0.8S",
    "DRAIN": "PT2.5S",
    "SETTLE": "PT0.6S",
    "DRAIN_DEADLINE": "PT60S",
    "LOOK_AGAIN": "PT2S",
    "STEP_PATIENCE": "PT2M",
    "POLL": "PT0.2S",
    "ROLE_POLL": "PT0.3S",
}
"""Margins in about the proportions of the defaults, for gates that are 0.4 s late."""
NO_QUOTA = {"language": {"post_per_minute": 0, "get_per_minute": 0}}
IN_PARTS = {"LABELBRIDGE_LABELS__SHARD_DOCUMENTS": "4"}
"""Azure ML's rows are then read in several parts, as those of a large project are."""
MOVED = ("I1", "I2", "I3", "I4")


@dataclass(frozen=True)
class Stage:
    """One kind of operation in a life."""

    name: str
    kind: str
    witnessed: tuple[str, ...] = MOVED
    """What a run of it must have witnessed, or it is void."""
    to: Studio | None = None
    cancel_at: Step | None = None
    """The operation is cancelled once this step runs, so that its undo is struck too."""
    environment: Mapping[str, str] = field(default_factory=dict)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("connect", "connect"),
        Stage("connect undone", "connect", cancel_at=Step.LINK),
        Stage("to azureml", "switch", to=Studio.AZUREML),
        Stage("to azureml undone", "switch", to=Studio.AZUREML, cancel_at=Step.DRAIN),
        Stage("to language", "switch", to=Studio.LANGUAGE),
        Stage("to language undone", "switch", to=Studio.LANGUAGE, cancel_at=Step.DELIVER),
        Stage("sync", "sync", (*MOVED, "I6")),
        Stage("sync in parts", "sync", (*MOVED, "I6"), environment=IN_PARTS),
        Stage("train", "train", (*MOVED, "I5")),
        Stage("train undone", "train", cancel_at=Step.TRAIN),
        Stage("import", "import", ("I3",)),
        Stage("import in parts", "import", ("I3",), environment=IN_PARTS),
        Stage("import undone", "import", ("I3",), cancel_at=Step.CREATE_PROJECT),
        Stage("disconnect", "disconnect"),
    )
}
CHAINS: tuple[tuple[str, ...], ...] = (
    (
        "connect",
        "to azureml",
        "sync",
        "sync in parts",
        "train",
        "train undone",
        "to language undone",
        "to language",
        "to azureml undone",
        "to azureml",
        "disconnect",
    ),
    ("connect undone",),
    ("import",),
    ("import in parts",),
    ("import undone",),
)
"""Lives: each stage needs those before it."""
PATIENCE = 150.0
"""Seconds until an operation is taken for stuck."""
LOOK = 0.05


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
class Run:
    """One stage that was lived through, and what the checker says."""

    stage: str
    strike: Strike | None
    struck: bool
    code: str | None
    """None: committed."""
    verdict: Verdict
    seconds: float
    project: str

    @property
    def void(self) -> set[str]:
        """Invariants of which this stage should have witnessed something and did not."""
        return self.verdict.void(*STAGES[self.stage].witnessed)


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

    @classmethod
    async def begin(cls, setting: Setting, kind: ProjectKind) -> "Life":
        """A project that exists and is labelled in Language."""
        name = f"f{uuid.uuid4().hex[:12]}"
        folder = write_folder(setting.path / name, kind, documents=12, labelled=8)
        project = await asyncio.to_thread(make_project, setting.stack.tenant, folder, name=name)
        life = cls._of(setting, project, folder)
        await asyncio.to_thread(life.witness.labelers.start)
        life.witness.watch()
        return life

    @classmethod
    async def unborn(cls, setting: Setting, kind: ProjectKind) -> "Life":
        """Documents in a container and a file of labels; the project is still to be imported."""
        name = f"f{uuid.uuid4().hex[:12]}"
        folder = write_folder(setting.path / name, kind, documents=12, labelled=0)
        ref = ProjectRef(language_resource=setting.stack.tenant.language_resource, name=name)
        categories = ENTITIES if kind is ProjectKind.ENTITIES else CLASSES
        project = SeededProject(ref, kind, name, name, categories, folder.documents, ())
        life = cls._of(setting, project, folder)
        await asyncio.to_thread(_upload, setting.stack, folder, name)
        file = folder.path / "labels.jsonl"
        file.write_text("\n".join(_rows(life, folder)) + "\n", encoding="utf-8")
        life.source = ImportRequest(
            source=await life.bridge.upload(file),
            account=DATA_ACCOUNT,
            container=name,
            project_kind=kind,
            language="en-us",
        )
        return life

    @classmethod
    def _of(cls, setting: Setting, project: SeededProject, folder: ProjectFolder) -> "Life":
        name = project.ref.name
        job = JobRef(workspace=setting.stack.tenant.workspace, name=f"job-{name}")
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
            return TrainRequest(model=f"m{self.models}", deployment="production")
        if stage.kind == "import":
            assert self.source is not None
            return self.source
        if stage.kind == "switch":
            assert stage.to is not None
            return SwitchRequest(to=stage.to)
        made: dict[str, Request] = {
            "connect": ConnectRequest(job=self.witness.job, instructions="Mark what is named."),
            "sync": SyncRequest(),
            "disconnect": DisconnectRequest(labels="sync"),
        }
        return made[stage.kind]

    # Workers.

    def hire(self, strike: Strike | None = None, **options: Any) -> Hand:
        """One more worker for this project."""
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

    async def live(self, name: str, strike: Strike | None = None, **options: Any) -> Run:
        """One operation under a worker that dies where it is told, then under another; then the verdict."""
        stage, began = STAGES[name], time.monotonic()
        if stage.kind != "import":
            await self.somebody_labels()
        await self.dismiss()
        options = {"environment": stage.environment, **options}
        self.began = time.time()
        hand = self.hire(strike, **options)
        asked = asyncio.create_task(self.ask(self.request(stage), stage.cancel_at))
        try:
            struck = await self._watch(asked, hand, **options)
            code = await asked
            await self._entity_rests()
        finally:
            asked.cancel()
        struck = struck or (strike is not None and not hand.alive)
        verdict = await asyncio.to_thread(self._judge)
        return Run(name, strike, struck, code, verdict, time.monotonic() - began, self.name)

    async def _watch(self, asked: "asyncio.Task[str | None]", hand: Hand, **options: Any) -> bool:
        """Until the answer is there, and the entity has seen it; a dead worker is replaced at once."""
        struck = False
        while not (asked.done() and (struck or await self._is_at_rest())):
            if not struck and not hand.alive:
                struck = True
                self.hire(**options)
            await asyncio.sleep(LOOK)
        return struck

    async def _entity_rests(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await self._is_at_rest():
            assert time.monotonic() < deadline, f"the entity of {self.name} does not come to rest"
            await asyncio.sleep(LOOK)

    async def _is_at_rest(self) -> bool:
        """True once the entity answers that nothing runs."""
        from labelbridge._submit import status

        try:
            seen = await asyncio.wait_for(status(self.setting.client, self.ref), 2)
        except TimeoutError:
            return False
        return seen is not None and seen.running is None and not seen.queued

    async def ask(self, request: Request, cancel_at: Step | None = None) -> str | None:
        """Carry a request to its end; the code that it failed with, or None. Both are witnessed."""
        place = len(self.witness.asks)
        self.witness.asks.append(Ask(request.kind, time.time()))
        known: dict[str, Any] = {}
        try:
            handle = await self.bridge.start(self.ref, request)
            known["operation"] = handle.operation_id
            self.witness.asks[place] = replace(self.witness.asks[place], **known)
            if cancel_at is not None:
                await self._reached(handle, cancel_at)
                await handle.cancel()
            result = await handle.result(PATIENCE)
            known["snapshot"] = result.snapshot.id if result.snapshot else None
        except LabelbridgeError as error:
            if error.code == "wait_timeout":
                return error.code  # it stays unanswered, which the checker reports
            known["code"] = error.code
        self.witness.asks[place] = replace(self.witness.asks[place], **known, answered_at=time.time())
        return known.get("code")

    async def _reached(self, handle: OperationHandle, step: Step) -> None:
        """Return once a step has begun, or the operation has ended without it."""
        while True:
            seen = await handle.progress()
            states = {one.name: one.state for one in seen.steps} if seen else {}
            if {step.value, Step.ANNOUNCE.value} & states.keys():
                return
            await asyncio.sleep(LOOK)

    async def somebody_labels(self) -> None:
        """Wait until one more write was acknowledged."""
        labelers = self.witness.labelers
        before = labelers.acknowledged()
        async with asyncio.timeout(PATIENCE):
            while labelers.acknowledged() == before:
                labelers.check()
                await asyncio.sleep(LOOK)

    def _judge(self) -> Verdict:
        labelers = self.witness.labelers
        working = bool(labelers._threads)
        labelers.stop()
        recording = self.witness.recording()
        verdict = check(recording)
        if verdict.violations:
            recording.save(self.setting.path / f"{self.name}.recording.json")
        if working:
            labelers.start()
        return verdict


def _upload(stack: Stack, folder: ProjectFolder, container: str) -> None:
    client = stack.tenant.blobs(ADMIN).get_container_client(container)
    client.create_container()
    for document in folder.documents:
        client.upload_blob(document, folder.content(document))


def _rows(life: Life, folder: ProjectFolder) -> Sequence[str]:
    """Azure ML's rows of all documents."""
    stack, project = life.setting.stack, life.witness.project
    client = azureml_studio(stack.tenant.caller("ann"), life.witness.job, stack.offset_unit)
    rows = []
    for number, document in enumerate(folder.documents):
        text = folder.content(document).decode()
        labels = client.wire(project.kind, text, decision(project.kind, text, number % 6))
        sure = 1.0 if isinstance(labels, str) else [1.0] * len(labels)
        url = f"AmlDatastore://{project.datastore}/{document}"
        rows.append(json.dumps({"image_url": url, "label": labels, "label_confidence": sure}))
    return rows
