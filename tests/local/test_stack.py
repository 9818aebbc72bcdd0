"""The stack without workers: seeding through the APIs, labelers, restarts, and the referee's judgement."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labelbridge.local.api import LABELING_VERSION, CallError
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.labelers import Labelers, Write
from labelbridge.local.processes import ChildError
from labelbridge.local.referee import Delivery, Entry, Verdict, contradictions, judge, read_log
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.local.studios import language_studio, utf16
from labelbridge.model import ProjectKind, Studio, arm_name
from labelbridge.samples import CLINIC
from tests.projects import write_folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("base"), workers=0, tuned=True) as running:
        yield running


@pytest.fixture(scope="module")
def clinic(base: Stack) -> SeededProject:
    return make_project(base.tenant, ProjectFolder.read(CLINIC), name="clinic")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_shipped_sample_has_crlf_emoji_and_labels_that_hit_whole_words() -> None:
    folder = ProjectFolder.read(CLINIC)
    texts = {name: folder.content(name).decode() for name in folder.documents}
    assert len(texts) >= 12
    assert any("\r\n" in text for text in texts.values())
    assert any(utf16(text) != len(text) for text in texts.values())
    seen = 0
    for document in folder.labels["assets"]["documents"]:
        units = texts[document["location"]].encode("utf-16-le")
        for label in document["entities"][0]["labels"]:
            surface = units[2 * label["offset"] : 2 * (label["offset"] + label["length"])].decode("utf-16-le")
            assert surface == surface.strip()
            assert surface[0].isalnum()
            assert surface[-1].isalnum()
            seen += 1
    assert seen > 40


def test_the_shipped_sample_is_seeded_through_the_apis(base: Stack, clinic: SeededProject) -> None:
    view = language_studio(base.tenant.caller("ann"), clinic.ref, base.tenant.language_endpoint).view()
    assert view.open
    assert set(view.labels) == set(clinic.documents)
    assert sum(labels is not None for labels in view.labels.values()) == 7


@pytest.mark.parametrize("kind", list(ProjectKind))
def test_labelers_label_every_kind_and_their_log_is_what_the_studio_holds(
    base: Stack, tmp_path: Path, kind: ProjectKind
) -> None:
    folder = write_folder(tmp_path / "folder", kind)
    project = make_project(base.tenant, folder, name=f"kind{list(ProjectKind).index(kind)}")
    labelers = Labelers.of(base.tenant, project, tmp_path / "log.jsonl", pace=0.01)
    labelers.start()
    until(lambda: labelers.acknowledged() >= 30)
    labelers.stop()
    writes = [Write.parse(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert tuple(writes) == labelers.log()
    verdict = judge_language_only(base, project, labelers)
    assert verdict.acknowledged == len(writes)
    assert verdict.found + verdict.superseded == len(writes)
    assert not verdict.lost
    assert not verdict.both_open


def judge_language_only(base: Stack, project: SeededProject, labelers: Labelers) -> Verdict:
    studio = language_studio(base.tenant.caller("ann"), project.ref, base.tenant.language_endpoint)
    final = {
        name: studio.canonical(project.kind, studio.text(name), labels)
        for name, labels in studio.view().labels.items()
        if labels is not None
    }
    subject = f"{arm_name(project.ref.language_resource)}/{project.ref.name}"
    log = read_log(base.tenant.caller("ann"), {subject: Studio.LANGUAGE})
    return judge(log, labelers.log(), active=Studio.LANGUAGE, final=final, deliveries=[])


def test_a_restarted_azure_keeps_its_address_and_every_acknowledged_write(
    base: Stack, tmp_path: Path
) -> None:
    project = make_project(
        base.tenant, write_folder(tmp_path / "folder", ProjectKind.ENTITIES), name="killed"
    )
    labelers = Labelers.of(base.tenant, project, tmp_path / "log.jsonl", pace=0.01)
    labelers.start()
    for count in (10, 20, 30):
        until(lambda count=count: labelers.acknowledged() >= count)  # type: ignore[misc]
        base.kill("azure")
        base.restart("azure")
    labelers.stop()
    assert not judge_language_only(base, project, labelers).lost


def test_a_stack_taken_up_again_has_the_same_addresses_people_and_projects(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=0) as first:
        project = make_project(first.tenant, ProjectFolder.read(CLINIC), name="clinic")
        before = first.tenant
    with Stack(tmp_path, workers=0) as again:
        assert again.tenant == before
        assert again.tenant.kind_of(project.ref) is ProjectKind.ENTITIES


def test_a_part_that_dies_unasked_is_reported_with_its_log(tmp_path: Path) -> None:
    reported = threading.Event()
    with Stack(tmp_path, workers=0, on_death=lambda _: reported.set()) as stack:
        os.kill(stack.child("azurite").pid, 9)
        assert reported.wait(30)
        with pytest.raises(ChildError, match="azurite died without being asked to"):
            stack.check()
        stack.failure = None


def test_a_stranger_may_not_look_at_a_labeling_job(base: Stack) -> None:
    with pytest.raises(CallError, match="403"):
        base.tenant.caller("stranger").arm(
            "GET", f"{base.tenant.workspace}/labelingJobs/any", version=LABELING_VERSION
        )


def test_settings_of_a_principal_hold_the_margins_inequalities(base: Stack) -> None:
    settings = base.settings("worker")
    assert settings.timing.drain > settings.timing.effect_deadline
    assert settings.azure.arm_endpoint == base.place.base_url
    assert settings.language_resource == base.tenant.language_resource


def test_a_folder_leaves_out_what_language_does_not_take_and_says_why(tmp_path: Path) -> None:
    write_folder(tmp_path, ProjectKind.SINGLE_LABEL, documents=3, labelled=3)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "a name.txt").write_text("x")
    (tmp_path / "long.txt").write_text("x" * 128_001)
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    folder = ProjectFolder.read(tmp_path)
    assert folder.documents == ("d000.txt", "d001.txt", "d002.txt")
    assert {one.document for one in folder.left_out} == {"empty.txt", "a name.txt", "long.txt", "latin.txt"}


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(second: int) -> datetime:
    return NOON.replace(second=second)


def entry(sequence: int, studio: Studio, event: str, document: str | None = None) -> Entry:
    return Entry(sequence, studio, event, document, at(sequence))


def write(sequence: int, studio: Studio, document: str, label: str) -> Write:
    return Write("acknowledged", studio, document, (label,), "ann", "", sequence)


HISTORY = [
    entry(1, Studio.LANGUAGE, "opened"),
    entry(2, Studio.LANGUAGE, "write", "a"),
    entry(3, Studio.LANGUAGE, "write", "a"),
    entry(4, Studio.LANGUAGE, "write", "b"),
    entry(5, Studio.LANGUAGE, "closed"),
    entry(6, Studio.AZUREML, "opened"),
    entry(7, Studio.AZUREML, "write", "a"),
]
WRITES = [
    write(2, Studio.LANGUAGE, "a", "old"),
    write(3, Studio.LANGUAGE, "a", "new"),
    write(4, Studio.LANGUAGE, "b", "kept"),
    write(7, Studio.AZUREML, "a", "newest"),
]
SWITCH = Delivery(at(4), at(8), [{"a": ("new",), "b": ("kept",)}])
FINAL = {"a": ("newest",), "b": ("kept",)}


def test_the_referee_finds_nothing_lost_in_a_clean_switch() -> None:
    verdict = judge(HISTORY, WRITES, active=Studio.AZUREML, final=FINAL, deliveries=[SWITCH])
    assert (verdict.acknowledged, verdict.found, verdict.superseded) == (4, 3, 1)
    assert not verdict.lost
    assert not verdict.both_open


def test_the_referee_sees_a_write_that_no_snapshot_holds() -> None:
    without = replace(SWITCH, snapshots=[{"a": ("old",), "b": ("kept",)}])
    verdict = judge(HISTORY, WRITES, active=Studio.AZUREML, final=FINAL, deliveries=[without])
    assert [lost.write.labels for lost in verdict.lost] == [("new",)]


def test_the_referee_sees_a_write_that_the_active_studio_forgot() -> None:
    verdict = judge(HISTORY, WRITES, active=Studio.AZUREML, final={}, deliveries=[SWITCH])
    assert [lost.write.labels for lost in verdict.lost] == [("newest",)]


def test_the_referee_does_not_take_a_later_operations_snapshot_for_the_switch_that_lost_a_write() -> None:
    empty = replace(SWITCH, snapshots=[{}])
    later = Delivery(at(9), at(10), SWITCH.snapshots)
    verdict = judge(HISTORY, WRITES, active=Studio.AZUREML, final=FINAL, deliveries=[empty, later])
    assert len(verdict.lost) == 2


def test_the_referee_counts_a_switch_that_was_undone_as_one_stint() -> None:
    undone = [*HISTORY[:5], entry(6, Studio.LANGUAGE, "opened"), entry(7, Studio.LANGUAGE, "write", "b")]
    writes = [*WRITES[:3], write(7, Studio.LANGUAGE, "b", "newest")]
    final = {"a": ("new",), "b": ("newest",)}
    verdict = judge(undone, writes, active=Studio.LANGUAGE, final=final, deliveries=[])
    assert (verdict.found, verdict.superseded, verdict.lost) == (2, 2, [])


def test_the_referee_sees_both_studios_open_and_a_write_behind_a_gate() -> None:
    both = [
        entry(1, Studio.LANGUAGE, "opened"),
        entry(2, Studio.AZUREML, "opened"),
        entry(3, Studio.LANGUAGE, "closed"),
        entry(4, Studio.LANGUAGE, "write", "a"),
    ]
    assert len(contradictions(both)) == 2


def test_a_log_line_survives_the_round_trip_through_json() -> None:
    spans = Write("unknown", Studio.AZUREML, "a", ((1, 2, "X"),), "ben", "now", None)
    assert Write.parse(spans.line()) == spans
    assert json.loads(spans.line())["studio"] == "azureml"
