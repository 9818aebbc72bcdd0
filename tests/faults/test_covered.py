"""What the whole crash matrix has covered, held against what there is; this needs no stack."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from temporalio import activity

import activities
from activities.turns import Turns
from labelbridge import names
from labelbridge.azure.session import AzureSession
from labelbridge.model import Studio
from labelbridge.plans import Step
from labelbridge.registry import Registry
from labelbridge.settings import RegistrySettings, Settings
from labelbridge.throttling import turns
from tests.faults import coverage
from tests.faults.coverage import covered, is_whole
from tests.faults.crash_points import shortened
from tests.faults.report import HARMED
from tests.faults.schedules import scheduled
from tests.faults.stages import CHAINS, STAGES

BESIDE = {
    "labelbridge.auto_sync",
    "labelbridge.events.delivery",
    "labelbridge.events.request",
    "labelbridge.fleet",
    "labelbridge.preflight",
    "labelbridge.sweep",
}
"""Workflows of no operation on a project (events, looks, the fleet and its acts): no stage comes to them."""
NEVER = {
    "labelbridge.connect": "drop_shards join_shards read_shard",
    "labelbridge.reconcile": "drop_shards join_shards read_gates read_shard withdraw",
    "labelbridge.recover": "drop_shards join_shards read_shard",
}
"""What only the shared code of operations schedules, and not for that workflow: only Azure ML's rows are read in parts,
and an export that must succeed is made whole; a reconciliation reads gates with its own look, and has no intent."""
NOT_YET: dict[str, str] = {}
"""Activities that no recorded matrix has struck in that workflow. Nothing may be added here without a reason that a
reviewer accepts, and what was struck may not stay: the tests below hold the list to exactly what is missing."""


class _Session:
    """Stands for the clients: activities are only listed here, not run."""

    throttling = None

    def blobs(self, account: str) -> object:
        return object()


def _activities() -> set[str]:
    settings = Settings(_env_file=None, registry=RegistrySettings(account="records"))
    session, registry = cast("AzureSession", _Session()), cast("Registry", object())
    found = [*activities.all_activities(session, registry, settings), Turns(session).take_turn]
    return {str(activity._Definition.must_from_callable(one).name) for one in found}


def _pairs() -> set[tuple[str, str]]:
    """(workflow, activity) of everything that an operation or the entity may schedule."""
    return {pair for pair in scheduled(_activities()) if pair[0] not in BESIDE}


def _struck() -> set[tuple[str, str]]:
    return {(point.workflow, point.activity) for point in covered()}


def _excused() -> set[tuple[str, str]]:
    lists = (*NEVER.items(), *NOT_YET.items())
    return {(workflow, name) for workflow, found in lists for name in found.split()}


def test_every_activity_has_been_struck_in_each_workflow_that_schedules_it() -> None:
    missing = _pairs() - _struck() - _excused()
    assert not missing, "run `make crashes`, with a stage that comes to them"


def test_what_is_excused_exists_and_was_not_struck() -> None:
    assert not _excused() - _pairs(), "no such activity in that workflow any more: take it out of the list"
    assert not _excused() & _struck(), "it has been struck: take it out of the list"
    assert not (is_whole() and _unfinished()), "covered.json calls itself whole"


def _unfinished() -> list[str]:
    """What covered.json itself says is still to be struck."""
    found: list[str] = json.loads(coverage.COVERED.read_text())["not_yet"]
    return found


def test_what_covered_json_says_is_still_to_be_struck_was_not_struck() -> None:
    struck = {f"{point.workflow}/{point.activity}/{point.mode}" for point in covered()}
    assert not struck & set(_unfinished())


def test_every_workflow_is_known_and_every_activity_is_scheduled_by_one() -> None:
    pairs = scheduled(_activities())
    known = {names.ENTITY_WORKFLOW, *names.OPERATION_WORKFLOWS.values()}
    assert {workflow for workflow, _ in pairs} == known | BESIDE
    # A turn is no step of an operation: each step that begins work in Language takes one, and it has no effect.
    assert {name for _, name in pairs} == _activities() - {turns.TAKE_TURN}
    # What histories say was scheduled is a part of what is read from the source: the reading is not blind.
    assert {pair for pair in _struck() if pair[1] != turns.TAKE_TURN} <= pairs


def test_a_journal_is_saved_with_what_is_missing_and_only_what_did_no_harm_counts(tmp_path: Path) -> None:
    journal, place = tmp_path / "journal", tmp_path / "covered.json"
    one, other, third = (f"sync/labelbridge.sync/{name}/1/after" for name in ("a", "b", "c"))
    coverage.note_found(journal, [one, other])
    coverage.note_found(journal, [third])
    journal.write_text(f"{one}\n{HARMED}{other}\n{one}\n")
    coverage.save_journal(journal, place)
    saved = json.loads(place.read_text())
    figures = {name: saved["figures"][name] for name in ("found", "points", "runs", "violations", "whole")}
    assert figures == {"found": 3, "points": 1, "runs": 3, "violations": 1, "whole": False}
    assert saved["not_yet"] == ["labelbridge.sync/b/after", "labelbridge.sync/c/after"]
    assert [str(point) for point in covered(place)] == [one]
    assert not is_whole(place)
    journal.write_text(f"{one}\n{other}\n{third}\n")
    coverage.save_journal(journal, place)
    assert is_whole(place)
    assert json.loads(place.read_text())["not_yet"] == []


@pytest.mark.parametrize("mode", ["before", "middle", "after"])
def test_workers_were_struck_before_in_the_middle_of_and_after_activities(mode: str) -> None:
    assert any(point.mode == mode for point in covered())


def test_every_stage_is_lived_through() -> None:
    assert {stage for chain in CHAINS for stage in chain} == STAGES.keys()
    assert {point.stage for point in covered()} <= STAGES.keys()


def test_a_life_that_leaves_out_stages_comes_to_the_others_with_the_same_studio_active() -> None:
    for chain in CHAINS:
        for last, stage in enumerate(chain, start=1):
            life = shortened(chain[:last], {stage})
            assert life[-1] == stage
            assert _active_at_last(life) == _active_at_last(chain[:last]), (chain, stage)
            if STAGES[stage].snapshot:
                assert "sync" in life


def _active_at_last(chain: Sequence[str]) -> Studio | None:
    """Who labels when the last stage begins; None before a connect."""
    active: Studio | None = None
    for name in chain[:-1]:
        stage = STAGES[name]
        if stage.kind == "connect" and not stage.stop:
            active = Studio.LANGUAGE
        elif stage.kind == "switch" and (not stage.stop or stage.at is Step.LOOK_AGAIN):
            active = stage.to
        elif stage.kind == "disconnect":
            active = None
    return active
