"""The workers of the queues of turns, one for each Language resource that the fleet has.

Prevents a turn that nobody serves: what this process meets is served before the operation that met it asks
for its first turn; what other processes met is found by its blob, also after they died. A resource whose
blob was deleted is served no more.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from temporalio.worker import Worker

from labelbridge.errors import LabelbridgeError
from labelbridge.throttling.throttling import Throttling
from labelbridge.throttling.turns import turn_queue

log = structlog.get_logger(__name__)


class TurnWorkers:
    """Async context manager: they stop with the block.

    If one fails for good, `stop` is set, and leaving the block raises its error.
    """

    def __init__(
        self,
        throttling: Throttling | None,
        task_queue: str,
        build: Callable[[str], Worker],
        stop: asyncio.Event,
    ) -> None:
        """`build` makes the worker of a queue, not yet started. Without `throttling` there are none."""
        self._throttling = throttling
        self._task_queue = task_queue
        self._build = build
        self._stop = stop
        self._running: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        self._changing = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def serving(self) -> frozenset[str]:
        """Keys of the resources whose queues are served."""
        return frozenset(self._running)

    async def __aenter__(self) -> Self:
        """Serve what is known, and look for more from time to time."""
        if self._throttling is not None:  # also without limits: operations that began under one ask for turns
            self._throttling.listen(self.serve)
            self._watching = asyncio.create_task(self._watch(self._throttling))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all; raise what one of them failed of."""
        self._closed = True
        if self._throttling is not None:
            self._throttling.listen(None)
        if self._watching is not None:
            self._watching.cancel()
        async with self._changing:
            await asyncio.gather(*(self._end(key) for key in list(self._running)))
        if self._failure is not None and error is None:
            raise self._failure

    async def serve(self, key: str) -> None:
        """Serve the queue of the resource of this key, if it is not served yet."""
        if key in self._running:
            return
        async with self._changing:  # one process must not have two workers of one queue
            if key in self._running or self._closed:
                return
            queue = turn_queue(self._task_queue, key)
            worker = self._build(queue)
            task = asyncio.create_task(worker.run())
            task.add_done_callback(self._ended)
            self._running[key] = worker, task
            log.info("turns_served", task_queue=queue)

    async def _watch(self, throttling: Throttling) -> None:
        while True:
            served = self.serving  # each had its blob before they are listed
            try:
                known = await throttling.known()
                for key in known:
                    await self.serve(key)
                async with self._changing:
                    for key in served - known:
                        log.info("turns_no_more", task_queue=turn_queue(self._task_queue, key))
                        await self._end(key)
            except LabelbridgeError as error:
                log.warning("turns_not_known", reason=str(error))
            await asyncio.sleep(throttling.settings.watch.total_seconds())

    async def _end(self, key: str) -> None:
        worker, task = self._running.pop(key)
        if not task.done():
            await worker.shutdown()
            await asyncio.wait([task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._stop.set()
