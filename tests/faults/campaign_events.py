"""Event Grid of a campaign: tells of each label export once more than needed, late, and in any order.

Prevents a promise that holds only if events come once and in order: each blob of an export, Labelbridge's own
and people's, is an event that is delivered one to three times, each time by its own delay, alone or in a batch
with others, to what takes Event Grid's events in (`labelbridge.console.eventgrid`, over ASGI). A delivery that
is not answered with 200 is repeated, as Event Grid does.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import names
from labelbridge.azure.session import AzureSession
from labelbridge.console import eventgrid, problems
from labelbridge.events.orders import AutoSyncOutcome
from labelbridge.model import ProjectRef
from labelbridge.settings import Settings
from tests.faults.sampler import TROUBLE
from tests.faults.witness import StudioLog

KEY = "the campaign's own key"
STORAGE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/"
MOST_TIMES = 3
LATEST = 6.0
"""Most seconds by which a delivery is late: later ones overtake it."""
LOOK = 1.0
PATIENCE = 600.0


class _Parts:
    """What the console's application has at hand."""

    def __init__(self, client: Client, session: AzureSession) -> None:
        self._client = client
        self._session = session

    async def client(self) -> Client:
        return self._client

    async def session(self) -> AzureSession:
        return self._session


@dataclass
class Told:
    """One event, and what became of it."""

    subject: str
    """The labeling job's ARM id."""
    by: str
    """Who asked for the export."""
    heard: eventgrid.Heard
    began: float
    open: int
    """Deliveries that are still to be answered."""
    outcomes: dict[str, AutoSyncOutcome] = field(default_factory=dict)
    """Project -> what its look came to."""
    ended: float | None = None

    def lost(self, project: ProjectRef, worker: str) -> bool:
        """True if an export of somebody's was taken for one of Labelbridge's own, so that it starts no sync."""
        return self.by != worker and self.outcomes[project.key].outcome == "ours"


class EventGrid:
    """Delivers until it is cancelled."""

    def __init__(self, client: Client, session: AzureSession, settings: Settings, log: StudioLog, seed: int):
        events = settings.events.model_copy(update={"event_grid_key": SecretStr(KEY)})
        app = FastAPI()
        app.state.settings = settings.model_copy(update={"events": events})
        app.state.temporal = app.state.reading = _Parts(client, session)
        app.include_router(eventgrid.router)
        for kind in problems.HANDLED:
            app.add_exception_handler(kind, problems.handle)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(
            transport=transport, base_url="https://console.example", headers={eventgrid.KEY_HEADER: KEY}
        )
        self._client = client
        self._log = log
        self._dice = random.Random(f"{seed}/events")
        self._told: dict[str, Told] = {}
        self._pending: set[asyncio.Task[None]] = set()
        self.figures: Counter[str] = Counter()

    async def blow(self) -> None:
        """Tell of each export as its blob appears."""
        while True:
            await self._tell()
            await asyncio.sleep(LOOK)

    async def lift(self) -> None:
        """What is under way is delivered no more."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)
        await self._http.aclose()

    async def settled(self, project: ProjectRef, jobs: Collection[str]) -> list[Told]:
        """Wait until every export of these labeling jobs (ARM ids) has been told, and each look has ended."""
        wanted = {job.casefold() for job in jobs}
        async with asyncio.timeout(PATIENCE):
            while not await self._tell():
                await asyncio.sleep(LOOK)
            mine = [one for one in self._told.values() if one.subject.casefold() in wanted]
            for one in mine:
                while one.open:
                    await asyncio.sleep(LOOK)
                if project.key not in one.outcomes:
                    await self._outcome(project, one)
        return mine

    async def scheduled(self, project: ProjectRef) -> list[str]:
        """Operations that the project's Schedule has begun: workers restore it, and it looks each hour."""
        prefix = f"{names.AUTO_SYNC.format(key=project.key)}-"
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(RPCError):
                    ids = [
                        one.id
                        async for one in self._client.list_workflows(f"WorkflowId STARTS_WITH '{prefix}'")
                    ]
                    handles = [
                        self._client.get_workflow_handle(one, result_type=AutoSyncOutcome) for one in ids
                    ]
                    looks = [await handle.result() for handle in handles]
                    return [
                        one.operation_id for one in looks if one.outcome == "started" and one.operation_id
                    ]
                await asyncio.sleep(LOOK)

    async def _tell(self) -> bool:
        """Tell of what is new; False if the list of exports cannot be read now."""
        try:
            rows = await asyncio.to_thread(self._log.exports)
        except TROUBLE:
            return False
        fresh = [row for row in rows if row["blob"] and row["id"] not in self._told]
        events = [self._event(row) for row in fresh]
        for row, event in zip(fresh, events, strict=True):
            heard = eventgrid.Heard(
                id=event["id"], source=event["source"], type=event["type"], subject=event["subject"]
            )
            self._told[row["id"]] = Told(row["subject"], row["by"], heard, time.time(), open=0)
        for event in events:
            times = self._dice.randint(1, MOST_TIMES)
            self.figures["events"] += 1
            self.figures["deliveries of an event again"] += times - 1
            for _ in range(times):
                # A batch is in no order either, and may hold what was delivered alone before.
                batch = [event, *self._dice.sample(events, self._dice.randint(0, min(2, len(events))))]
                self._dice.shuffle(batch)
                self._deliver(batch, self._dice.uniform(0, LATEST))
        return True

    @staticmethod
    def _event(row: dict[str, Any]) -> dict[str, Any]:
        blob = row["blob"]
        return {
            "specversion": "1.0",
            "id": row["id"],
            "source": STORAGE + blob["account"],
            "type": eventgrid.BLOB_CREATED,
            "subject": f"/blobServices/default/containers/{blob['container']}/blobs/{blob['path']}",
            "time": "2026-03-01T12:00:00Z",
            "data": {"api": "PutBlob"},
        }

    def _deliver(self, batch: list[dict[str, Any]], late: float) -> None:
        told = [self._told[event["id"]] for event in {event["id"]: event for event in batch}.values()]
        for one in told:
            one.open += 1
        task = asyncio.create_task(self._delivered(batch, told, late))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _delivered(self, batch: list[dict[str, Any]], told: Iterable[Told], late: float) -> None:
        await asyncio.sleep(late)
        while True:
            with suppress(httpx.HTTPError):
                answer = await self._http.post(eventgrid.PATH, json=batch)
                if answer.status_code == 200:
                    break
            self.figures["deliveries that were not taken"] += 1
            await asyncio.sleep(self._dice.uniform(0.2, 2))
        for one in told:
            one.open -= 1

    async def _outcome(self, project: ProjectRef, one: Told) -> None:
        """What the look at the project that this event started came to; nothing if it started none."""
        workflow = f"{names.AUTO_SYNC.format(key=project.key)}/{one.heard.digest[:32]}"
        handle = self._client.get_workflow_handle(workflow, result_type=AutoSyncOutcome)
        while True:
            try:
                found = await handle.result()
                break
            except WorkflowFailureError:
                raise
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    found = AutoSyncOutcome(outcome="off", why="nobody looked")
                    break
            await asyncio.sleep(LOOK)
        one.outcomes[project.key] = found
        one.ended = time.time()
        self.figures[f"looks that came to: {found.outcome}"] += 1
