"""The campaign in short, and what holds it honest: its plan comes from the seed, its judge is not blind."""

import itertools
from dataclasses import replace
from pathlib import Path

from tests.faults.campaign import Order, run
from tests.faults.campaign_judge import Meddling, _opened_by_people, _retold, judge
from tests.faults.campaign_plan import LATE, life, weather
from tests.faults.legal import Ideal, story
from tests.faults.recording import AZUREML, Ask, Line, Recording, Write

SEED = 37
OVERALL = {
    "kill worker",
    "pause worker",
    "kill temporal",
    "kill azurite",
    "kill azure",
    "take role",
    "status",
    "reset_before",
    "reset_after",
    "delay",
    "drop",
    "duplicate",
    "stale",
    "hang",
    "hang_after",
}


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert life(7, 3) == life(7, 3)
    assert life(7, 3) != life(8, 3)
    assert list(itertools.islice(weather(7), 50)) == list(itertools.islice(weather(7), 50))


def test_a_long_campaign_has_every_sort_of_fault_and_holds_no_effect_longer_than_the_margin() -> None:
    strikes = list(itertools.islice(weather(SEED), 3000))
    assert {strike.sort for strike in strikes} == OVERALL
    late = [s for s in strikes if s.method not in ("GET", "*") and s.sort in ("delay", "duplicate")]
    assert late
    assert all(dict(strike.fields)["seconds"] <= LATE for strike in late)


def _opened_by_hand(story: Ideal, *, shut: bool) -> tuple[Recording, Meddling]:
    """Somebody resumes the gated job of a project that is labelled in Language, and somebody labels there."""
    story.connect()
    story.write("d1", "Lisbon")
    opened = story._line(AZUREML, "opened")
    line = story._line(AZUREML, "write", "d2", ("Oslo",))
    story.labels[AZUREML]["d2"] = ("Oslo",)
    story.writes.append(Write(AZUREML, "d2", ("Oslo",), story._now(), line.sequence))
    if shut:
        story._line(AZUREML, "closed")
    return story.recording(), Meddling(opened={opened.sequence})


def test_a_gate_that_a_person_opened_and_that_was_shut_again_is_no_violation() -> None:
    recording, meddling = _opened_by_hand(Ideal(), shut=True)
    assert judge(recording, meddling).violations == []
    assert judge(recording, Meddling()).violated >= {"I1", "I2"}


def test_a_gate_that_a_person_opened_and_nobody_shut_is_a_violation() -> None:
    recording, meddling = _opened_by_hand(Ideal(), shut=False)
    assert "I1" in judge(recording, meddling).violated


def test_a_retired_job_that_a_person_took_up_again_must_be_shut_and_only_a_person_may_open_it() -> None:
    ideal = Ideal()
    ideal.connect()
    ideal.switch()
    ideal.write("d1", "Lisbon")
    ideal.disconnect()
    opened = ideal._line(AZUREML, "opened")
    by_hand = Meddling(opened={opened.sequence})
    assert judge(ideal.recording(), by_hand).violated == {"I1", "I3"}
    ideal._line(AZUREML, "closed")
    assert judge(ideal.recording(), by_hand).violations == []
    assert "I4" in judge(ideal.recording(), Meddling()).violated
    ideal._line(AZUREML, "opened")
    ideal._line(AZUREML, "closed")
    assert "I4" in judge(ideal.recording(), by_hand).violated


def test_language_of_a_project_that_was_never_connected_may_be_open() -> None:
    recording = Ideal().recording()
    (opened,) = [line for line in recording.log if line.event == "opened"]
    assert not recording.versions
    assert judge(recording, Meddling(opened={opened.sequence})).violations == []
    wrong = replace(recording, log=(replace(opened, studio=AZUREML),))
    assert "I1" in judge(wrong, Meddling(opened={opened.sequence})).violated


def test_what_was_labelled_through_a_persons_gate_must_still_be_somewhere() -> None:
    recording, meddling = _opened_by_hand(Ideal(), shut=True)
    gone = replace(recording, final=replace(recording.final, azureml={}))
    assert judge(gone, meddling).violated == {"I2"}
    job = next(line.subject for line in recording.log if line.studio == AZUREML)
    for held, violated in ({"d2": ("Oslo",)}, set()), ({"d2": ("Lima",)}, {"I2"}):
        retired = replace(gone, final=replace(gone.final, jobs={job.casefold(): held}))
        assert judge(retired, meddling).violated == violated


def test_a_gate_that_a_person_opened_becomes_legal_with_the_commit_though_nobody_labels_any_more() -> None:
    recording, meddling = _opened_by_hand(Ideal(), shut=False)
    committed = recording.log[-1].at + 1
    last = recording.versions[-1]
    now_active = replace(last, at=committed, etag="later", record={**last.record, "active": AZUREML})
    recording = replace(recording, versions=(*recording.versions, now_active))
    (span,) = _opened_by_people(recording, meddling.opened)
    retold, _ = _retold(recording, [span], writes=False)
    assert (retold.log[-1].event, retold.log[-1].studio, retold.log[-1].at) == ("opened", AZUREML, committed)


def test_a_second_opening_by_labelbridge_beside_a_persons_gate_is_a_violation() -> None:
    recording, meddling = _opened_by_hand(Ideal(), shut=True)
    last = recording.log[-1]
    again = (
        Line(last.sequence + 1, AZUREML, last.subject, "opened", last.at + 1),
        Line(last.sequence + 2, AZUREML, last.subject, "closed", last.at + 2),
    )
    assert "I1" in judge(replace(recording, log=(*recording.log, *again)), meddling).violated


def test_what_was_labelled_through_a_persons_gate_counts_once_its_studio_is_active() -> None:
    ideal = Ideal()
    ideal.connect()
    opened = ideal._line(AZUREML, "opened")
    line = ideal._line(AZUREML, "write", "d2", ("Oslo",))
    ideal.labels[AZUREML]["d2"] = ("Oslo",)
    ideal.writes.append(Write(AZUREML, "d2", ("Oslo",), ideal._now(), line.sequence))
    ideal.switch()
    ideal.log.pop()  # it was open already, so nothing was logged when Labelbridge opened it
    ideal.sync()
    assert judge(ideal.recording(), Meddling(opened={opened.sequence})).violations == []


def test_an_operation_that_nobody_was_told_of_is_a_violation() -> None:
    recording = story()
    told = [ask for ask in recording.asks if ask.kind != "sync"]
    assert "I3" in judge(replace(recording, asks=tuple(told)), Meddling()).violated


def test_what_an_events_look_says_that_it_started_is_accepted_and_must_leave_an_entry() -> None:
    recording = story()
    sync = next(entry for entry in recording.trail if entry.kind == "sync")
    asked = [ask for ask in recording.asks if ask.operation != sync.operation]
    by_event = replace(recording, asks=tuple(asked))
    assert judge(by_event, Meddling(heard={sync.operation: "event-1"})).violations == []
    assert "I3" in judge(by_event, Meddling(heard={"99-sync": "event-1"})).violated


def test_every_third_project_is_imported_and_the_others_are_synced_by_exports() -> None:
    lives = [life(SEED, number) for number in range(3)]
    assert [one.imported for one in lives] == [False, True, False]
    assert [one.auto_sync for one in lives] == [True, False, True]
    assert lives[1].moves[0].what == "import"
    meddles = {move.meddle for number in range(40) for move in life(SEED, number).moves}
    assert meddles == {None, "export", "touch", "resume", "unlock"}


def test_an_accepted_request_that_left_no_entry_is_a_violation_unless_it_was_terminated_by_hand() -> None:
    recording = story()
    end = recording.trail[-1].ended_at
    lost = Ask("sync", end, end + 1, "99-sync", "terminated")
    asked = replace(recording, asks=(*recording.asks, lost))
    assert "I3" in judge(asked, Meddling()).violated
    assert judge(asked, Meddling(terminated={"99-sync": ("sync", end)})).violations == []


def test_meddling_and_recording_can_be_saved_and_judged_again(tmp_path: Path) -> None:
    recording, meddling = _opened_by_hand(Ideal(), shut=False)
    meddling.terminated["7-sync"] = ("sync", 1.5)
    meddling.heard["8-sync"] = "event-1"
    recording.save(tmp_path / "recording.json")
    meddling.save(tmp_path / "meddling.json")
    again = judge(Recording.load(tmp_path / "recording.json"), Meddling.load(tmp_path / "meddling.json"))
    assert again.violations == judge(recording, meddling).violations


def test_a_short_campaign_holds(tmp_path: Path) -> None:
    """Connect, one move and disconnect of three projects side by side, one of them imported first."""
    order = Order(
        seed=SEED,
        operations=1,  # nobody begins a second project
        minutes=3,
        width=3,
        project=None,
        moves=1,
        great_every=40,
        small_every=6,
        blob_rate=0.05,
    )
    report = run(order, tmp_path)
    assert report.bad == []
    assert len(report.outcomes) == 3
    assert report.operations >= 4
    assert report.struck, "a campaign without faults proves nothing"
    assert report.events["events"], "Event Grid told of nothing"
