"""Counting: never more than the limit in any window, wherever it begins."""

from hypothesis import given
from hypothesis import strategies as st

from labelbridge.throttling.settings import ThrottleSettings
from labelbridge.throttling.window import MOST_PAUSE, Window

SPAN = 60.0
STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 8)), max_size=60)


@given(steps=STEPS, limit=st.integers(1, 12))
def test_no_window_has_more_than_the_limit_however_requests_come(
    steps: list[tuple[float, int]], limit: int
) -> None:
    window, now, sent = Window(), 0.0, []
    for pause, wanted in steps:
        now += pause
        sent += [now] * window.take(now, limit, SPAN, wanted=wanted).granted
        window = Window.model_validate_json(window.model_dump_json())  # as the next worker reads it
    for first in sent:
        assert sum(first <= at < first + SPAN for at in sent) <= limit


@given(steps=STEPS, limit=st.integers(1, 12))
def test_the_wait_that_is_told_is_enough_and_no_more_than_needed(
    steps: list[tuple[float, int]], limit: int
) -> None:
    window, now = Window(), 0.0
    for pause, wanted in steps:
        now += pause
        grant = window.take(now, limit, SPAN, wanted=wanted)
        if not grant.granted:
            assert window.room(now + grant.wait * 0.999, limit, SPAN).granted <= 0
            now += grant.wait + 1e-6
            assert window.take(now, limit, SPAN, wanted=1).granted == 1


@given(pauses=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 600)), min_size=1, max_size=4))
def test_nothing_passes_before_the_latest_end_of_a_pause(pauses: list[tuple[float, float]]) -> None:
    window = Window()
    for now, seconds in sorted(pauses):
        window.pause(now, seconds)
    latest = max(now + seconds for now, seconds in pauses)
    for now in (100.0, latest - 0.1, latest, latest + 0.1):
        if now >= 100:
            assert window.take(now, 1000, SPAN, wanted=1).granted == (now >= latest)


def test_a_broken_clock_or_an_endless_pause_stops_nobody_for_ever() -> None:
    window = Window(until=1e12, taken=[(1e12, 1000)])
    assert window.take(1000.0, 10, SPAN, wanted=1).granted == 1
    window.pause(1000.0, 1e9)
    assert window.take(1000.0, 10, SPAN, wanted=1) == (0, MOST_PAUSE)


def test_what_was_sent_without_asking_is_taken_from_those_who_ask() -> None:
    window = Window()
    assert window.take(0.0, 10, SPAN, wanted=0, owed=12).granted == 0
    assert window.take(1.0, 10, SPAN, wanted=1).granted == 0
    assert window.take(SPAN, 10, SPAN, wanted=20).granted == 10


def test_a_share_of_the_published_limits_is_left_to_others() -> None:
    settings = ThrottleSettings()
    assert (settings.post_per_minute, settings.get_per_minute) == (10, 100)
    assert (settings.limit("post"), settings.limit("get")) == (9, 90)
    assert 8.5 < settings.turns_per_second * 60 < 9
    assert ThrottleSettings(post_per_minute=1).limit("post") == 1
    off = ThrottleSettings(post_per_minute=0)
    assert not off.turns
    assert off.limit("post") == 0
