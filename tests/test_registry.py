"""The registry: what two write at once, one of them wrote; what is kept is what was given."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import GROUP, RECORDS_ACCOUNT, WORKSPACE
from labelbridge.local.stack import Stack
from labelbridge.model import (
    Actor,
    AuditEntry,
    Claim,
    JobRef,
    OperationKind,
    Outcome,
    ProjectKind,
    ProjectRef,
    Record,
    Studio,
)
from labelbridge.registry import Registry

RESOURCE = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-language"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANN = Actor(object_id="00000000-0000-0000-0000-000000000001", name="ann")


@pytest.fixture
async def registry(stack: Stack) -> AsyncIterator[Registry]:
    """A registry in a container of its own."""
    with stack.acting_as("worker"):
        async with AzureSession(stack.settings("worker")) as session:
            made = Registry(session.blobs(RECORDS_ACCOUNT), f"r{uuid.uuid4().hex[:16]}")
            await made.ensure()
            yield made


def project(name: str = "letters") -> ProjectRef:
    return ProjectRef(language_resource=RESOURCE, name=name)


def record(name: str = "letters", *, by: str = "op-1", epoch: int = 0) -> Record:
    return Record(
        project=project(name), kind=ProjectKind.ENTITIES, epoch=epoch, updated_at=NOW, updated_by=by
    )


def claim(job: str, name: str, operation: str = "op-1") -> Claim:
    ref = JobRef(workspace=WORKSPACE, name=job)
    return Claim(job=ref, project=project(name), operation_id=operation, actor=ANN, claimed_at=NOW)


RECORD = f"projects/{project().key}/record.json"


async def test_a_record_is_read_as_it_was_written(registry: Registry) -> None:
    assert await registry.load(project()) is None
    created = await registry.create(record())
    assert await registry.load(project()) == created
    saved = await registry.save(record(by="op-2", epoch=1), created.etag)
    assert saved.etag != created.etag
    assert await registry.load(project()) == saved


async def test_a_record_written_with_a_stale_etag_is_refused_and_nothing_changes(registry: Registry) -> None:
    created = await registry.create(record())
    saved = await registry.save(record(by="op-2", epoch=1), created.etag)
    with pytest.raises(LabelbridgeError) as caught:
        await registry.save(record(by="op-3", epoch=1), created.etag)
    assert caught.value.code == "record_conflict"
    assert caught.value.data == {"epoch": "1", "updated_by": "op-2"}
    assert await registry.load(project()) == saved


async def test_of_many_writers_one_commits(registry: Registry) -> None:
    created = await registry.create(record())
    outcomes = await asyncio.gather(
        *(registry.save(record(by=f"op-{n}", epoch=1), created.etag) for n in range(6)),
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1


async def test_a_write_whose_answer_was_lost_is_known_as_ours(registry: Registry) -> None:
    created = await registry.create(record())
    assert await registry.create(record()) == created
    saved = await registry.save(record(by="op-2", epoch=1), created.etag)
    assert await registry.save(record(by="op-2", epoch=1), created.etag) == saved


async def test_a_second_first_record_is_refused(registry: Registry) -> None:
    await registry.create(record())
    with pytest.raises(LabelbridgeError) as caught:
        await registry.create(record(by="somebody"))
    assert caught.value.code == "record_conflict"


async def test_a_record_of_a_newer_version_keeps_what_is_not_known_when_it_is_saved(
    registry: Registry,
) -> None:
    await registry.create(record())
    await edited(registry, b'"schema_version": 1', b'"schema_version": 1, "of_tomorrow": {"x": 1}')
    loaded = await registry.load(project())
    assert loaded is not None
    await registry.save(loaded.record.model_copy(update={"epoch": 7}), loaded.etag)
    content = await registry._blobs.read(registry._container, RECORD)
    assert content is not None
    written = json.loads(content.data)
    assert (written["epoch"], written["of_tomorrow"]) == (7, {"x": 1})


async def test_a_record_of_a_newer_form_is_refused_and_stays_as_it_is(registry: Registry) -> None:
    created = await registry.create(record())
    newer = await edited(registry, b'"schema_version": 1', b'"schema_version": 2')
    with pytest.raises(LabelbridgeError) as caught:
        await registry.load(project())
    assert (caught.value.code, caught.value.final) == ("record_newer", False)
    with pytest.raises(LabelbridgeError):
        await registry.save(record(by="op-2", epoch=1), created.etag)
    content = await registry._blobs.read(registry._container, RECORD)
    assert content is not None
    assert content.data == newer


async def edited(registry: Registry, old: bytes, new: bytes) -> bytes:
    """Change the record as another version would have written it."""
    read = await registry._blobs.read(registry._container, RECORD)
    assert read is not None
    assert old in read.data
    changed = read.data.replace(old, new)
    await registry._blobs.replace(registry._container, RECORD, changed, read.etag)
    return changed


async def test_a_broken_record_is_said_to_be_broken(registry: Registry) -> None:
    await registry._blobs.create(registry._container, f"projects/{project().key}/record.json", b"{")
    with pytest.raises(LabelbridgeError) as caught:
        await registry.load(project())
    assert caught.value.code == "record_unreadable"


async def test_one_broken_record_does_not_hide_the_others(registry: Registry) -> None:
    whole = await registry.create(record())
    await registry._blobs.create(registry._container, "projects/broken/record.json", b"<html>")
    readable, broken = await registry.survey()
    assert readable == (whole.record,) == await registry.records()
    assert [error.data for error in broken] == [{"blob": "projects/broken/record.json"}]


async def test_of_two_projects_that_claim_a_job_one_holds_it_for_ever(registry: Registry) -> None:
    claims = [claim("job", f"project{n}") for n in range(6)]
    standing = await asyncio.gather(*(registry.claim(c) for c in claims))
    assert len({s.project.name for s in standing}) == 1
    assert await registry.read_claim(claims[0].job) == standing[0]
    assert await registry.claim(claim("job", "later")) == standing[0]


async def test_a_claim_is_of_a_name_in_any_case(registry: Registry) -> None:
    first = await registry.claim(claim("Job-1", "a"))
    upper = Claim.model_validate(
        {**claim("JOB-1", "b").model_dump(), "job": {"workspace": WORKSPACE.upper(), "name": "JOB-1"}}
    )
    assert await registry.claim(upper) == first
    assert await registry.read_claim(JobRef(workspace=WORKSPACE, name="job-2")) is None


async def test_a_snapshot_has_the_hash_of_its_content(registry: Registry) -> None:
    content = b'{"document":"a.txt"}\n' * 1000
    digest = hashlib.sha256(content).hexdigest()
    assert await registry.read_snapshot(project(), digest) is None
    await registry.put_snapshot(project(), digest, content, {"documents": 1, "at": NOW})
    await registry.put_snapshot(project(), digest, content, {"documents": 2})
    assert await registry.read_snapshot(project(), digest) == content
    assert await registry.read_manifest(project(), digest) == {
        "documents": 1,
        "at": "2026-01-02 03:04:05+00:00",
    }
    assert await registry.read_snapshot(project("another"), digest) is None
    with pytest.raises(LabelbridgeError) as caught:
        await registry.put_snapshot(project(), "0" * 64, content, {})
    assert caught.value.code == "read_back_differs"


async def test_a_snapshot_that_rotted_is_not_handed_out(registry: Registry) -> None:
    digest = hashlib.sha256(b"labels").hexdigest()
    await registry._blobs.create(registry._container, f"snapshots/{project().key}/{digest}.jsonl", b"rotten")
    with pytest.raises(LabelbridgeError) as caught:
        await registry.read_snapshot(project(), digest)
    assert caught.value.code == "read_back_differs"
    with pytest.raises(LabelbridgeError):
        await registry.put_snapshot(project(), digest, b"labels", {})


@pytest.mark.parametrize("name", ["../projects/x", "", "0" * 63, "A" * 64, "0" * 64 + "\n", "0" * 64 + ".."])
async def test_a_snapshot_id_cannot_leave_its_folder(registry: Registry, name: str) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await registry.read_snapshot(project(), name)
    assert caught.value.code == "snapshot_unknown"


async def test_raw_files_uploads_and_quarantines_are_kept_by_content(registry: Registry) -> None:
    name = await registry.put_raw(b"{}")
    assert name == await registry.put_raw(b"{}")
    assert await registry.read_raw(name) == b"{}"
    ref = await registry.put_upload(b"rows")
    assert ref.name == f"uploads/{hashlib.sha256(b'rows').hexdigest()}.jsonl"
    quarantine = await registry.put_quarantine(b"bad rows")
    read = await registry._blobs.read(registry._container, quarantine)
    assert read is not None
    assert read.data == b"bad rows"
    for other in ("../x", quarantine, "raw/" + "0" * 64 + ".json", name + "\n"):
        with pytest.raises(LabelbridgeError) as caught:
            await registry.read_raw(other)
        assert caught.value.code == "snapshot_unknown"


def entry(operation: str, minute: int, *, of: str = "letters") -> AuditEntry:
    return AuditEntry(
        operation_id=operation,
        project=project(of),
        kind=OperationKind.SWITCH,
        actor=ANN,
        outcome=Outcome.COMMITTED,
        epoch=minute,
        active=Studio.LANGUAGE,
        started_at=NOW,
        ended_at=NOW.replace(minute=minute),
    )


async def test_the_audit_trail_is_in_order_and_never_overwritten(registry: Registry) -> None:
    for minute, operation in ((9, "b"), (5, "c"), (7, "a/../..")):
        await registry.audit(entry(operation, minute))
    await registry.audit(entry("b", 30))
    await registry.audit(entry("x", 1, of="letters2"))
    history = await registry.history(project())
    assert [(e.operation_id, e.epoch) for e in history] == [("c", 5), ("a/../..", 7), ("b", 9)]


async def test_an_operation_id_cannot_leave_its_folder(registry: Registry) -> None:
    for operation in ("..", ".", "../../record", "", "labelbridge/a/000001-switch"):
        await registry.audit(entry(operation, 1))
    names = [b.name for b in await registry._blobs.list(registry._container)]
    assert len(names) == 5
    assert all(n.startswith(f"audit/{project().key}/") and n.count("/") == 2 for n in names)
    assert len(await registry.history(project())) == 5


async def test_all_records_are_listed(registry: Registry) -> None:
    assert await registry.records() == ()
    for name in ("a", "b", "c"):
        await registry.create(record(name))
    assert [r.project.name for r in await registry.records()] == ["a", "b", "c"]


async def test_a_record_store_that_cannot_be_reached_is_said_so(stack: Stack) -> None:
    settings = stack.settings("worker")
    settings.azure.storage_endpoint = "https://127.0.0.1:9/{account}"
    with stack.acting_as("worker"):
        async with AzureSession(settings) as session:
            with pytest.raises(LabelbridgeError) as caught:
                await Registry(session.blobs(RECORDS_ACCOUNT), "labelbridge").ensure()
    assert caught.value.code == "registry_unreachable"
