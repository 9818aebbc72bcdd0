"""What each protection is for: a situation in which only it keeps the invariants, played on real wires.

Prevents protections that nothing would miss. Each scenario is played by a worker that has everything,
where the checker must be content, and by one that lacks the protection, where it must not be.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.model import (
    Claim,
    ConnectRequest,
    JobRef,
    Outcome,
    ProjectKind,
    Studio,
    Submission,
    SwitchRequest,
    TrainRequest,
)
from labelbridge.model.steps import EntityState, OperationOrder
from labelbridge.plans import Step
from tests.faults import portal
from tests.faults.checker import check
from tests.faults.lives import LOOK, PATIENCE, Life, Setting
from tests.faults.stages import STAGES, Stage
from tests.faults.worker import Strike
from tests.operations.rehearsal import Fault

KIND = ProjectKind.SINGLE_LABEL
Scenario = Callable[[Setting, Sequence[str]], Awaitable[list[str]]]
"""Plays it on workers without these protections; returns what was violated."""


async def labels_written_while_a_gate_takes_effect(setting: Setting, without: Sequence[str]) -> list[str]:
    """A lock takes effect late: what people write until then must be in the snapshot. (Settle wait.)"""
    life = await Life.begin(setting, KIND)
    try:
        await life.live("connect")
        life.witness.labelers.pace = 0.05
        run = await life.live("to azureml", without=without)
        return [str(one) for one in run.verdict.violations]
    finally:
        await life.end()


async def a_record_edited_by_hand(setting: Setting, without: Sequence[str]) -> list[str]:
    """Somebody names a retired job in the record in mid-operation: that must not be overwritten. (ETag.)"""
    life = await Life.begin(setting, KIND)

    async def edit() -> None:
        retired = JobRef(workspace=setting.stack.tenant.workspace, name=f"old-{life.name}")
        await asyncio.to_thread(life.witness.edit_record, {"retired": [retired.model_dump(mode="json")]})

    try:
        run = await life.live(_meddled("connect", Step.DRAIN), meddle=edit, without=without)
        return [str(one) for one in run.verdict.violations]
    finally:
        await life.end()


async def a_job_resumed_by_hand(setting: Setting, without: Sequence[str]) -> list[str]:
    """Somebody resumes the paused job just before Language opens. (Read-back of the other gate.)"""
    life = await Life.begin(setting, KIND)

    async def resume() -> None:
        await asyncio.to_thread(portal.resume_job, life.witness)

    try:
        run = await life.live(_meddled("connect", Step.LINK, pace=0.5), meddle=resume, without=without)
        return [str(one) for one in run.verdict.violations]
    finally:
        await life.end()


async def two_projects_and_one_job(setting: Setting, without: Sequence[str]) -> list[str]:
    """Two projects ask for a job of one name at once, and both see that there is none yet. (Claim.)"""
    one = await Life.begin(setting, KIND)
    job = one.witness.job
    lives = (one, await Life.begin(setting, KIND, rival=one))
    try:
        await _side_by_side(lives, job, without)
        for life in lives:
            await asyncio.to_thread(life.witness.labelers.stop)
        recordings = [await asyncio.to_thread(life.witness.recording) for life in lives]
        # Each witness also sees what people did in the job of the other, so only I4 can be judged.
        return [str(found) for found in check(*recordings).violations if found.invariant == "I4"]
    finally:
        for life in lives:
            await life.end()


async def _side_by_side(lives: Sequence[Life], job: JobRef, without: Sequence[str]) -> None:
    """Both connect, unless one is refused: they come to the job's creation together, and look together."""
    stack = lives[0].setting.stack
    with ExitStack() as exports, ExitStack() as looks:
        exporting = [
            exports.enter_context(Fault(stack, f"/projects/{life.name}/:export", "hang", skip=1, times=1))
            for life in lives
        ]
        works = [asyncio.create_task(life.live("connect", without=without)) for life in lives]
        try:
            await _all_hold(exporting, *works)
            job_read = f"/labelingJobs/{job.name}\\?"
            looking = [
                looks.enter_context(Fault(stack, job_read, "hang_after", method="GET", times=1))
                for _ in lives
            ]
            await asyncio.to_thread(exports.close)
            await _all_hold(looking, *works)
            await asyncio.to_thread(looks.close)
            await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()


async def _all_hold(faults: Sequence[Fault], *works: "asyncio.Task[Any]") -> None:
    """Return once each fault holds a request, or one of the works has ended without."""
    async with asyncio.timeout(PATIENCE):
        while not any(work.done() for work in works):
            views = [await asyncio.to_thread(one.view) for one in faults]
            if all(view["held"] for view in views):
                return
            await asyncio.sleep(LOOK)


async def an_operation_judged_before_another_committed(setting: Setting, without: Sequence[str]) -> list[str]:
    """Of two switches at once, one commits between the other's preflight and its intent. (Epoch check.)"""
    life = await Life.begin(setting, KIND)
    try:
        await life.live("connect")
        await life.dismiss()
        life.hire(without=without)
        job = f"/labelingJobs/{life.witness.job.name}\\?"  # of all steps before the intent only the preflight reads it
        with Fault(setting.stack, job, "hang", method="GET", times=1) as held:
            asked = asyncio.create_task(life.ask(SwitchRequest(to=Studio.AZUREML)))
            await _all_hold([held], asked)
            await _switch_beside_the_entity(life)
        await asked
        await life.rest()
        return [str(one) for one in (await asyncio.to_thread(life.judge)).violations]
    finally:
        await life.end()


async def _switch_beside_the_entity(life: Life) -> None:
    """What a second entity would do: one whose memory is of another cluster."""
    actor = await life.bridge.actor()
    submission = Submission(
        request_id=uuid.uuid4().hex,
        actor=actor,
        submitted_at=datetime.now(UTC),
        request=SwitchRequest(to=Studio.AZUREML),
    )
    operation = f"900000-switch-{uuid.uuid4().hex[:8]}"
    order = OperationOrder(project=life.ref, operation_id=operation, submission=submission)
    await life.setting.client.execute_workflow(
        names.OPERATION_WORKFLOWS["switch"],
        order,
        id=f"{life.ref.workflow_id}/{operation}",
        task_queue=life.name,
    )


async def a_stream_of_requests(setting: Setting, without: Sequence[str]) -> list[str]:
    """An entity that is to continue as new must come to it while requests stream in. (Its gate.)"""
    life = await Life.begin(setting, KIND)
    try:
        job = await _claimed_job(life)
        await _entity(life, continue_after=CONTINUE_AFTER)
        life.hire(without=without)

        async def caller() -> None:
            for _ in range(REQUESTS):
                with pytest.raises(LabelbridgeError, match="job_claimed"):
                    await life.bridge.start(life.ref, ConnectRequest(job=job))

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        most = max(await _accepted_by_run(life))
        bound = CONTINUE_AFTER + CALLERS
        return [f"one run of the entity accepted {most} requests, more than {bound}"] if most > bound else []
    finally:
        await life.end()


CONTINUE_AFTER, CALLERS, REQUESTS = 3, 6, 8


async def a_request_repeated_after_continue_as_new(setting: Setting, without: Sequence[str]) -> list[str]:
    """A caller repeats an id that an earlier run of the entity has answered. (Ledger.)"""
    life = await Life.begin(setting, KIND)
    try:
        await _entity(life, continue_after=1)
        life.hire(without=without)
        try:
            handle = await life.bridge.start(life.ref, TrainRequest(model="m1"), key="once")
            await handle.result(PATIENCE)
            async with asyncio.timeout(PATIENCE):
                while len(await _runs(life)) < 2:
                    await asyncio.sleep(LOOK)
            again = await life.bridge.start(life.ref, TrainRequest(model="m1"), key="once")
            await again.result(PATIENCE)
        except LabelbridgeError as refusal:
            # The client repeats by itself, too, if the first answer does not come in time: what tells a lost
            # ledger from any other trouble is that the request was carried out.
            if refusal.code in NO_ANSWER or not await _has_trained(life):
                raise
            return [f"a request that was carried out was refused when it was repeated: {refusal.code}"]
        ran = {entry.operation_id for entry in await life.bridge.history(life.ref)}
        return [f"one request ran as {', '.join(sorted(ran))}"] if len(ran) > 1 else []
    finally:
        await life.end()


NO_ANSWER = ("no_worker", "temporal_unreachable", "wait_timeout")
"""Codes that say nothing about the request."""


async def _has_trained(life: Life) -> bool:
    await life.rest()
    return any(entry.outcome is Outcome.COMMITTED for entry in await life.bridge.history(life.ref))


def zombie(mode: str) -> Scenario:
    """A worker is frozen as it is about to open Language, and woken when Azure ML is open."""

    async def play(setting: Setting, without: Sequence[str]) -> list[str]:
        life = await Life.begin(setting, KIND)
        try:
            opening = Strike(names.OPERATION_WORKFLOWS["connect"], "set_gate", OPENS_LANGUAGE, mode)
            run = await life.live("connect", opening, wakes=False, without=without)
            assert run.struck, "the worker did not freeze: this proves nothing"
            (frozen,) = [hand for hand in life.hands if hand.frozen]
            life.hands.remove(frozen)
            await life.live("to azureml")
            await life.wake(frozen)
            frozen.kill()
            return [str(one) for one in (await asyncio.to_thread(life.judge)).violations]
        finally:
            await life.end()

    return play


OPENS_LANGUAGE = 4
"""Which order to a gate of a connect opens Language: it shuts it, pauses the job, links, opens."""


def _meddled(name: str, at: Step, *, pace: float = 0.2) -> Stage:
    return replace(STAGES[name], name=f"{name}, meddled with", at=at, pace=pace)


async def _entity(life: Life, *, continue_after: int) -> None:
    await life.setting.client.start_workflow(
        names.ENTITY_WORKFLOW,
        EntityState(project=life.ref, continue_after=continue_after),
        id=life.ref.workflow_id,
        task_queue=life.name,
    )


async def _claimed_job(life: Life) -> JobRef:
    """A labeling job's name that somebody else holds."""
    job = life.witness.job
    claim = Claim(
        job=job,
        project=life.ref.model_copy(update={"name": "others"}),
        operation_id="000001-connect",
        actor=await life.bridge.actor(),
        claimed_at=datetime.now(UTC),
    )
    blobs = life.setting.stack.tenant.blobs("operator", RECORDS_ACCOUNT)
    blob = blobs.get_blob_client(RECORDS_CONTAINER, job.claim_key)
    await asyncio.to_thread(blob.upload_blob, json.dumps(claim.model_dump(mode="json")))
    return job


async def _runs(life: Life) -> list[str]:
    query = f"WorkflowId = '{life.ref.workflow_id}'"
    return [one.run_id async for one in life.setting.client.list_workflows(query)]


async def _accepted_by_run(life: Life) -> list[int]:
    """How many requests each run of the entity accepted."""
    wanted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    found = []
    handle = life.setting.client.get_workflow_handle(life.ref.workflow_id)
    run: str | None = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    while run:
        history = await life.setting.client.get_workflow_handle(
            life.ref.workflow_id, run_id=run
        ).fetch_history()
        found.append(sum(event.event_type == wanted for event in history.events))
        run = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found


TRIES = 3
"""How often a situation is played without a protection until it is missed: some need two to come together."""


@dataclass(frozen=True)
class Proof:
    """A situation, the protection that it needs, and what its worker is to lack."""

    play: Scenario
    without: tuple[str, ...]
    although: tuple[str, ...] = ()
    """What is taken out in the proof that all is well, too."""

    async def well(self, setting: Setting) -> list[str]:
        """Violations with the protection: there must be none."""
        return await self.play(setting, self.although)

    async def ill(self, setting: Setting) -> list[str]:
        """Violations without the protection: there must be some."""
        for _ in range(TRIES):
            if found := await self.play(setting, self.without):
                return found
        return []


PROOFS: dict[str, Proof] = {
    "settle wait": Proof(labels_written_while_a_gate_takes_effect, ("settle wait",)),
    "etag": Proof(a_record_edited_by_hand, ("etag",)),
    "read-back": Proof(a_job_resumed_by_hand, ("read-back",)),
    "claim": Proof(two_projects_and_one_job, ("claim",)),
    "epoch check": Proof(an_operation_judged_before_another_committed, ("epoch check",)),
    "gate on continue-as-new": Proof(a_stream_of_requests, ("gate on continue-as-new",)),
    "ledger": Proof(a_request_repeated_after_continue_as_new, ("ledger",)),
    "pause guard": Proof(zombie("frozen late"), ("pause guard",)),
    "deadline": Proof(zombie("frozen early"), ("pause guard", "deadline"), although=("pause guard",)),
}
"""By protection. A frozen worker that is woken is ended by the pause guard before its deadline can refuse
anything, so what the deadline does is seen without the guard only."""
