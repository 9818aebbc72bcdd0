"""How the projects of a campaign begin: made in Language, or to be imported; with a policy or without.

Prevents a campaign of projects that all began alike. A fault that strikes their making costs only a name.
"""

import asyncio
import time
import uuid
from datetime import UTC, datetime

from labelbridge.errors import LabelbridgeError
from labelbridge.events.policy import policy_of
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.seed import DATA_ACCOUNT, SeededProject, make_project
from labelbridge.model import ImportRequest, JobRef, ProjectRef
from tests.faults.births import labels_file, unborn
from tests.faults.campaign_plan import Life
from tests.faults.campaign_scene import Scene
from tests.faults.sampler import TROUBLE
from tests.projects import write_folder

PATIENCE = 600.0
DOCUMENTS, LABELLED = 10, 6


async def made(scene: Scene, plan: Life) -> tuple[SeededProject, ProjectFolder]:
    """A project that exists and is labelled; or, of one that is to be imported, its documents."""
    deadline = time.monotonic() + PATIENCE
    while True:
        name = f"c{plan.number:04}{uuid.uuid4().hex[:8]}"
        try:
            if plan.imported:
                return await unborn(scene.stack, scene.path, plan.kind, name)
            folder = write_folder(scene.path / name, plan.kind, documents=DOCUMENTS, labelled=LABELLED)
            return await asyncio.to_thread(make_project, scene.stack.tenant, folder, name=name), folder
        except TROUBLE:
            if time.monotonic() > deadline:
                raise


async def import_of(
    scene: Scene, project: SeededProject, folder: ProjectFolder, job: JobRef
) -> ImportRequest:
    """The request that imports a project, with its file of labels handed in."""
    file = await asyncio.to_thread(labels_file, scene.stack, project, folder, job)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ImportRequest(
                source=await scene.bridge.upload(file),
                account=DATA_ACCOUNT,
                container=project.container,
                project_kind=project.kind,
                language="en-us",
            )
        except (LabelbridgeError, *TROUBLE):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.3)


async def sync_on_export(scene: Scene, project: ProjectRef) -> None:
    """Let a label export start a sync; the Schedule that stands in for lost events is not made."""
    assert scene.stores is not None
    actor = await scene.bridge.actor()
    policy = policy_of(project, "on_export", at=datetime.now(UTC), by=actor)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await scene.stores.policies.write(policy)
            return
        except LabelbridgeError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.3)
