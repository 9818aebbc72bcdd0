"""A session lives as long as it may and not longer, and its cookie can neither be read nor made by others."""

import time

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import Response

from labelbridge.console.auth import Person, Role
from labelbridge.console.auth.flow import Pending
from labelbridge.console.sessions import COOKIE, PENDING_COOKIE, RENEW, Session, Sessions
from labelbridge.settings import ConsoleSettings

KEY, NEXT_KEY = "a first key of thirty-two characters!", "the next key of thirty-two characters"
RITA = Person(object_id="rita", name="Rita", roles=frozenset({Role.READER}))


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


def sessions(clock: Hands, key: str = KEY, **more: object) -> Sessions:
    fields = {"session_key": key, "session_idle": "PT30M", "session_lifetime": "PT8H", **more}
    return Sessions(ConsoleSettings.model_validate(fields), clock)


def cookie(response: Response, name: str = COOKIE) -> str:
    (given,) = [
        h for h in response.headers.getlist("set-cookie") if h.startswith(f"{name}=") and "Max-Age=0" not in h
    ]
    return given.partition("=")[2].partition(";")[0]


def opened(house: Sessions) -> str:
    response = Response()
    house.open(RITA, response)
    return cookie(response)


def seen(house: Sessions, value: str, name: str = COOKIE) -> Session | None:
    headers = [(b"cookie", f"{name}={value}".encode())]
    return house.read(HTTPConnection({"type": "http", "headers": headers}))


def test_a_session_knows_its_person(clock: Hands) -> None:
    house = sessions(clock)
    found = seen(house, opened(house))
    assert found
    assert found.person == RITA


def test_a_session_that_is_not_used_ends(clock: Hands) -> None:
    house = sessions(clock)
    value = opened(house)
    clock.now += 29 * 60
    assert seen(house, value)
    clock.now += 2 * 60
    assert seen(house, value) is None


def test_a_session_that_is_used_goes_on_until_its_lifetime_is_over(clock: Hands) -> None:
    house = sessions(clock)
    began, value = clock.now, opened(house)
    while clock.now - began < 8 * 3600 - 600:
        clock.now += 600
        found = seen(house, value)
        assert found
        response = Response()
        house.renew(found, response)
        value = cookie(response)
    clock.now += 600
    assert seen(house, value) is None


def test_a_session_that_was_just_used_is_not_given_again(clock: Hands) -> None:
    house = sessions(clock)
    found = seen(house, opened(house))
    assert found
    clock.now += RENEW - 2
    response = Response()
    house.renew(found, response)
    assert "set-cookie" not in response.headers


def test_a_session_that_was_ended_is_not_renewed_by_an_answer_still_under_way(clock: Hands) -> None:
    house = sessions(clock)
    value = opened(house)
    found = seen(house, value)
    house.end(found, Response())
    clock.now += RENEW
    assert found
    response = Response()
    house.renew(found, response)
    assert "set-cookie" not in response.headers
    assert seen(house, value) is None


def test_a_changed_or_foreign_cookie_is_no_session(clock: Hands) -> None:
    house = sessions(clock)
    value = opened(house)
    assert seen(house, value[:-5] + "AAAA=") is None
    assert seen(house, opened(sessions(clock, NEXT_KEY))) is None
    assert seen(house, "") is None
    assert seen(house, "é".encode().decode("latin-1")) is None


def test_a_sign_in_that_has_begun_is_never_a_session(clock: Hands) -> None:
    house = sessions(clock)
    response = Response()
    pending = Pending(state="s", nonce="n", verifier="v", next="/", begun_at=int(clock.now))
    house.remember(pending, response)
    assert seen(house, cookie(response, PENDING_COOKIE)) is None


def test_sessions_outlive_a_change_of_the_key(clock: Hands) -> None:
    value = opened(sessions(clock, KEY))
    assert seen(sessions(clock, NEXT_KEY, session_key_before=KEY), value)
    assert seen(sessions(clock, NEXT_KEY), value) is None


def test_nobody_can_read_who_has_signed_in_from_the_cookie(clock: Hands) -> None:
    assert "rita" not in opened(sessions(clock)).lower()
