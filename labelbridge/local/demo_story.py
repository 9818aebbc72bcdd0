"""The story: connect, label, switch, label, sync, train, switch back, disconnect; each step read back.

People label throughout, in whichever studio lets them. What an operation says it did is compared with
what Azure's APIs show afterwards; a step that does not read back fails the demo, whatever the product
answered.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import CallError
from labelbridge.local.demo_evidence import Evidence
from labelbridge.local.demo_timeline import StepReporter, Timeline
from labelbridge.local.labelers import Labelers
from labelbridge.local.referee import Delivery, Labels, Verdict, judge, named
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    OperationResult,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)

MODEL = "demo-model"
WRITES = 15
"""Writes that the people make in a studio before the story goes on."""
TRAINABLE = 12
"""Documents that are labelled before training: Language wants ten."""
OPERATION_TIMEOUT = 300.0
LABELING_TIMEOUT = 120.0
LOOK = 0.25
"""Seconds between two looks at a running operation."""


class StoryError(RuntimeError):
    """The story cannot go on; says why."""


@dataclass
class Check:
    """Something that was read back."""

    name: str
    passed: bool
    detail: str = ""


@dataclass
class Story:
    """One run of the story, and what it found."""

    bridge: Labelbridge
    evidence: Evidence
    labelers: Labelers
    timeline: Timeline
    alive: Callable[[], None]
    """Raises if a part of the stack has died."""
    checks: list[Check] = field(default_factory=list)
    results: list[tuple[str, OperationResult]] = field(default_factory=list)
    verdict: Verdict | None = None

    @property
    def passed(self) -> bool:
        """True if everything read back as it should and no acknowledged write is lost."""
        sound = self.verdict is not None and not self.verdict.lost and not self.verdict.both_open
        return sound and all(check.passed for check in self.checks)

    async def tell(self) -> None:
        """From beginning to end; `StoryError` if an operation fails."""
        self.labelers.start()
        try:
            await self.label(Studio.LANGUAGE)
            await self.connect()
            await self.label(Studio.LANGUAGE)
            await self.to_azureml()
            await self.label(Studio.AZUREML, documents=min(TRAINABLE, len(self.evidence.texts)))
            await self.sync()
            await self.train()
            await self.label(Studio.AZUREML)
            await self.to_language()
            await self.label(Studio.LANGUAGE)
            await self.disconnect()
            await self.label(Studio.LANGUAGE)
        finally:
            await asyncio.to_thread(self.labelers.stop)
        await self.reckon()

    async def label(self, studio: Studio, documents: int = 0) -> None:
        """Wait until the people have written enough in a studio, in at least so many documents."""
        before = len(self.labelers.log())
        deadline = asyncio.get_running_loop().time() + LABELING_TIMEOUT
        while True:
            mine = [w for w in self.labelers.log()[before:] if w.studio is studio and w.sequence is not None]
            if len(mine) >= WRITES and len({w.document for w in mine}) >= documents:
                break
            if asyncio.get_running_loop().time() > deadline:
                raise StoryError(f"nobody could label in {studio.display_name} for {LABELING_TIMEOUT:.0f} s")
            self.alive()
            self.labelers.check()
            self._status(f"people label in {studio.display_name}")
            await asyncio.sleep(LOOK)
        people = " and ".join(name.capitalize() for name in self.labelers.people)
        self.timeline.event(f"{people} labelled {len(mine)} times in {studio.display_name}")

    async def connect(self) -> None:
        """A labeling job is made and linked; Language stays active."""
        job = self.evidence.job
        instructions = "Mark what the document says, not what you know."
        request = ConnectRequest(job=job, instructions=instructions)
        await self.run(f"Connect to the new labeling job {job.name}", "connect", request)
        self.labelers.job = job
        await self.check("Language is open, the labeling job is paused", self.gates(Studio.LANGUAGE))
        await self.check("Language names the labeling job", lambda: bool(self.evidence.linked_job()))
        await self.check(
            "the job's name is claimed for this project, for ever",
            lambda: self.evidence.claim()["project"]["name"] == self.evidence.project.ref.name,
        )
        await self.check("the record says the same", lambda: self.recorded(Studio.LANGUAGE, 0, linked=True))

    async def to_azureml(self) -> None:
        """Labeling moves to Azure ML."""
        result = await self.run(
            "Switch labeling to Azure ML", "switch to Azure ML", SwitchRequest(to=Studio.AZUREML)
        )
        snapshot = await self.snapshot_of(result)
        await self.check("Language is locked, the labeling job runs", self.gates(Studio.AZUREML))
        await self.check("the record says the same", lambda: self.recorded(Studio.AZUREML, 1, linked=True))
        await self.same("Language still holds the snapshot's labels", self.evidence.language_labels, snapshot)
        assert result.snapshot is not None
        identity = result.snapshot.id
        await self.same(
            "the labelled data asset holds the snapshot's labels",
            lambda: self.evidence.asset_labels(identity),
            snapshot,
        )

    async def sync(self) -> None:
        """Language is brought up to date while Azure ML stays active."""
        result = await self.run("Sync Azure ML's labels to Language", "sync", SyncRequest())
        snapshot = await self.snapshot_of(result)
        await self.same("Language holds the snapshot's labels", self.evidence.language_labels, snapshot)
        await self.check("Language is still locked, the labeling job still runs", self.gates(Studio.AZUREML))

    async def train(self) -> None:
        """A model is trained on labels that are named."""
        request = TrainRequest(model=MODEL)
        result = await self.run(f"Train {MODEL} on the latest labels", "train", request)
        snapshot = await self.snapshot_of(result)
        await self.check("Language has the model", lambda: self.evidence.model(MODEL)["label"] == MODEL)
        await self.same(
            "what the model was trained on is the snapshot",
            lambda: self.evidence.language_labels(trained_model=MODEL),
            snapshot,
        )
        await self.check(
            "the record names the model's snapshot",
            lambda: bool(
                result.model
                and [m["snapshot"] for m in self.evidence.record()["models"]] == [result.model.snapshot]
            ),
        )

    async def to_language(self) -> None:
        """Labeling moves back."""
        result = await self.run(
            "Switch labeling back to Language Studio",
            "switch to Language",
            SwitchRequest(to=Studio.LANGUAGE),
        )
        await self.check("Language is open, the labeling job is paused", self.gates(Studio.LANGUAGE))
        await self.check("the record says the same", lambda: self.recorded(Studio.LANGUAGE, 2, linked=True))
        if result.merge is None:
            raise StoryError("the switch back has no merge report")
        merged = result.merge
        self.timeline.event(
            f"merged: {merged.taken} documents from Azure ML, {merged.kept} as Language had them,"
            f" {merged.conflict_count} changed on both sides"
        )
        snapshot = await asyncio.to_thread(self.evidence.snapshot, merged.snapshot)
        await self.same(
            "Language holds the merged labels, and what people wrote since",
            self.evidence.language_labels,
            snapshot,
            since_opened=Studio.LANGUAGE,
        )

    async def disconnect(self) -> None:
        """The connection ends for ever."""
        await self.run("Disconnect, for ever", "disconnect", DisconnectRequest())
        await self.check("Language is open, the labeling job is not", self.gates(Studio.LANGUAGE))
        await self.check("the labeling job is archived and cannot be resumed", self.evidence.job_is_retired)
        await self.check("Language names no labeling job", lambda: self.evidence.linked_job() is None)
        await self.check(
            "the record has retired the job", lambda: self.recorded(Studio.LANGUAGE, 2, linked=False)
        )

    async def reckon(self) -> None:
        """Find every acknowledged write, and every label that nobody touched."""
        self.timeline.chapter("Reckoning: where is each acknowledged write?")
        evidence = self.evidence
        self._status("looking for every write")
        final = await asyncio.to_thread(evidence.studio_labels, Studio.LANGUAGE)
        log = await asyncio.to_thread(evidence.log)
        contents: dict[str, Labels] = {}
        for _, result in self.results:
            for one in named(result):
                if one not in contents:
                    contents[one] = await asyncio.to_thread(evidence.snapshot, one)
        deliveries = [Delivery.of(result, contents) for _, result in self.results]
        self.verdict = judge(
            log, self.labelers.log(), active=Studio.LANGUAGE, final=final, deliveries=deliveries
        )
        seen = {entry.studio for entry in log if entry.event == "write"}
        self._note("both studios were witnessed at work", len(seen) == 2, f"{len(log)} lines of their log")
        for moment in self.verdict.both_open:
            self.timeline.event(moment)
        self._note("at no moment did both studios accept labels", not self.verdict.both_open)
        for lost in self.verdict.lost[:10]:
            self.timeline.event(f"lost: {lost.write.line()}: {lost.why}")
        self._note("no acknowledged write is lost", not self.verdict.lost)
        touched = {entry.document for entry in log if entry.event == "write"}
        first = {k: v for k, v in evidence.file_labels(evidence.folder.labels).items() if k in evidence.texts}
        gone = [name for name, labels in first.items() if name not in touched and final.get(name) != labels]
        kept = sum(name not in touched for name in first)
        self._note("labels that nobody touched are as they were", not gone, f"{kept} documents")

    async def run(self, title: str, short: str, request: Request) -> OperationResult:
        """Run one operation and show its steps; `StoryError` with its code and remedy if it fails."""
        self.timeline.chapter(title)
        reporter = StepReporter(self.timeline)
        try:
            handle = await self.bridge.start(self.evidence.project.ref, request)
            waiting = asyncio.ensure_future(handle.result(OPERATION_TIMEOUT))
            try:
                while not waiting.done():
                    self.alive()
                    if progress := await handle.progress():
                        reporter.look(progress)
                    self._status(f"{short}: {reporter.running}")
                    await asyncio.wait([waiting], timeout=LOOK)
            finally:
                waiting.cancel()
            if progress := await handle.progress():
                reporter.look(progress)
            result = waiting.result()
        except LabelbridgeError as error:
            raise StoryError(f"{short}: {error.code}: {error.message} {error.remedy}") from error
        for note in result.notes:
            self.timeline.event(note)
        self.results.append((short, result))
        return result

    async def check(self, name: str, condition: Callable[[], bool]) -> None:
        """Read something back; a read that Azure refuses is a failed check, not a crash."""
        try:
            self._note(name, await asyncio.to_thread(condition))
        except (CallError, KeyError) as error:
            self._note(name, False, str(error))

    async def same(
        self, name: str, read: Callable[[], Labels], expected: Labels, *, since_opened: Studio | None = None
    ) -> None:
        """Read labels back and compare them with a snapshot."""

        def compare() -> tuple[list[str], int]:
            found = read()
            return self.evidence.differences(found, expected, since_opened=since_opened), len(found)

        try:
            differing, count = await asyncio.to_thread(compare)
        except (CallError, KeyError) as error:
            self._note(name, False, str(error))
            return
        detail = f"differ: {', '.join(differing[:5])}" if differing else f"{count} documents"
        self._note(name, not differing, detail)

    def gates(self, active: Studio) -> Callable[[], bool]:
        """The condition that exactly the active studio's gate reads open."""
        return lambda: self.evidence.gates_become(active is Studio.LANGUAGE, active is Studio.AZUREML)

    def recorded(self, active: Studio, epoch: int, *, linked: bool) -> bool:
        """True if the record says so, and has no transition left."""
        record = self.evidence.record()
        retired = [one["name"] for one in record["retired"]]
        return (
            (record["active"], record["epoch"], record["transition"]) == (active.value, epoch, None)
            and (record["connection"] is not None) is linked
            and (self.evidence.job.name in retired) is not linked
        )

    async def snapshot_of(self, result: OperationResult) -> Labels:
        """Labels of the snapshot that a result names."""
        if result.snapshot is None:
            raise StoryError(f"{result.kind} names no snapshot")
        return await asyncio.to_thread(self.evidence.snapshot, result.snapshot.id)

    def _note(self, name: str, passed: bool, detail: str = "") -> None:
        self.checks.append(Check(name, passed, detail))
        self.timeline.check(name, passed, detail)

    def _status(self, text: str) -> None:
        counts = [
            f"{studio.display_name} {self.labelers.acknowledged(studio)}"
            for studio in (Studio.LANGUAGE, Studio.AZUREML)
        ]
        self.timeline.status(f"{text}   labels: {', '.join(counts)}, refused {self.labelers.refusals}")
