"""Many small projects in the local Azure, made side by side through its APIs."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind, Studio
from tests.projects import write_folder

MAKING = 8
"""Projects that are made at once: more only wait for the local Azure."""
WIDTH = 250
"""Projects that are connected at once: each waits for minutes on purpose, so fewer would leave the machine idle, and
of many more the first look at their records would not come to its turn in time, so they would be refused."""
AGAIN = 5.0
"""Seconds until a caller asks again who was refused for the moment."""
_Result = TypeVar("_Result")


async def make_many(stack: Stack, count: int) -> list[SeededProject]:
    """Projects of ten documents each, the fewest that Azure takes."""
    folder = write_folder(stack.directory / "seed", ProjectKind.ENTITIES, documents=10, labelled=6)
    places = asyncio.Semaphore(MAKING)

    async def one(number: int) -> SeededProject:
        async with places:
            return await asyncio.to_thread(make_project, stack.tenant, folder, name=f"fleet{number:05}")

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def connect_all(bridge: Labelbridge, projects: list[SeededProject]) -> int:
    """Each to a labeling job of its own name; gives how often somebody was refused for the moment."""
    places = asyncio.Semaphore(WIDTH)

    async def one(project: SeededProject) -> int:
        async with places:
            _, refused = await _granted(
                lambda: bridge.connect_project(project.ref, job=project.ref.name, timeout=1800)
            )
            return refused

    return sum(await asyncio.gather(*(one(project) for project in projects)))


async def switch_all(bridge: Labelbridge, projects: list[SeededProject], to: Studio) -> tuple[list[str], int]:
    """All at once; gives the ids of the operations, and how often somebody was refused for the moment."""

    async def one(project: SeededProject) -> tuple[str, int]:
        result, refused = await _granted(lambda: bridge.switch(project.ref, to=to, timeout=3600))
        return result.operation_id, refused

    done = await asyncio.gather(*(one(project) for project in projects))
    return [operation for operation, _ in done], sum(refused for _, refused in done)


async def _granted(ask: Callable[[], Awaitable[_Result]]) -> tuple[_Result, int]:
    """Ask, and ask again as a caller does who is told that it is for the moment only; also how often that was."""
    refused = 0
    while True:
        try:
            return await ask(), refused
        except LabelbridgeError as error:
            if error.final:
                raise
            refused += 1
            await asyncio.sleep(AGAIN)


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
