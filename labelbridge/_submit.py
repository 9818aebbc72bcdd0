"""How a request reaches a project's entity, exactly once, whatever happens in between.

Prevents three failures: a request that is lost or run twice, and many callers who keep each other from
being heard. Temporal lets ten Updates be in flight for a workflow, and one too many aborts the others:
sixty callers who only repeated theirs were measured to stop an entity for minutes. So a process sends a
few at a time, and who meets the limit leaves the request as a signal and asks for its outcome by query;
neither counts.
"""

import asyncio
import hashlib
import itertools
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic import ValidationError
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import names
from labelbridge._handle import PASSING, as_error
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Accepted, ErrorInfo, JobRef, Model, ProjectRef, ProjectStatus, Submission
from labelbridge.model.steps import EntityState, LedgerEntry

N = TypeVar("N", bound=Model)

_ATTEMPT = timedelta(seconds=5)
"""How long one attempt waits for a worker's answer before the request is also left as a signal."""
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
_PLACES = 4
"""Updates and queries that one process has in flight for a project: several processes stay below the
server's ten Updates, and its buffer of queries is smaller still."""
_LOOKS = 5
"""Times that the outcome of a request that was left as a signal is looked for between two Updates."""
_BUSY = frozenset({RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.UNAVAILABLE, RPCStatusCode.ABORTED})
"""Too many Updates, or one aborted because of them."""
_CLOSING = frozenset({names.MOVING, "AcceptedUpdateCompletedWorkflow", "UnprocessedUpdate"})
"""The entity continues as new or ends: the next run answers. The last one the server says of an Update that
came to a run which ended before it was looked at."""


def noun(model: type[N], /, **fields: object) -> N:
    """Build a noun from what a caller said; `input_invalid` names each field that is wrong."""
    try:
        return model(**fields)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or model.__name__}: {e['msg']}" for e in error.errors()]
        raise LabelbridgeError("input_invalid", "; ".join(lines)) from error


def reference(resource: str, name: str) -> ProjectRef:
    """A project reference; `project_unknown` for a name that Language could not have."""
    try:
        return ProjectRef(language_resource=resource, name=name)
    except ValidationError as error:
        raise LabelbridgeError("project_unknown", f"{name!r} cannot be the name of a project.") from error


def job_reference(workspace: str, name: str) -> JobRef:
    """A labeling job reference; `invalid_request` for a name that Azure ML would refuse."""
    try:
        return JobRef(workspace=workspace, name=name)
    except ValidationError as error:
        raise LabelbridgeError(
            "invalid_request", f"{name!r} cannot be the name of a labeling job."
        ) from error


async def submit(
    client: Client, task_queue: str, project: ProjectRef, submission: Submission, timeout: float | None
) -> Accepted:
    """Send a submission until the entity has answered it.

    An Update is durable only once a worker accepted it, so after one attempt without an answer the
    same submission is also left as a signal, which the server keeps; the entity knows its id and
    runs it once.

    A refusal because of an operation that has ended is not the caller's: a caller who awaited one operation may
    ask for the next before its end has reached the entity, which takes as long as there is work before it.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    updates = _Updates(client, task_queue, project, submission)
    signalled = False
    for attempt in itertools.count():
        if accepted := await updates.ask():
            return accepted
        if updates.unheard:
            signalled = signalled or await _signal(client, task_queue, project, updates.submission)
        if signalled or updates.refusal:
            looks = _LOOKS if signalled else 1
            answer = await _outcome(client, project, updates.submission, deadline, looks)
            refused = answer.refused if answer else None
            if answer and not await _is_over(client, refused):
                return _accepted(answer)
            if refused:
                updates.ask_anew(refused)
                signalled = False
        if deadline is not None and time.monotonic() > deadline:
            break
        await _pause(attempt)
    raise updates.refusal or LabelbridgeError(
        "no_worker" if signalled else "temporal_unreachable", data={"key": submission.request_id}
    )


class _Updates:
    """A submission as an Update, asked again and again under ids that the server takes for the same."""

    def __init__(self, client: Client, task_queue: str, project: ProjectRef, submission: Submission) -> None:
        self._client, self._task_queue = client, task_queue
        self._project, self.submission, self._asked = project, submission, submission
        self._places = _places_of(client, project)
        self._refusals = 0
        # The server keeps every answer by the Update's id, also a refusal: a key that is used again later must
        # be judged anew. That it runs once is kept by the entity's own memory of keys.
        self._call = uuid.uuid4().hex[:12]
        self.unheard = False
        """The last Update reached no worker, as far as anybody knows."""
        self.refusal: LabelbridgeError | None = None
        """The last one, by an operation that has ended."""
        self._renewals = 0

    def ask_anew(self, refused: ErrorInfo) -> None:
        """From now on ask under another id: the entity remembers that it refused this one.

        It does so with what was left as a signal. The id follows from the caller's key, so that whoever repeats
        the request with the same key comes to the same one.
        """
        self.refusal = LabelbridgeError.from_info(refused)
        self._renewals += 1
        renewed = hashlib.sha256(f"{self._renewals}/{self._asked.request_id}".encode()).hexdigest()
        self.submission = self._asked.model_copy(update={"request_id": renewed})

    async def ask(self) -> Accepted | None:
        """The answer, or None if there was none; a refusal is raised."""
        try:
            answer = await self._ask()
        finally:
            self._places.unheard = self.unheard
        return answer

    async def _ask(self) -> Accepted | None:
        self.unheard, self.refusal = False, None
        try:
            async with self._places.one():
                return await self._update()
        except WorkflowUpdateFailedError as error:
            if not _is_closing(error):
                refusal = as_error(error.cause)
                if not await _is_over(self._client, refusal.info):
                    raise refusal from error
                self.refusal = refusal
                self._refusals += 1
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            if (task := asyncio.current_task()) and task.cancelling():  # the SDK says both with one error
                raise asyncio.CancelledError from None
            self.unheard = True
        except TimeoutError:
            self.unheard = True
        except RPCError as error:
            if error.status not in PASSING:
                raise LabelbridgeError("temporal_unreachable", str(error)) from error
            self.unheard = error.status in _BUSY
        return None

    async def _update(self) -> Accepted:
        """One Update. The server keeps a refusal by its id, so what is asked again after one has another id."""
        submission, refusals = self.submission, self._refusals
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            names.ENTITY_WORKFLOW,
            EntityState(project=self._project),
            id=self._project.workflow_id,
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=type(None),
        )
        try:
            accepted: Accepted = await self._client.execute_update_with_start_workflow(
                names.SUBMIT,
                submission,
                start_workflow_operation=start,
                id=f"{submission.request_id}/{self._call}/{refusals}",
                result_type=Accepted,
                rpc_timeout=_ATTEMPT,
            )
        except BaseException:
            # The SDK tells the start's handle of the failure too, and asyncio complains of what nobody hears.
            await _hear(start)
            raise
        return accepted


async def _hear(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take the failure out of the handle of an operation that has ended; it is known already."""
    with suppress(Exception):
        async with asyncio.timeout(0):
            await start.workflow_handle()


class _Places:
    """What this process has in flight for one project."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_PLACES)
        self.unheard = False
        """The last Update of anybody reached no worker: nobody need wait for a place to learn the same."""

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place; `TimeoutError` if none comes free because no worker answers."""
        while True:
            try:
                async with asyncio.timeout(_ATTEMPT.total_seconds()):
                    await self._free.acquire()
                break
            except TimeoutError:
                if self.unheard:
                    raise
        try:
            yield
        finally:
            self._free.release()


_places: WeakKeyDictionary[Client, dict[str, _Places]] = WeakKeyDictionary()


def _places_of(client: Client, project: ProjectRef) -> _Places:
    return _places.setdefault(client, {}).setdefault(project.key, _Places())


async def _outcome(
    client: Client, project: ProjectRef, submission: Submission, deadline: float | None, looks: int
) -> LedgerEntry | None:
    """What the entity remembers to have answered to a submission; None if nothing, or if nobody can say yet."""
    entity = client.get_workflow_handle(project.workflow_id)
    for look in range(looks):
        try:
            async with _places_of(client, project).one():
                seen: LedgerEntry | None = await entity.query(
                    names.OUTCOME, submission, result_type=LedgerEntry, rpc_timeout=_ATTEMPT
                )
        except (RPCError, WorkflowQueryRejectedError, WorkflowQueryFailedError, TimeoutError):
            return None
        if seen is not None or (deadline is not None and time.monotonic() > deadline):
            return seen
        if look + 1 < looks:
            await _pause(look + 2)
    return None


def _accepted(answer: LedgerEntry) -> Accepted:
    if answer.refused:
        raise LabelbridgeError.from_info(answer.refused)
    assert answer.accepted
    return answer.accepted


async def _pause(attempt: int) -> None:
    """Wait, longer at each attempt; by chance, so that many callers do not come back all at once."""
    longest = _PAUSES[min(attempt, len(_PAUSES) - 1)]
    await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311


async def syncs_begun(client: Client, project: ProjectRef) -> int | None:
    """How many syncs of the project have begun by now; None if the server does not say."""
    try:
        entity = await client.get_workflow_handle(project.workflow_id).describe(rpc_timeout=_ATTEMPT)
        return int(await entity.memo_value(names.SYNCS_BEGUN, 0))
    except RPCError as error:
        return 0 if error.status is RPCStatusCode.NOT_FOUND else None


def _is_closing(error: WorkflowUpdateFailedError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.type in _CLOSING


async def status(client: Client, project: ProjectRef) -> ProjectStatus | None:
    """What the entity says; None if there is none or no worker answers."""
    entity = client.get_workflow_handle(project.workflow_id)
    give_up = time.monotonic() + _ATTEMPT.total_seconds()
    while True:
        try:
            seen: ProjectStatus = await entity.query(
                names.STATUS, result_type=ProjectStatus, rpc_timeout=_ATTEMPT
            )
        except (RPCError, WorkflowQueryRejectedError, WorkflowQueryFailedError):
            return None
        running = seen.running.workflow_id if seen.running else None
        if time.monotonic() > give_up or not await _has_ended(client, running):
            return seen
        await asyncio.sleep(_PAUSES[0])


async def _is_over(client: Client, refusal: ErrorInfo | None) -> bool:
    """True if the operation that is said to run has ended, and the entity did not know it when it refused."""
    if refusal is None or refusal.code != "operation_running":
        return False
    return await _has_ended(client, refusal.data.get("workflow_id"))


async def _has_ended(client: Client, workflow_id: str | None) -> bool:
    if workflow_id is None:
        return False
    try:
        description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_ATTEMPT)
    except RPCError:
        return False
    return description.status is not WorkflowExecutionStatus.RUNNING


async def _signal(client: Client, task_queue: str, project: ProjectRef, submission: Submission) -> bool:
    """Leave the submission with the server; True once the server has it for certain."""
    try:
        await client.start_workflow(
            names.ENTITY_WORKFLOW,
            EntityState(project=project),
            id=project.workflow_id,
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=names.SUBMIT_LATER,
            start_signal_args=[submission],
            rpc_timeout=_ATTEMPT,
        )
    except RPCError:
        return False
    return True
