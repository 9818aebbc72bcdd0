"""A new Language project is made from an Azure ML JSONL file, or nothing is made."""

import asyncio
import json
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import CallError
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.referee import Labels
from labelbridge.local.seed import ADMIN, DATA_ACCOUNT, OTHER_ACCOUNT, RECORDS_ACCOUNT, SeededProject
from labelbridge.local.stack import Stack
from labelbridge.local.studios import azureml_studio
from labelbridge.model import BlobRef, ImportRequest, Outcome, ProjectKind, ProjectRef, Studio
from tests.operations.helpers import Bench, decision, follow
from tests.projects import CLASSES, ENTITIES, write_folder


async def _bench(stack: Stack, path: Path, kind: ProjectKind) -> Bench:
    """Documents in a container, and the name of a project that is not there yet."""
    name = f"i{uuid.uuid4().hex[:12]}"
    folder = write_folder(path / name, kind, labelled=0)
    await asyncio.to_thread(_upload, stack, folder, name)
    project = SeededProject(
        ref=ProjectRef(language_resource=stack.tenant.language_resource, name=name),
        kind=kind,
        container=name,
        datastore=name,
        categories=ENTITIES if kind is ProjectKind.ENTITIES else CLASSES,
        documents=folder.documents,
        left_out=(),
    )
    return Bench.of(stack, project, folder)


def _upload(stack: Stack, folder: ProjectFolder, container: str) -> None:
    client = stack.tenant.blobs(ADMIN).get_container_client(container)
    client.create_container()
    for document in folder.documents:
        client.upload_blob(document, folder.content(document))


def _lines(bench: Bench, documents: Iterable[str]) -> tuple[list[str], Labels]:
    """Azure ML's rows of some documents, emoji and CRLF among them, and what they mean."""
    client = azureml_studio(bench.tenant.caller("ann"), bench.job, bench.stack.offset_unit)
    lines, meant = [], {}
    for number, document in enumerate(documents):
        text = bench.folder.content(document).decode()
        labels = client.wire(bench.kind, text, decision(bench.kind, text, number % 6))
        confidence = 1.0 if isinstance(labels, str) else [1.0] * len(labels)
        url = f"AmlDatastore://{bench.project.datastore}/{document}"
        lines.append(
            json.dumps(
                {"image_url": url, "label": labels, "label_confidence": confidence}, ensure_ascii=False
            )
        )
        meant[document] = client.canonical(bench.kind, text, labels)
    return lines, meant


async def _request(bridge: Labelbridge, bench: Bench, lines: list[str], **changes: object) -> ImportRequest:
    """A request to import these lines, handed in as a file."""
    file = bench.folder.path / "labels.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    request = ImportRequest(
        source=await bridge.upload(file),
        account=DATA_ACCOUNT,
        container=bench.project.container,
        project_kind=bench.kind,
        language="en-us",
    )
    return request.model_copy(update=changes)


async def _is_not_there(bridge: Labelbridge, bench: Bench) -> None:
    with pytest.raises(CallError) as gone:
        await bench.in_language()
    assert gone.value.status == 404
    assert not (await bridge.status(bench.ref)).known


async def test_a_file_becomes_a_project_that_holds_exactly_its_labels_and_is_open(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    await asyncio.gather(*(_imported(bridge, stack, tmp_path, kind) for kind in ProjectKind))


async def _imported(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    bench = await _bench(stack, path, kind)
    lines, meant = _lines(bench, bench.project.documents)
    texts = [bench.folder.content(document).decode() for document in meant]
    assert any("\r\n" in text for text in texts)
    assert any(max(text) > "\uffff" for text in texts)

    result = await follow(bridge, bench.ref, await _request(bridge, bench, lines))
    assert await bench.in_language() == meant
    assert result.snapshot is not None
    assert (result.snapshot.source, result.snapshot.quarantined) == ("imported", 0)
    assert await bench.in_snapshot(result.snapshot.id) == meant
    record = await bench.record()
    assert (record["kind"], record["connection"], record["transition"]) == (kind.value, None, None)
    await bench.label(Studio.LANGUAGE, "d000.txt", 4)

    again = await _request(bridge, bench, lines)
    with pytest.raises(LabelbridgeError) as refusal:
        await bridge.import_labels(bench.ref, again)
    assert refusal.value.code == "project_exists"


async def test_documents_in_another_storage_account_and_a_missing_file_are_refused_and_nothing_is_made(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    bench = await _bench(stack, tmp_path, ProjectKind.ENTITIES)
    lines, _ = _lines(bench, bench.project.documents)
    elsewhere = await _request(bridge, bench, lines, account=OTHER_ACCOUNT)
    nothing = BlobRef(account=RECORDS_ACCOUNT, container=RECORDS_CONTAINER, name="uploads/nothing.jsonl")
    missing = await _request(bridge, bench, lines, source=nothing)
    both = missing.model_copy(update={"account": OTHER_ACCOUNT})
    for request, codes in (
        (elsewhere, {"storage_differs"}),
        (missing, {"source_missing"}),
        (both, {"storage_differs", "source_missing"}),
    ):
        with pytest.raises(LabelbridgeError) as refusal:
            await bridge.import_labels(bench.ref, request)
        assert refusal.value.code == "preflight_failed"
        assert {f.code for f in refusal.value.findings if f.severity == "error"} >= codes
        assert (await bridge.history(bench.ref))[-1].outcome is Outcome.REFUSED
    await _is_not_there(bridge, bench)


async def test_a_file_of_no_labels_makes_no_project(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    bench = await _bench(stack, tmp_path, ProjectKind.MULTI_LABEL)
    with pytest.raises(LabelbridgeError) as refusal:
        await bridge.import_labels(bench.ref, await _request(bridge, bench, []))
    assert refusal.value.code == "input_invalid"
    await _is_not_there(bridge, bench)


async def test_rows_that_cannot_be_read_stop_an_import_unless_they_may_be_put_aside(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    await asyncio.gather(*(_with_bad_rows(bridge, stack, tmp_path, kind) for kind in ProjectKind))


async def _with_bad_rows(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    bench = await _bench(stack, path, kind)
    lines, meant = _lines(bench, bench.project.documents[:8])
    no_label: object = [{"label": "City", "offsetStart": 5, "offsetEnd": 99_999}]
    if kind is not ProjectKind.ENTITIES:
        no_label = {"neither": "one nor many"}
    bad = [
        '{"image_url": ',
        lines[0].replace("d000.txt", "nobody-wrote-this.txt"),
        json.dumps({"image_url": f"AmlDatastore://{bench.project.datastore}/d009.txt", "label": no_label}),
    ]
    request = await _request(bridge, bench, [*lines[:3], *bad, *lines[3:]])

    with pytest.raises(LabelbridgeError) as refusal:
        await bridge.import_labels(bench.ref, request)
    assert refusal.value.code == "labels_quarantined"
    assert refusal.value.data["count"] == "3"
    await _is_not_there(bridge, bench)
    aside = await asyncio.to_thread(_quarantine, stack, refusal.value.data["quarantine"])
    assert [(row["line"], row["code"]) for row in aside] == [
        (4, "broken_json"),
        (5, "document_missing"),
        (6, "span_out_of_range" if kind is ProjectKind.ENTITIES else "row_shape"),
    ]
    assert all(row["reason"] for row in aside)

    allowed = request.model_copy(update={"allow_quarantine": True})
    result = await follow(bridge, bench.ref, allowed)
    assert await bench.in_language() == meant
    assert result.snapshot is not None
    assert result.snapshot.quarantined == 3
    assert result.snapshot.quarantine == refusal.value.data["quarantine"]
    assert result.snapshot.documents + result.snapshot.quarantined == len(lines) + len(bad)


def _quarantine(stack: Stack, name: str) -> list[dict[str, object]]:
    blobs = stack.tenant.blobs("operator", RECORDS_ACCOUNT)
    data = blobs.get_blob_client(RECORDS_CONTAINER, name).download_blob().readall()
    return [json.loads(line) for line in data.splitlines()]
