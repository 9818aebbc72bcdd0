"""What the Language part acknowledged outlasts a SIGKILL, and a job's effect happens once."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelbridge.local import language_store
from labelbridge.local.azurite import Azurite
from labelbridge.local.certificates import Certificates
from labelbridge.local.clock import Clock
from labelbridge.local.language_jobs import Apply, Job, JobFailedError, Jobs, find, of_project
from labelbridge.local.state import State
from tests.local.language.lab import SINGLE, UNHURRIED, Lab, classified, project_file, texts, unique

QUOTA = {"post_per_minute": 3, "get_per_minute": 20}


@pytest.fixture
def mortal(tmp_path: Path, language_blob: tuple[Azurite, Certificates]) -> Iterator[Lab]:
    """A server of this test's own, to be killed; its jobs take a second."""
    jobs = {"export": 1.0, "import": 1.0, "train": 1.0}
    lab = Lab(tmp_path, *language_blob, {"language": UNHURRIED, "jobs": jobs})
    try:
        yield lab.start()
    finally:
        lab.server.stop()


def test_jobs_labels_and_gates_survive_a_sigkill(mortal: Lab) -> None:
    name = unique()
    file = project_file(
        name, mortal.container(texts(12)), SINGLE, categories=("A", "B"), documents=classified(12)
    )
    started = mortal.call("POST", f"/{name}/:import", file)
    mortal.server.kill()
    mortal.server.start()
    assert mortal.finish(started)["status"] == "succeeded"
    assert mortal.studio("PUT", name, "/d0.txt/labels", {"labels": "A"}).status == 200
    assert mortal.call("PATCH", f"/{name}", {"settings": {"isLabelingLocked": True}}).status == 200
    train = mortal.call("POST", f"/{name}/:train", {"modelLabel": "m", "trainingConfigVersion": "latest"})
    mortal.server.kill()
    mortal.server.start()
    assert mortal.finish(train)["status"] == "succeeded"
    assert mortal.studio("PUT", name, "/d0.txt/labels", {"labels": "B"}).code == "LabelingLocked"
    assert [row["event"] for row in mortal.log(name)] == ["opened", "write", "closed"]
    labels = {d["location"]: d["class"]["category"] for d in mortal.export(name)["assets"]["documents"]}
    assert labels["d0.txt"] == "A"
    assert len(mortal.call("GET", f"/{name}/models").body["value"]) == 1


def test_the_quotas_of_a_resource_are_answered_with_429_and_when_to_come_back(
    tmp_path: Path, language_blob: tuple[Azurite, Certificates]
) -> None:
    lab = Lab(tmp_path, *language_blob, {"language": QUOTA})
    lab.server.start()
    try:
        lab.tenant = lab.make_tenant()
        caller = lab.tenant.caller("operator")
        url = f"{lab.tenant.language_endpoint.rstrip('/')}/language/authoring/analyze-text/projects"
        for method, limit in (("GET", 20), ("POST", 3)):
            statuses = []
            for _ in range(limit + 1):
                path = url if method == "GET" else f"{url}/none/:train"
                status, after = lab.raw(caller, method, f"{path}?api-version=2023-04-01")
                statuses.append(status)
            assert statuses[-1] == 429
            assert 0 < int(after) <= 60
    finally:
        lab.server.stop()


def test_each_nasty_choice_can_be_turned_off(
    tmp_path: Path, language_blob: tuple[Azurite, Certificates]
) -> None:
    kind = {
        "import_replaces_settings": False,
        "gate_takes_effect_after": 0,
        "stale_reads_for": 0,
        "export_shows_labels_as_of_run": False,
    }
    lab = Lab(
        tmp_path, *language_blob, {"language": UNHURRIED | {"reuse_project_names": True}, "nasty": kind}
    )
    try:
        lab.start()
        name = unique()
        settings = {"isLabelingLocked": True}
        file = project_file(name, lab.container(texts(2)), SINGLE, categories=("A", "B"))
        assert lab.finish(lab.call("POST", f"/{name}/:import", file))["status"] == "succeeded"
        started = lab.call("POST", f"/{name}/:export?stringIndexType=Utf16CodeUnit")
        assert lab.studio("PUT", name, "/d0.txt/labels", {"labels": "A"}).status == 200
        result = lab.finish(started)["resultUrl"]
        exported = lab.admin.request("GET", result, resource="https://cognitiveservices.azure.com").body
        assert exported["assets"]["documents"] == []
        lab.call("PATCH", f"/{name}", {"settings": settings})
        assert lab.call("GET", f"/{name}").body["settings"] == settings
        assert lab.studio("PUT", name, "/d0.txt/labels", {"labels": "B"}).status == 409
        assert lab.finish(lab.call("POST", f"/{name}/:import", file))["status"] == "succeeded"
        assert lab.call("GET", f"/{name}").body["settings"] == settings
        lab.finish(lab.call("DELETE", f"/{name}"))
        assert lab.finish(lab.call("POST", f"/{name}/:import", file))["status"] == "succeeded"
    finally:
        lab.server.stop()


class Frozen(Clock):
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at


def queue(tmp_path: Path, clock: Clock) -> tuple[State, Jobs]:
    state = State(tmp_path / "state.sqlite3", language_store.SCHEMA)
    return state, Jobs(state, clock)


def add(state: State, jobs: Jobs, clock: Clock, project: str, seconds: float) -> Job:
    with state.write() as db:
        return jobs.add(
            db,
            account="a",
            project=project,
            kind="export",
            request={},
            by="x",
            now=clock.now(),
            seconds=seconds,
        )


def read(state: State, clock: Clock, job: Job) -> Job:
    with state.read() as db:
        found = find(db, job.id, account="a", kinds=("export",), now=clock.now())
    assert found is not None
    return found


async def test_effects_run_once_in_order_of_due_time(tmp_path: Path) -> None:
    clock = Frozen()
    state, jobs = queue(tmp_path, clock)
    ran: list[str] = []

    async def effect(job: Job) -> Apply:
        await asyncio.sleep(0)

        def apply(db: sqlite3.Connection, now: float) -> str:
            ran.append(job.project)
            return "{}"

        return apply

    jobs.effects = {"export": effect}
    made = [
        add(state, jobs, clock, name, seconds)
        for name, seconds in (("late", 3.0), ("soon", 1.0), ("mid", 2.0))
    ]
    await jobs.run_due()
    assert ran == []
    assert read(state, clock, made[0]).shown_status(clock.now()) == "notStarted"
    clock.at += 0.9
    assert read(state, clock, made[0]).shown_status(clock.now()) == "running"
    clock.at += 10
    await jobs.run_due()
    await jobs.run_due()
    assert ran == ["soon", "mid", "late"]
    assert {read(state, clock, job).status for job in made} == {"succeeded"}
    state.close()


async def test_an_effect_that_died_before_its_commit_is_run_again_and_a_failed_one_changes_nothing(
    tmp_path: Path,
) -> None:
    clock = Frozen()
    state, jobs = queue(tmp_path, clock)
    attempts: list[str] = []

    async def effect(job: Job) -> Apply:
        attempts.append(job.project)
        if len(attempts) == 1:
            raise asyncio.CancelledError

        def apply(db: sqlite3.Connection, now: float) -> str | None:
            db.execute("INSERT INTO language_names VALUES ('a', 'trace')")
            if job.project == "bad":
                raise JobFailedError("no", "Nope")
            return None

        return apply

    jobs.effects = {"export": effect}
    good = add(state, jobs, clock, "good", 0)
    with pytest.raises(asyncio.CancelledError):
        await jobs.run_due()
    assert read(state, clock, good).status == "pending"
    await jobs.run_due()
    assert read(state, clock, good).status == "succeeded"
    with state.write() as db:
        db.execute("DELETE FROM language_names")
    bad = add(state, jobs, clock, "bad", 0)
    await jobs.run_due()
    assert read(state, clock, bad).errors == [{"code": "Nope", "message": "no"}]
    with state.read() as db:
        assert not language_store.name_was_used(db, "a", "trace")
        assert len(of_project(db, "a", "bad", "export")) == 1
    state.close()


async def test_a_job_expires_after_seven_days(tmp_path: Path) -> None:
    clock = Frozen()
    state, jobs = queue(tmp_path, clock)
    job = add(state, jobs, clock, "p", 0)
    clock.at += 7 * 24 * 3600 + 1
    with state.read() as db:
        assert find(db, job.id, account="a", kinds=("export",), now=clock.now()) is None
    state.close()
