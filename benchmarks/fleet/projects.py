"""Many small projects in the local Azure, made side by side through its APIs."""

import asyncio
from pathlib import Path

from labelbridge.client import Labelbridge
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind, Studio
from tests.projects import write_folder

MAKING = 8
"""Projects that are made at once: more only wait for the local Azure."""
WIDTH = 1000
"""Operations that this process starts at once: they mostly wait, so fewer would leave the machine idle."""


async def make_many(stack: Stack, count: int) -> list[SeededProject]:
    """Projects of ten documents each, the fewest that Azure takes."""
    folder = write_folder(stack.directory / "seed", ProjectKind.ENTITIES, documents=10, labelled=6)
    places = asyncio.Semaphore(MAKING)

    async def one(number: int) -> SeededProject:
        async with places:
            return await asyncio.to_thread(make_project, stack.tenant, folder, name=f"fleet{number:05}")

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def connect_all(bridge: Labelbridge, projects: list[SeededProject]) -> None:
    """Each to a labeling job of its own name."""
    places = asyncio.Semaphore(WIDTH)

    async def one(project: SeededProject) -> None:
        async with places:
            await bridge.connect_project(project.ref, job=project.ref.name, timeout=1800)

    await asyncio.gather(*(one(project) for project in projects))


async def switch_all(bridge: Labelbridge, projects: list[SeededProject], to: Studio) -> list[str]:
    """All at once; gives the ids of the operations."""

    async def one(project: SeededProject) -> str:
        return (await bridge.switch(project.ref, to=to, timeout=3600)).operation_id

    return list(await asyncio.gather(*(one(project) for project in projects)))


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
