"""Projects to be lived with: made in Language, or only as documents and a file of labels to import."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from pathlib import Path

from labelbridge.local.folders import ProjectFolder
from labelbridge.local.seed import ADMIN, SeededProject, make_datastore, make_project
from labelbridge.local.stack import Stack
from labelbridge.local.studios import azureml_studio
from labelbridge.model import JobRef, ProjectKind, ProjectRef
from tests.operations.helpers import decision
from tests.projects import CLASSES, ENTITIES, write_folder

DOCUMENTS = 12


async def born(
    stack: Stack, path: Path, kind: ProjectKind, container: str | None = None
) -> tuple[SeededProject, ProjectFolder]:
    """A project that exists and is partly labelled in Language; its container may be another's, too."""
    name = _new_name()
    folder = write_folder(path / name, kind, documents=DOCUMENTS, labelled=8)
    made = await asyncio.to_thread(make_project, stack.tenant, folder, name=name, container=container)
    return made, folder


async def unborn(
    stack: Stack, path: Path, kind: ProjectKind, name: str | None = None
) -> tuple[SeededProject, ProjectFolder]:
    """A project that is still to be imported: its documents are in a container of its name."""
    name = name or _new_name()
    folder = write_folder(path / name, kind, documents=DOCUMENTS, labelled=0)
    ref = ProjectRef(language_resource=stack.tenant.language_resource, name=name)
    categories = ENTITIES if kind is ProjectKind.ENTITIES else CLASSES
    await asyncio.to_thread(_upload, stack, folder, name)
    datastore = await asyncio.to_thread(make_datastore, stack.tenant, name)
    return SeededProject(ref, kind, name, datastore, categories, folder.documents, ()), folder


def labels_file(stack: Stack, project: SeededProject, folder: ProjectFolder, job: JobRef) -> Path:
    """All documents of a folder labelled, in Azure ML's own form."""
    file = folder.path / "labels.jsonl"
    file.write_text("\n".join(_rows(stack, project, folder, job)) + "\n", encoding="utf-8")
    return file


def _new_name() -> str:
    return f"f{uuid.uuid4().hex[:12]}"


def _upload(stack: Stack, folder: ProjectFolder, container: str) -> None:
    client = stack.tenant.blobs(ADMIN).get_container_client(container)
    client.create_container()
    for document in folder.documents:
        client.upload_blob(document, folder.content(document))


def _rows(stack: Stack, project: SeededProject, folder: ProjectFolder, job: JobRef) -> Sequence[str]:
    client = azureml_studio(stack.tenant.caller("ann"), job, stack.offset_unit)
    rows = []
    for number, document in enumerate(folder.documents):
        text = folder.content(document).decode()
        labels = client.wire(project.kind, text, decision(project.kind, text, number % 6))
        sure = 1.0 if isinstance(labels, str) else [1.0] * len(labels)
        url = f"AmlDatastore://{project.datastore}/{document}"
        rows.append(json.dumps({"image_url": url, "label": labels, "label_confidence": sure}))
    return rows
