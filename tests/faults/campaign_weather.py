"""Lets the faults of a campaign's plan strike a stack: requests, workers, services, roles.

Prevents two failures of a campaign: a fault that is never lifted, so that everything after it is about
that fault only; and a stack whose killed part nobody starts again.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from urllib3.exceptions import HTTPError

from labelbridge.local.api import Caller, CallError
from labelbridge.local.processes import ChildError
from labelbridge.local.seed import ADMIN, GROUP, grant, revoke
from labelbridge.local.stack import Stack
from tests.faults.blob_faults import BlobFaults
from tests.faults.campaign_plan import Strike
from tests.faults.recording import Disturbance
from tests.faults.yard import Hand, Yard

QUEUE = "campaign"
CREW = 3
"""Workers at once."""
ROLES = ("Cognitive Services Language Owner", "AzureML Data Scientist")
"""What is taken from the worker and given back."""
AGAIN = 6
"""How many exports a service or a role that is away for seconds can have repeated: attempts in that time."""
LOOK = 0.2
PATIENCE = 120.0


class Crew:
    """The workers: whoever dies is replaced."""

    def __init__(self, yard: Yard, size: int = CREW, blobs: BlobFaults | None = None) -> None:
        self._yard = yard
        self._blobs = blobs
        self._hired = 0
        self.hands: list[Hand] = [self._hire() for _ in range(size)]
        self.deaths = 0

    def _hire(self) -> Hand:
        """The next worker; each has dice of its own."""
        self._hired += 1
        blobs = replace(self._blobs, seed=f"{self._blobs.seed}/{self._hired}") if self._blobs else None
        return self._yard.hire(QUEUE, blobs=blobs)

    def keep(self) -> None:
        """Replace the dead."""
        for place, hand in enumerate(self.hands):
            if not hand.alive:
                self.deaths += 1
                self.hands[place] = self._hire()


class Weather:
    """Strikes until it is cancelled; every fault is lifted by the time `lift` returns."""

    def __init__(self, stack: Stack, crew: Crew, disturbances: list[Disturbance]) -> None:
        """What may have a request repeated is noted in `disturbances`, from when it begins."""
        self._stack = stack
        self._disturbances = disturbances
        self._crew = crew
        self._nobody = Caller(stack.place, None)
        self._services = asyncio.Lock()
        """One service at a time is down."""
        self._pending: set[asyncio.Task[None]] = set()
        self.struck: Counter[str] = Counter()

    async def blow(self, strikes: Iterator[Strike]) -> None:
        """Let the plan strike, one fault after another; those that last do so beside each other."""
        for strike in strikes:
            await asyncio.sleep(strike.after)
            self._crew.keep()
            task = asyncio.create_task(self._strike(strike))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def lift(self) -> None:
        """Wait until the faults under way are over, then disarm the rest."""
        await asyncio.gather(*self._pending)
        with suppress(HTTPError, CallError):
            await asyncio.to_thread(self._nobody.request, "DELETE", "/local/faults")
        self._crew.keep()

    async def _strike(self, strike: Strike) -> None:
        times = int(dict(strike.fields).get("times", AGAIN))
        place, began = len(self._disturbances), time.time()
        self._disturbances.append(Disturbance(began, float("inf"), times))
        try:
            await self._let_strike(strike)
        finally:
            self._disturbances[place] = Disturbance(began, time.time(), times)

    async def _let_strike(self, strike: Strike) -> None:
        match strike.sort:
            case "kill worker":
                self._hand(strike).kill()
            case "pause worker":
                await self._pause(self._hand(strike), strike.lasts)
            case "kill temporal" | "kill azurite" | "kill azure":
                await self._outage(strike.sort.removeprefix("kill "), strike.lasts)
            case "take role":
                await self._take(ROLES[strike.who % len(ROLES)], strike.lasts)
            case _:
                await self._arm(strike)
                return
        self.struck[strike.sort] += 1

    def _hand(self, strike: Strike) -> Hand:
        return self._crew.hands[strike.who % len(self._crew.hands)]

    @staticmethod
    async def _pause(hand: Hand, seconds: float) -> None:
        with suppress(ProcessLookupError):
            os.kill(hand.pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        hand.wake()

    async def _outage(self, name: str, seconds: float) -> None:
        async with self._services:
            await asyncio.to_thread(self._stack.kill, name)
            await asyncio.sleep(seconds)
            while True:
                try:
                    await asyncio.to_thread(self._stack.restart, name)
                    return
                except ChildError:  # a busy machine may need longer than one start is given
                    await asyncio.sleep(LOOK)

    async def _take(self, role: str, seconds: float) -> None:
        admin = self._stack.tenant.caller(ADMIN)
        worker = self._stack.tenant.principals["worker"].object_id
        await patiently(lambda: revoke(admin, worker, role, GROUP))
        await asyncio.sleep(seconds)
        await patiently(lambda: grant(admin, worker, role, GROUP))

    async def _arm(self, strike: Strike) -> None:
        order: dict[str, Any] = {"method": strike.method, "path_regex": strike.route, "kind": strike.sort}
        order |= {name: int(value) if name in ("times", "status") else value for name, value in strike.fields}
        try:
            armed = await asyncio.to_thread(self._nobody.request, "POST", "/local/faults", order)
        except (HTTPError, CallError):  # a local Azure that is down has no fault table
            return
        number = armed.body["id"]
        await asyncio.sleep(strike.lasts)
        with suppress(HTTPError, CallError):
            for one in (await asyncio.to_thread(self._nobody.request, "GET", "/local/faults")).body["value"]:
                if one["id"] == number:
                    self.struck[_named(strike)] += one["struck"]
        # Whatever became of the figures: a fault that stays keeps people from labeling for ever.
        await patiently(lambda: self._nobody.request("DELETE", f"/local/faults/{number}", expect=None))


def _named(strike: Strike) -> str:
    fields = dict(strike.fields)
    if strike.sort != "status":
        return strike.sort
    later = " with Retry-After" if fields["seconds"] else ""
    return f"{int(fields['status'])}{later}"


async def patiently(call: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Repeat a harness's own call while faults strike it too."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return await asyncio.to_thread(call)
        except (HTTPError, CallError, OSError):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(LOOK)
