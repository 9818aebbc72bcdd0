"""Nobody comes in with a token, a code or an answer that is not theirs, ours, genuine and in force."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from labelbridge.console.sessions import COOKIE, PENDING_COOKIE
from tests.console.issuer import (
    CLIENT_ID,
    Issuer,
    new_key,
    signed_with_the_public_key,
    unsigned,
)
from tests.console.serving import Site

HOUR = 3600


def begin(browser: httpx.Client, next_path: str = "/") -> dict[str, str]:
    """What a browser that wants to sign in is sent to the provider with."""
    answer = browser.get("/auth/sign-in", params={"next": next_path}, follow_redirects=False)
    assert answer.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def at_the_provider(site: Site, browser: httpx.Client) -> str:
    """The address with which the provider sends the browser back."""
    answer = browser.get("/auth/sign-in", follow_redirects=False)
    back = browser.get(answer.headers["location"], follow_redirects=False)
    return back.headers["location"]


def assert_not_signed_in(browser: httpx.Client, answer: httpx.Response) -> None:
    assert answer.status_code == 401
    assert "sign_in_failed" in answer.text
    assert COOKIE not in browser.cookies


# People.


def test_somebody_signs_in_and_comes_back_to_the_page_that_they_wanted(lonely: Site) -> None:
    lonely.issuer.person = "otto"
    browser = lonely.browser()
    answer = browser.get("/healthz?again=1")
    answer = browser.get("/auth/sign-in", params={"next": "/healthz?again=1"})
    assert str(answer.url) == f"{lonely.url}/healthz?again=1"
    assert browser.get("/api/v1/me").json() == {"object_id": "otto", "name": "otto", "roles": ["operator"]}


def test_the_flow_carries_state_nonce_and_pkce_and_the_client_proves_itself(lonely: Site) -> None:
    asked = begin(lonely.browser())
    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == f"{lonely.url}/auth/callback"
    assert asked["code_challenge_method"] == "S256"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    lonely.signed_in("olga")
    form = lonely.issuer.forms[-1]
    assert len(form["code_verifier"]) >= 43
    assert form["client_secret"]


def test_the_cookies_are_for_this_host_over_tls_and_not_for_scripts(lonely: Site) -> None:
    browser = lonely.browser()
    begun = browser.get("/auth/sign-in", follow_redirects=False)
    back = browser.get(begun.headers["location"], follow_redirects=False)
    ended = browser.get(back.headers["location"], follow_redirects=False)
    cookies = begun.headers.get_list("set-cookie") + ended.headers.get_list("set-cookie")
    given = [c for c in cookies if "Max-Age=0" not in c]
    assert {c.partition("=")[0] for c in given} == {COOKIE, PENDING_COOKIE}
    for cookie in given:
        lowered = cookie.lower()
        assert all(flag in lowered for flag in ("; httponly", "; secure", "; samesite=lax", "; path=/"))
        assert "domain" not in lowered
    assert PENDING_COOKIE not in browser.cookies


TWISTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another issuer": lambda c: c.update(iss="https://login.example.com"),
    "another audience": lambda c: c.update(aud="another-application"),
    "several audiences": lambda c: c.update(aud=[CLIENT_ID, "another-application"]),
    "expired": lambda c: c.update(exp=int(time.time()) - HOUR),
    "not valid yet": lambda c: c.update(nbf=int(time.time()) + HOUR),
    "no expiry": lambda c: c.pop("exp"),
    "no issuer": lambda c: c.pop("iss"),
    "no audience": lambda c: c.pop("aud"),
    "another nonce": lambda c: c.update(nonce="replayed"),
    "no nonce": lambda c: c.pop("nonce"),
    "nobody's": lambda c: c.pop("oid"),
}
FORGERIES: dict[str, Callable[[Issuer, dict[str, Any]], str]] = {
    "alg none": lambda _, claims: unsigned(claims),
    "HS256 with the public key": signed_with_the_public_key,
    "another key under the same id": lambda _, claims: Issuer("x", {"first": new_key()}).token(claims),
    "a key that the issuer does not have": lambda _, claims: Issuer("x", {"second": new_key()}).token(
        claims, kid="second"
    ),
    "a changed payload": lambda issuer, claims: _spliced(
        issuer.token(claims), issuer.token(claims | {"oid": "somebody else"})
    ),
    "no token": lambda *_: "not.a.token",
    "an endless token": lambda *_: "a" * 40_000,
}


def _spliced(one: str, other: str) -> str:
    head, _, signature = one.split(".")
    return f"{head}.{other.split('.')[1]}.{signature}"


@pytest.mark.parametrize("twist", TWISTS.values(), ids=TWISTS)
def test_an_id_token_that_says_something_else_opens_no_session(
    lonely: Site, twist: Callable[[dict[str, Any]], None]
) -> None:
    lonely.issuer.twist = twist
    browser = lonely.browser()
    assert_not_signed_in(browser, browser.get("/auth/sign-in"))


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_id_token_opens_no_session(
    lonely: Site, forge: Callable[[Issuer, dict[str, Any]], str]
) -> None:
    lonely.issuer.person = "otto"
    lonely.issuer.sign = lambda claims: forge(lonely.issuer, claims)
    browser = lonely.browser()
    assert_not_signed_in(browser, browser.get("/auth/sign-in"))


def test_an_answer_with_another_state_opens_no_session(lonely: Site) -> None:
    browser = lonely.browser()
    code = parse_qs(urlsplit(at_the_provider(lonely, browser)).query)["code"][0]
    assert_not_signed_in(
        browser, browser.get("/auth/callback", params={"code": code, "state": "somebody-else's"})
    )
    assert_not_signed_in(browser, browser.get("/auth/callback", params={"code": code}))


def test_an_answer_in_a_browser_that_began_nothing_opens_no_session(lonely: Site) -> None:
    victim = lonely.browser()
    assert_not_signed_in(victim, victim.get(at_the_provider(lonely, lonely.browser())))


def test_an_answer_of_another_browsers_sign_in_opens_no_session(lonely: Site) -> None:
    victim = lonely.browser()
    begin(victim)
    assert_not_signed_in(victim, victim.get(at_the_provider(lonely, lonely.browser())))


def test_a_code_works_once(lonely: Site) -> None:
    browser = lonely.browser()
    back = at_the_provider(lonely, browser)
    pending = browser.cookies[PENDING_COOKIE]
    browser.get(back, follow_redirects=False)
    again = lonely.browser(cookies={PENDING_COOKIE: pending})
    assert_not_signed_in(again, again.get(back))


def test_a_refusal_of_the_provider_is_said_without_its_words(lonely: Site) -> None:
    browser = lonely.browser()
    state = begin(browser)["state"]
    refusal = {"error": "access_denied", "error_description": "<script>boo(1)</script>", "state": state}
    answer = browser.get("/auth/callback", params=refusal)
    assert_not_signed_in(browser, answer)
    assert "access_denied" in answer.text
    assert "boo" not in answer.text


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "https:evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_nobody_is_sent_elsewhere_after_the_sign_in(lonely: Site, elsewhere: str) -> None:
    browser = lonely.browser()
    begun = browser.get("/auth/sign-in", params={"next": elsewhere}, follow_redirects=False)
    back = browser.get(begun.headers["location"], follow_redirects=False)
    ended = browser.get(back.headers["location"], follow_redirects=False)
    assert (ended.status_code, ended.headers["location"]) == (303, "/")


def test_signing_out_ends_the_session_also_for_a_copy_of_its_cookie(lonely: Site) -> None:
    browser = lonely.signed_in("rita")
    copy = lonely.browser(cookies={COOKIE: browser.cookies[COOKIE]})
    assert copy.get("/api/v1/me").status_code == 200
    answer = browser.post(
        "/auth/sign-out", data={"csrf_token": lonely.csrf(browser)}, headers={"Origin": lonely.url}
    )
    assert answer.status_code == 200
    assert COOKIE not in browser.cookies
    assert copy.get("/api/v1/me").status_code == 401


# Programs.


def me(site: Site, token: str) -> httpx.Response:
    return site.browser().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})


def test_a_program_is_who_its_token_says_with_the_roles_that_it_says(lonely: Site) -> None:
    claims = lonely.issuer.claims(
        "pipeline", preferred_username=None, azp="app-id", roles=["Labelbridge.Operator", "Other"]
    )
    assert me(lonely, lonely.issuer.token(claims)).json() == {
        "object_id": "pipeline",
        "name": "app-id",
        "roles": ["operator"],
    }


BEARER_TWISTS = {name: t for name, t in TWISTS.items() if "nonce" not in name} | {
    "an ID token": lambda c: c.update(nonce="n")
}


@pytest.mark.parametrize("twist", BEARER_TWISTS.values(), ids=BEARER_TWISTS)
def test_a_bearer_token_that_says_something_else_is_refused(
    lonely: Site, twist: Callable[[dict[str, Any]], None]
) -> None:
    claims = lonely.issuer.claims("olga")
    twist(claims)
    answer = me(lonely, lonely.issuer.token(claims))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_bearer_token_is_refused(
    lonely: Site, forge: Callable[[Issuer, dict[str, Any]], str]
) -> None:
    assert me(lonely, forge(lonely.issuer, lonely.issuer.claims("olga"))).status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Basic b2xnYTpvbGdh", "x", ""])
def test_only_bearer_tokens_are_taken(lonely: Site, header: str) -> None:
    browser = lonely.signed_in("olga")
    # Also a session in the same request does not help: what was said of the caller is wrong.
    assert browser.get("/api/v1/me", headers={"Authorization": header}).status_code == 401


def test_a_token_signed_with_es256_is_taken(lonely: Site) -> None:
    lonely.issuer.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    lonely.app.state.provider._asked = float("-inf")
    token = lonely.issuer.token(lonely.issuer.claims("rita"), kid="curve", algorithm="ES256")
    assert me(lonely, token).status_code == 200


def test_a_new_key_of_the_issuer_is_fetched_and_invented_ones_cost_it_nothing(lonely: Site) -> None:
    me(lonely, lonely.issuer.token(lonely.issuer.claims("rita")))
    lonely.app.state.provider._asked = float("-inf")
    before = lonely.issuer.asked["/keys"]
    lonely.issuer.keys["rolled"] = new_key()
    assert me(lonely, lonely.issuer.token(lonely.issuer.claims("rita"), kid="rolled")).status_code == 200
    stranger = Issuer(lonely.issuer.url, {f"k{n}": lonely.issuer.keys["first"] for n in range(5)})
    for kid in ("k0", "k1", "k2", "k3", "k4"):
        assert me(lonely, stranger.token(stranger.claims("olga"), kid=kid)).status_code == 401
    assert lonely.issuer.asked["/keys"] == before + 1


def test_known_keys_serve_while_the_issuer_is_down(lonely: Site) -> None:
    provider = lonely.app.state.provider
    token = lonely.issuer.token(lonely.issuer.claims("rita"))
    assert me(lonely, token).status_code == 200
    lonely.issuer.down = True
    provider._fetched -= 2 * HOUR
    assert me(lonely, token).status_code == 200
    provider._fetched -= 48 * HOUR
    provider._failed = float("-inf")
    answer = me(lonely, token)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    lonely.issuer.down = False
    provider._failed = float("-inf")
    assert me(lonely, token).status_code == 200


def test_an_issuer_that_calls_itself_something_else_is_not_believed(lonely: Site) -> None:
    provider = lonely.app.state.provider
    lonely.issuer.told_issuer = "https://login.example.com"
    provider._addresses, provider._keys = None, {}
    provider._fetched = provider._failed = float("-inf")
    try:
        assert me(lonely, lonely.issuer.token(lonely.issuer.claims("olga"))).status_code == 503
        assert lonely.browser().get("/auth/sign-in").status_code == 503
    finally:
        lonely.issuer.told_issuer = None
        provider._failed = float("-inf")
