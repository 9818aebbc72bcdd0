"""The studios' log: one order for both studios, gates written where they took effect."""

from collections.abc import Iterator

import pytest

from labelbridge.local import log
from labelbridge.local.state import State


@pytest.fixture
def state() -> Iterator[State]:
    found = State(":memory:", log.SCHEMA)
    yield found
    found.close()


def lines(state: State) -> list[tuple[str, str, float]]:
    with state.read() as db:
        return [(row["studio"], row["event"], row["at"]) for row in log.entries(db, 0, 100)]


def test_a_late_closing_of_one_studio_stands_before_a_later_write_of_the_other(state: State) -> None:
    with state.write() as db:
        log.change_gate(db, "language", "a/p", open_=True, now=1.0, by="x")
        log.change_gate(db, "language", "a/p", open_=False, now=2.0, after=5.0, by="x")
        log.append(db, "language", "a/p", "write", now=6.0, by="x", document="d", labels_json="[]")
        log.append(db, "azureml", "job", "write", now=8.0, by="x", document="d", labels_json="[]")
    assert lines(state) == [
        ("language", "opened", 1.0),
        ("language", "write", 6.0),
        ("language", "closed", 7.0),
        ("azureml", "write", 8.0),
    ]


def test_asking_for_what_is_asked_already_changes_nothing(state: State) -> None:
    with state.write() as db:
        log.change_gate(db, "azureml", "job", open_=True, now=1.0, by="x")
        log.change_gate(db, "azureml", "job", open_=True, now=2.0, by="x")
        log.change_gate(db, "azureml", "job", open_=False, now=3.0, after=2.0, by="x")
        log.change_gate(db, "azureml", "job", open_=False, now=4.0, after=9.0, by="x")
        assert log.is_open(db, "azureml", "job", 4.9)
        assert not log.is_open(db, "azureml", "job", 5.0)
        log.settle(db, 20.0)
    assert lines(state) == [("azureml", "opened", 1.0), ("azureml", "closed", 5.0)]


def test_a_gate_nobody_asked_for_is_closed(state: State) -> None:
    with state.read() as db:
        assert not log.is_open(db, "language", "a/p", 1.0)
        assert not log.shown_open(db, "language", "a/p", 1.0, 0.0)
        assert log.asked(db, "language", "a/p") is None


def test_a_read_shows_what_was_asked_for_some_time_ago(state: State) -> None:
    with state.write() as db:
        log.change_gate(db, "azureml", "job", open_=True, now=1.0, by="x")
        log.change_gate(db, "azureml", "job", open_=False, now=10.0, after=1.0, by="x")
        assert log.shown_open(db, "azureml", "job", 1.0, 5.0)
        assert log.shown_open(db, "azureml", "job", 14.9, 5.0)
        assert not log.shown_open(db, "azureml", "job", 15.0, 5.0)
        assert not log.shown_open(db, "azureml", "job", 10.0, 0.0)
