"""A Language resource with real quotas, thirty projects on it, and workers that come and go.

The projects are made before the quotas are turned on: that would take ten minutes of requests.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from labelbridge.client import Labelbridge
from labelbridge.local import env
from labelbridge.local.api import Caller
from labelbridge.local.config import LocalConfig
from labelbridge.local.seed import make_project
from labelbridge.local.stack import CONFIG_FILE, WORKER_READY, Stack
from labelbridge.model import ProjectKind, ProjectRef
from tests.projects import write_folder

T = TypeVar("T")
PATIENT = {
    **env.FAST,
    "EFFECT_DEADLINE": "PT15S",
    "EFFECT_TIMEOUT": "PT18S",
    "DRAIN": "PT16S",
    "LOOK_AGAIN": "PT15S",
    "STEP_PATIENCE": "PT5M",
}
"""Thirty operations at once on a busy machine: what is tried is the quota, not the margins."""
PROJECTS = 30
MINUTE = 4.0
"""Seconds of the local Azure's minute. Its `Retry-After` is in whole seconds, so it cannot be much shorter."""
QUOTAS = {"post_per_minute": 10, "get_per_minute": 100}
UNLIMITED = {"post_per_minute": 0, "get_per_minute": 0}
THROTTLE = {
    "LABELBRIDGE_THROTTLE__POST_PER_MINUTE": "10",
    "LABELBRIDGE_THROTTLE__GET_PER_MINUTE": "100",
    "LABELBRIDGE_THROTTLE__WINDOW": f"PT{MINUTE}S",
}
UNTHROTTLED = THROTTLE | {
    "LABELBRIDGE_THROTTLE__POST_PER_MINUTE": "0",
    "LABELBRIDGE_THROTTLE__GET_PER_MINUTE": "0",
}


@dataclass(frozen=True)
class Asked:
    """One authoring request, as the local Azure saw it. Times are seconds since 1970."""

    at: float
    answered: float
    sort: str
    """`post` or `get`."""
    method: str
    path: str
    project: str
    status: int
    retry_after: float

    @property
    def begins(self) -> bool:
        """True if work was begun: an export or a training."""
        return self.method == "POST" and self.status == 202


@dataclass
class Fleet:
    """The stack and its projects."""

    stack: Stack
    projects: tuple[ProjectRef, ...]

    @classmethod
    def start(cls, directory: Path) -> "Fleet":
        """Make the projects, then turn the quotas on. No worker runs yet."""
        stack = Stack(
            directory / "stack", workers=0, tuned=True, timing=PATIENT, local={"language": UNLIMITED}
        )
        stack.start()
        folder = write_folder(directory / "letters", ProjectKind.SINGLE_LABEL, documents=10, labelled=10)
        with ThreadPoolExecutor(4) as threads:
            made = threads.map(
                lambda n: make_project(stack.tenant, folder, name=f"fleet{n:02}").ref, range(PROJECTS)
            )
            projects = tuple(made)
        file = stack.directory / CONFIG_FILE
        config = LocalConfig.load(file)
        language = config.language.model_copy(update=QUOTAS)
        config.model_copy(update={"language": language, "quota_window": MINUTE}).save(file)
        stack.restart("azure")
        return cls(stack, projects)

    @contextmanager
    def workers(self, variables: dict[str, str], count: int = 2) -> Iterator[list[Path]]:
        """Worker processes; gives their log files."""
        logs = [self.stack.logs / f"hand-{uuid.uuid4().hex[:6]}.log" for _ in range(count)]
        with ExitStack() as running:
            for log in logs:
                running.enter_context(self._worker(variables, log))
            yield logs

    @contextmanager
    def _worker(self, variables: dict[str, str], log: Path) -> Iterator[None]:
        environment = os.environ | self.stack.environment("worker") | variables
        environment |= {"LABELBRIDGE_LOG_FORMAT": "json"}
        with log.open("wb") as out:
            command = [sys.executable, "-m", "labelbridge.cli.main", "worker"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=out, env=environment)
        try:
            deadline = time.monotonic() + 60
            while WORKER_READY not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                threading.Event().wait(0.05)
            yield
        finally:
            process.kill()
            process.wait()

    def bridge(self) -> AbstractAsyncContextManager[Labelbridge]:
        """The client, as the operator."""
        return Labelbridge.connect(self.stack.settings("operator"))

    def order(self, **fault: Any) -> None:
        """Arm a fault of the local Azure."""
        self._nobody.request("POST", "/local/faults", fault)

    def forget(self) -> None:
        """Begin a new log; the windows of the quotas are empty again after a minute without requests."""
        self._nobody.request("DELETE", "/local/faults")
        threading.Event().wait(MINUTE)
        self._nobody.request("DELETE", "/local/requests")

    def asked(self) -> list[Asked]:
        """Every authoring request that was answered since the log began, in order."""
        found = self._nobody.request("GET", "/local/requests").body["value"]
        return [
            Asked(
                at=one["at"],
                answered=one["answered"],
                sort="get" if one["method"] == "GET" else "post",
                method=one["method"],
                path=one["path"],
                project=one["project"],
                status=one["status"],
                retry_after=one["retry_after"] or 0.0,
            )
            for one in found
            if one["answered"] is not None
        ]

    @property
    def _nobody(self) -> Caller:
        return Caller(self.stack.place, None)


async def until(seen: Callable[[], T], wanted: Callable[[T], bool], seconds: float = 60.0) -> T:
    """The first value of `seen()` that is `wanted`; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not wanted(found := await asyncio.to_thread(seen)):
            await asyncio.sleep(0.05)
        return found
