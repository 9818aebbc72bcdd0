"""The checker is content with what is legal, and names exactly what is not: one planted violation each."""

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given

from tests.faults import checker, recording
from tests.faults.checker import INVARIANTS, LOOKS, check
from tests.faults.legal import HAPPENINGS, Happening, Ideal, lived, story
from tests.faults.recording import (
    AZUREML,
    LANGUAGE,
    Ask,
    Claim,
    Disturbance,
    Export,
    Line,
    Look,
    Recording,
    Write,
)

Plant = Callable[[Recording], Recording]


@pytest.mark.parametrize("module", [checker, recording])
def test_the_judge_imports_nothing_of_the_product(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    given = {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name for name in plain | given if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign <= {"tests.faults.recording"}
    assert not {node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} - {0}


@given(HAPPENINGS)
def test_whatever_an_ideal_project_lives_through_the_checker_is_content(happenings: list[Happening]) -> None:
    assert check(lived(happenings)).violations == []


@given(HAPPENINGS, HAPPENINGS)
def test_two_ideal_projects_side_by_side_are_legal_too(one: list[Happening], other: list[Happening]) -> None:
    assert check(lived(one, "one"), lived(other, "other")).violations == []


def test_the_story_of_the_red_proofs_is_legal_and_witnesses_every_invariant() -> None:
    verdict = check(story())
    assert verdict.violations == []
    assert verdict.void(*INVARIANTS) == set()


def test_a_recording_in_which_nothing_was_witnessed_is_void_and_not_passed() -> None:
    silent = Ideal().recording()
    verdict = check(silent)
    assert verdict.violations == []
    assert verdict.void(*INVARIANTS) == {*INVARIANTS, LOOKS}


def test_a_verdict_is_void_if_the_sampler_has_not_looked_since_the_last_one() -> None:
    r = story()
    late = replace(r, since=r.looks[-1].at)
    assert check(late).void("I1") == {"I1", LOOKS}
    own = replace(r, looks=tuple(replace(look, sampled=False) for look in r.looks))
    assert check(own).void("I1") == {"I1", LOOKS}


def test_of_a_connected_project_both_studios_must_have_been_looked_at() -> None:
    r = story()
    connected = r.versions[0].at
    half = replace(
        r,
        since=connected,
        versions=r.versions[:2],
        looks=tuple(replace(look, azureml=None) for look in r.looks),
    )
    assert check(half).void("I1") == {"I1"}
    assert check(replace(half, looks=r.looks)).void("I1") == set()


def test_nothing_labelled_since_the_last_verdict_is_void_too() -> None:
    r = story()
    quiet = replace(r, since=r.log[-1].at, looks=(*r.looks, replace(r.looks[-1], at=r.log[-1].at + 1)))
    assert check(quiet).void("I1") == {"I1"}


def test_a_recording_is_judged_alike_after_it_was_saved_and_loaded(tmp_path: Path) -> None:
    story().save(tmp_path / "recording.json")
    loaded = Recording.load(tmp_path / "recording.json")
    assert loaded == story()
    assert check(loaded).violations == []


def test_a_log_that_is_out_of_order_is_refused() -> None:
    r = story()
    with pytest.raises(ValueError, match="out of order"):
        check(replace(r, log=(r.log[1], r.log[0], *r.log[2:])))


def _at(r: Recording, event: str, studio: str, nth: int = 0) -> int:
    """Place of the n-th such line in the log."""
    return [i for i, line in enumerate(r.log) if (line.event, line.studio) == (event, studio)][nth]


def _inserted(r: Recording, place: int, *lines: Line) -> Recording:
    """Lines put into the log, everything after them renumbered, the labelers' log too."""
    log = [*r.log[:place], *lines, *r.log[place:]]
    number = {line.sequence: new for new, line in enumerate(log, 1) if line.sequence > 0}
    renumbered = tuple(replace(line, sequence=new) for new, line in enumerate(log, 1))
    writes = tuple(replace(w, sequence=number[w.sequence] if w.sequence else None) for w in r.writes)
    return replace(r, log=renumbered, writes=writes)


def _line(r: Recording, place: int, **changes: Any) -> Line:
    return replace(r.log[place], sequence=0, **changes)


def _both_open(r: Recording) -> Recording:
    place = _at(r, "write", LANGUAGE)
    subject = r.log[_at(r, "opened", AZUREML)].subject
    between = {"studio": AZUREML, "subject": subject, "document": "", "labels": None}
    opened = _line(r, place, event="opened", **between)
    return _inserted(r, place, opened, replace(opened, event="closed"))


def _write_through_a_gate(r: Recording) -> Recording:
    """Two equal writes, of which the first comes before the gate opens: nothing is lost by it."""
    opened = _at(r, "opened", AZUREML)
    write = _line(r, _at(r, "write", AZUREML), at=r.log[opened].at)
    return _inserted(r, opened, write)


def _seen_open(r: Recording) -> Recording:
    return replace(r, looks=(*r.looks, Look(r.looks[-1].at + 0.1, language=True, azureml=True)))


def _lost_in_a_switch(r: Recording) -> Recording:
    """The snapshots that were taken from when Language was left for the first time lack a document."""
    gone = r.log[_at(r, "write", LANGUAGE)]
    kept = {
        one: {d: labels for d, labels in held.items() if (d, labels) != (gone.document, gone.labels)}
        for one, held in r.snapshots.items()
    }
    return replace(r, snapshots=kept)


def _lost_in_the_active_studio(r: Recording) -> Recording:
    last = r.log[_at(r, "write", LANGUAGE, -1)]
    return replace(r, final=replace(r.final, language={**r.final.language, last.document: ()}))


def _unknown_to_the_studio(r: Recording) -> Recording:
    write = Write(LANGUAGE, "d0", ("Oslo",), r.log[-1].at + 1, r.log[-1].sequence + 1)
    return replace(r, writes=(*r.writes, write))


def _record(r: Recording, place: int, **changes: Any) -> Recording:
    versions = list(r.versions)
    versions[place] = replace(versions[place], record={**versions[place].record, **changes})
    return replace(r, versions=tuple(versions))


def _half_way(r: Recording) -> Recording:
    return _record(r, -1, transition={"operation_id": "9-switch"})


def _epoch_goes_back(r: Recording) -> Recording:
    version = replace(r.versions[0], record={**r.versions[0].record, "epoch": 40})
    return replace(r, versions=(version, *r.versions))


def _nobody_can_label(r: Recording) -> Recording:
    last = r.log[-1]
    shut = Line(last.sequence + 1, LANGUAGE, last.subject, "closed", last.at + 1)
    return replace(r, log=(*r.log, shut))


def _never_answered(r: Recording) -> Recording:
    return replace(r, asks=(*r.asks, Ask("train", r.log[-1].at, None, "9-train")))


def _answered_otherwise(r: Recording) -> Recording:
    place = next(i for i, ask in enumerate(r.asks) if ask.kind == "train")
    told = replace(r.asks[place], code="step_deadline")
    return replace(r, asks=(*r.asks[:place], told, *r.asks[place + 1 :]))


def _ran_twice(r: Recording) -> Recording:
    entry = next(entry for entry in r.trail if entry.kind == "sync")
    return replace(r, trail=(*r.trail, replace(entry, active=LANGUAGE, epoch=2, ended_at=r.log[-1].at)))


def _cancelled_and_yet_moved(r: Recording) -> Recording:
    place = next(i for i, entry in enumerate(r.trail) if entry.outcome == "cancelled")
    moved = replace(r.trail[place], active=LANGUAGE, epoch=2)
    following = replace(r.trail[place + 1], active=AZUREML, epoch=3)
    last = replace(r.trail[place + 2], epoch=4)
    return _record(
        replace(r, trail=(*r.trail[:place], moved, following, last, *r.trail[place + 3 :])), -1, epoch=4
    )


def _claimed_by_another(r: Recording) -> Recording:
    claim = r.claims[0]
    return replace(r, claims=(*r.claims, Claim(claim.at + 1, claim.job, "others", "1-connect")))


def _claimed_anew(r: Recording) -> Recording:
    claim = r.claims[0]
    return replace(r, claims=(*r.claims, replace(claim, at=claim.at + 1, operation="9-reconcile")))


def _deleted(r: Recording) -> Recording:
    return replace(r, claims=(*r.claims, replace(r.claims[0], at=r.claims[0].at + 1, deleted=True)))


def _claimed_by_another_when_it_was_deleted(r: Recording) -> Recording:
    return _claimed_by_another(_deleted(r))


def _connected_again(r: Recording) -> Recording:
    return _record(r, -1, connection=r.versions[0].record["connection"])


def _retired_no_more(r: Recording) -> Recording:
    later = replace(r.versions[-1], etag="later", record={**r.versions[-1].record, "retired": []})
    return replace(r, versions=(*r.versions, later))


def _labels_after_the_disconnect(r: Recording) -> Recording:
    last = r.log[-1]
    shut = Line(last.sequence + 1, LANGUAGE, last.subject, "closed", last.at + 1)
    subject = r.log[_at(r, "opened", AZUREML)].subject
    opened = Line(last.sequence + 2, AZUREML, subject, "opened", last.at + 2)
    shut_again = replace(opened, sequence=last.sequence + 3, event="closed", at=last.at + 3)
    back = replace(shut, sequence=last.sequence + 4, event="opened", at=last.at + 4)
    return replace(r, log=(*r.log, shut, opened, shut_again, back))


def _trained_on_others(r: Recording) -> Recording:
    return replace(r, final=replace(r.final, trained={"m0": {"d0": ("Paris",)}}))


def _trained_on_the_gated_studio(r: Recording) -> Recording:
    entry = next(entry for entry in r.trail if entry.model)
    one = entry.snapshots[0]
    held = {**r.snapshots[one], "d0": ("Oslo",)}
    return replace(
        r, snapshots={**r.snapshots, one: held}, final=replace(r.final, trained={str(entry.model): held})
    )


def _stale_sync(r: Recording) -> Recording:
    ask = next(ask for ask in r.asks if ask.kind == "sync")
    older = r.snapshots[str(ask.snapshot)] | {"d1": ("Lisbon",)}
    name = "f" * 64
    stale = tuple(replace(one, snapshot=name) if one is ask else one for one in r.asks)
    return replace(r, asks=stale, snapshots={**r.snapshots, name: older})


def _dear_burst(r: Recording) -> Recording:
    """Three exports of the active studio, by its own list, while a burst waits for its answers."""
    sync = next(ask for ask in r.asks if ask.kind == "sync")
    burst = tuple(replace(ask, burst="b1") if ask is sync else ask for ask in r.asks)
    more = [replace(_export_for(r, sync), at=sync.asked_at + n / 10) for n in (1, 2)]
    return replace(r, asks=burst, exports=tuple(sorted((*r.exports, *more), key=lambda one: one.at)))


def _export_for(r: Recording, ask: Ask) -> Export:
    return next(one for one in r.exports if one.at >= ask.asked_at)


def _nobody_exported(r: Recording) -> Recording:
    """A sync is answered with a snapshot that somebody else's export made before."""
    sync = next(ask for ask in r.asks if ask.kind == "sync")
    return replace(r, exports=tuple(one for one in r.exports if one is not _export_for(r, sync)))


def test_a_burst_may_cost_one_more_export_for_each_request_that_a_fault_made_repeat() -> None:
    r = _dear_burst(story())
    sync = next(ask for ask in r.asks if ask.burst)
    assert sync.answered_at is not None
    during = Disturbance(sync.asked_at, sync.answered_at, 1)
    before = Disturbance(sync.asked_at - 2, sync.asked_at - 1, 1)
    assert check(replace(r, disturbances=(during,))).violations == []
    assert check(replace(r, disturbances=(before,))).violated == {"I6"}


def test_a_request_that_is_repeated_by_its_key_gets_the_answer_of_the_first_however_old() -> None:
    r = story()
    sync = next(ask for ask in r.asks if ask.kind == "sync")
    late = replace(sync, asked_at=r.log[-1].at, answered_at=r.log[-1].at + 1)
    assert check(replace(r, asks=(*r.asks, replace(late, again=True)))).violations == []
    assert check(replace(r, asks=(*r.asks, late))).violated == {"I6"}


@pytest.mark.parametrize(
    ("invariant", "plant"),
    [
        ("I1", _both_open),
        ("I1", _write_through_a_gate),
        ("I1", _seen_open),
        ("I2", _lost_in_a_switch),
        ("I2", _lost_in_the_active_studio),
        ("I2", _unknown_to_the_studio),
        ("I3", _half_way),
        ("I3", _epoch_goes_back),
        ("I3", _nobody_can_label),
        ("I3", _never_answered),
        ("I3", _answered_otherwise),
        ("I3", _ran_twice),
        ("I3", _cancelled_and_yet_moved),
        ("I4", _claimed_by_another),
        ("I4", _claimed_anew),
        ("I4", _claimed_by_another_when_it_was_deleted),
        ("I4", _connected_again),
        ("I4", _retired_no_more),
        ("I4", _labels_after_the_disconnect),
        ("I5", _trained_on_others),
        ("I5", _trained_on_the_gated_studio),
        ("I6", _stale_sync),
        ("I6", _dear_burst),
        ("I6", _nobody_exported),
    ],
)
def test_a_planted_violation_is_reported_as_exactly_that(invariant: str, plant: Plant) -> None:
    verdict = check(plant(story()))
    assert verdict.violated == {invariant}, [str(one) for one in verdict.violations]


def test_a_claim_that_somebody_deleted_may_be_made_anew_for_the_same_project() -> None:
    assert not check(_claimed_anew(_deleted(story()))).violations


def test_two_projects_on_one_job_are_reported() -> None:
    one, other = story("one"), story("other")
    stolen = tuple(
        replace(v, record={**v.record, "connection": one.versions[0].record["connection"]})
        if v.record["connection"]
        else v
        for v in other.versions
    )
    verdict = check(one, replace(other, versions=stolen, claims=()))
    assert verdict.violated == {"I4"}
