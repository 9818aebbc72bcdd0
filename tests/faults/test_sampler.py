"""A sampler that does not see is heard of: red proofs of the one part that nobody else watches."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.faults import sampler
from tests.faults.sampler import BlindError, Pace, Sampler

QUICK = Pace(least=0.001, most=0.001, share=1.0)


@contextmanager
def _running(look: Callable[[], None]) -> Iterator[Sampler]:
    running = Sampler(look, QUICK)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def test_a_sampler_that_died_is_an_error_at_the_next_verdict() -> None:
    looked = threading.Event()

    def look() -> None:
        looked.set()
        raise ZeroDivisionError

    with _running(look) as one:
        assert looked.wait(10)
        one._thread.join(10)
        with pytest.raises(BlindError):
            one.heed()


def test_a_sampler_that_goes_on_failing_raises_what_it_failed_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "PATIENCE", 0.0)
    failed = threading.Semaphore(0)

    def look() -> None:
        failed.release()
        raise ConnectionResetError

    with _running(look) as one:
        for _ in range(3):  # it goes on; by its second look the first has been noted
            assert failed.acquire(timeout=10)
        with pytest.raises(ConnectionResetError):
            one.heed()


def test_a_look_that_fails_is_tried_again_and_forgotten_once_it_succeeds() -> None:
    looks = threading.Semaphore(0)
    failures = iter([True, True])

    def look() -> None:
        looks.release()
        if next(failures, False):
            raise TimeoutError

    with _running(look) as one:
        for _ in range(5):
            assert looks.acquire(timeout=10)
        one.heed()


def test_the_sampler_looks_as_often_as_its_share_of_the_time_allows() -> None:
    pace = Pace(least=0.3, most=1.0, share=8.0)
    assert pace.pause(0.01) == pace.least
    assert pace.pause(0.1) == pytest.approx(0.8)
    assert pace.pause(5.0) == pace.most
