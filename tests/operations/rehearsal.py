"""One project under test: people label it, operations run on it, and evidence judges both."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from labelbridge.client import Labelbridge, OperationHandle
from labelbridge.local.demo_evidence import Evidence
from labelbridge.local.labelers import Labelers
from labelbridge.local.referee import Delivery, Verdict, judge, named
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import OperationResult, ProjectKind, ProjectRef, StepState, Studio
from labelbridge.plans import Step
from tests.projects import write_folder

T = TypeVar("T")
FIRST_LOOK, LAST_LOOK = 0.05, 0.5
"""Seconds between two looks: each costs the server and the worker that are waited for, so they become rarer."""
PACE = 0.6
"""Seconds that a labeler thinks: a few writes a second from each project, and several projects share the machine."""


async def eventually(look: Callable[[], Awaitable[T | None]], what: str, patience: float = 300.0) -> T:
    """The first answer that is not None; fails after `patience` seconds."""
    pause = FIRST_LOOK
    async with asyncio.timeout(patience):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, LAST_LOOK)
    raise AssertionError(what)


@dataclass
class Rehearsal:
    """A seeded project with people, a labeling job's name, and the results so far."""

    stack: Stack
    bridge: Labelbridge
    project: SeededProject
    evidence: Evidence
    labelers: Labelers
    results: list[OperationResult] = field(default_factory=list)

    @classmethod
    def make(
        cls, stack: Stack, bridge: Labelbridge, folder: Path, kind: ProjectKind, **sizes: int
    ) -> "Rehearsal":
        """Seed a project of its own."""
        name = f"r{uuid.uuid4().hex[:12]}"
        files = write_folder(folder / name, kind, **sizes)
        project = make_project(stack.tenant, files, name=name)
        job = bridge.job(f"job-{name}")
        evidence = Evidence(stack.tenant, project, files, job, stack.offset_unit)
        labelers = Labelers.of(
            stack.tenant, project, folder / f"{name}.jsonl", unit=stack.offset_unit, job=job, pace=PACE
        )
        return cls(stack, bridge, project, evidence, labelers)

    @property
    def ref(self) -> ProjectRef:
        """The project."""
        return self.project.ref

    @property
    def job_name(self) -> str:
        """Name of the labeling job that a connect of this rehearsal makes."""
        return self.evidence.job.name

    async def connect(self) -> OperationResult:
        """Connect the project to its labeling job."""
        return self.note(await self.bridge.connect_project(self.ref, job=self.job_name, timeout=300))

    async def switch(self, to: Studio) -> OperationResult:
        """Switch, and keep the result for the verdict."""
        return self.note(await self.bridge.switch(self.ref, to=to, timeout=300))

    def note(self, result: OperationResult) -> OperationResult:
        """Keep a result for the verdict."""
        self.results.append(result)
        return result

    async def reaches(self, handle: OperationHandle, step: Step) -> None:
        """Wait until an operation's step is running (or was)."""

        async def look() -> bool | None:
            progress = await handle.progress()
            states = {s.name: s.state for s in progress.steps} if progress else {}
            return True if states.get(step, StepState.WAITING) is not StepState.WAITING else None

        await eventually(look, f"{handle.operation_id} did not reach {step}")

    async def gates_become(self, *, language: bool, azureml: bool) -> None:
        """Fail unless the gates read back so."""
        seen = await asyncio.to_thread(self.evidence.gates_become, language, azureml)
        assert seen, f"the gates are {self.evidence.gates()}"

    async def gates_become_in_time(self, *, language: bool, azureml: bool) -> None:
        """Wait until the gates read back so and the record is at rest."""

        async def look() -> bool | None:
            gates = await asyncio.to_thread(self.evidence.gates)
            at_rest = self.evidence.record()["transition"] is None
            right = (gates.language_open, gates.azureml_open) == (language, azureml)
            return True if right and at_rest else None

        await eventually(look, "the gates stayed wrong", patience=300)

    def verdict(self, active: Studio) -> Verdict:
        """What became of the labelers' writes, by the studios' and the labelers' own logs."""
        contents = {one: self.evidence.snapshot(one) for result in self.results for one in named(result)}
        return judge(
            self.evidence.log(),
            self.labelers.log(),
            active=active,
            final=self.evidence.studio_labels(active),
            deliveries=[Delivery.of(result, contents) for result in self.results],
        )

    def assert_nothing_lost(self, active: Studio) -> None:
        """I1 and I2 by the logs; a run in which nobody labelled proves nothing and fails."""
        verdict = self.verdict(active)
        assert verdict.acknowledged > 0, "nobody labelled: this run proves nothing"
        assert not verdict.both_open, verdict.both_open
        assert not verdict.lost, verdict.lost


class Fault:
    """An armed fault of the local Azure; `with Fault(stack, ...) as fault`."""

    def __init__(self, stack: Stack, path: str, kind: str, **options: Any) -> None:
        """`path` is searched in path and query."""
        self._caller = stack.tenant.caller("operator")
        self._spec = {"path_regex": path, "kind": kind, **options}
        self._id = ""

    def __enter__(self) -> "Fault":
        """Arm it."""
        self._id = self._caller.request("POST", "/local/faults", self._spec, expect=None).body["id"]
        return self

    def __exit__(self, *_: object) -> None:
        """Disarm it; held requests go on."""
        self._caller.request("DELETE", f"/local/faults/{self._id}", expect=None)

    def view(self) -> dict[str, Any]:
        """How often it struck and how many requests it holds."""
        found: list[dict[str, Any]] = self._caller.request("GET", "/local/faults", expect=None).body["value"]
        return next((one for one in found if one["id"] == self._id), {"struck": 0, "held": 0})

    async def holds(self) -> None:
        """Wait until it holds a request."""

        async def look() -> bool | None:
            return True if (await asyncio.to_thread(self.view))["held"] else None

        await eventually(look, "the fault holds no request")
