"""When a project is synced by itself: `off`, `on_export` or `every 15 min`; one blob beside its record.

Prevents a policy that nobody can see: it is data of the registry, changed by compare-and-swap, not a setting
of one process. The Schedule in Temporal is only its shadow, and is made again from it.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import model_validator
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import names
from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.events.orders import AutoSync
from labelbridge.forms import parsed
from labelbridge.model import Actor, Model, ProjectRef
from labelbridge.settings import Settings
from labelbridge.stored import segment

SHORTEST = timedelta(minutes=1)
"""A sync is an export, an import and a read-back: more often would be one long sync."""
_CATCH_UP = timedelta(minutes=1)
_EVERY = re.compile(r"every\s+(\d+)\s*(s|min|m|h|d)[a-z]*")
_UNITS = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days"}


class Mode(StrEnum):
    """What starts a sync by itself."""

    OFF = "off"
    ON_EXPORT = "on_export"
    EVERY = "every"


class Policy(Model):
    """One project's policy."""

    project: ProjectRef
    mode: Mode = Mode.OFF
    every: timedelta | None = None
    set_at: datetime | None = None
    set_by: Actor | None = None

    @model_validator(mode="after")
    def _every_says_how_often(self) -> "Policy":
        if (self.mode is Mode.EVERY) != (self.every is not None):
            raise ValueError("`every` goes with how often")
        if self.every is not None and self.every < SHORTEST:
            raise ValueError("a project is synced by itself every minute at most")
        return self

    @property
    def text(self) -> str:
        """As people write it."""
        if self.every is None:
            return self.mode.value
        seconds = int(self.every.total_seconds())
        for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
            if seconds % size == 0:
                return f"every {seconds // size} {unit}"
        return f"every {seconds} s"


def policy_of(project: ProjectRef, text: str, *, at: datetime, by: Actor) -> Policy:
    """Read what a person wrote: `off`, `on_export`, `every 15 min`.

    Raises:
        LabelbridgeError: `input_invalid` for anything else.
    """
    words = text.strip().lower().replace("-", "_")
    every = _EVERY.fullmatch(words)
    mode, pause = words, None
    if every is not None:
        mode, pause = "every", timedelta(**{_UNITS[every[2]]: int(every[1])})
    try:
        return Policy(project=project, mode=Mode(mode), every=pause, set_at=at, set_by=by)
    except ValueError as error:
        raise LabelbridgeError(
            "input_invalid", f"{text!r} is no policy: say off, on_export, or every 15 min (1 min or more)."
        ) from error


class Policies:
    """The policies of a registry."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """`blobs` and `container` are the registry's."""
        self._blobs = blobs
        self._container = container

    async def read(self, project: ProjectRef) -> Policy:
        """The project's policy; `off` if none was ever set."""
        return (await self._read(_name(project)))[0] or Policy(project=project)

    async def write(self, policy: Policy) -> Policy:
        """Replace the project's policy."""
        name, data = _name(policy.project), policy.model_dump_json(indent=1).encode()
        while True:
            standing, etag = await self._read(name)
            if standing == policy:
                return policy
            if await self._blobs.swap(self._container, name, data, etag):
                return policy

    async def all(self) -> tuple[Policy, ...]:
        """Every policy that was set and is not `off`."""
        found = []
        for blob in await self._blobs.list(self._container, "projects/"):
            if blob.name.endswith("/policy.json"):
                policy, _ = await self._read(blob.name)
                if policy is not None and policy.mode is not Mode.OFF:
                    found.append(policy)
        return tuple(found)

    async def _read(self, name: str) -> tuple[Policy | None, str | None]:
        content = await self._blobs.read(self._container, name)
        if content is None:
            return None, None
        try:
            return parsed(Policy, content.data, name), content.etag
        except LabelbridgeError as error:
            if error.code != "record_unreadable":
                raise
            return None, content.etag  # off, until somebody sets it anew


async def keep_schedule(client: Client, settings: Settings, policy: Policy, *, renew: bool = True) -> None:
    """Make, change or remove the project's Schedule, so that it is as the policy says.

    Args:
        client: Temporal.
        settings: those of the workers.
        policy: the policy.
        renew: False leaves a Schedule that exists as it is.
    """
    every = policy.every if policy.mode is Mode.EVERY else settings.events.backstop
    schedule_id = names.AUTO_SYNC.format(key=policy.project.key)
    handle = client.get_schedule_handle(schedule_id)
    if policy.mode is Mode.OFF or not every:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return
    wanted = _schedule(settings, policy.project, schedule_id, every)
    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        if renew:
            await handle.update(lambda _: ScheduleUpdate(schedule=wanted))


def _schedule(settings: Settings, project: ProjectRef, schedule_id: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            names.AUTO_SYNC_WORKFLOW,
            AutoSync(project=project),
            id=schedule_id,
            task_queue=settings.temporal.task_queue,
        ),
        # Thousands of projects with one interval must not all begin in the same second.
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=every / 10),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )


def _name(project: ProjectRef) -> str:
    return f"projects/{segment(project.key)}/policy.json"
