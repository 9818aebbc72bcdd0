"""No route serves nobody, no act goes beyond a role, and no other site acts with somebody's cookie."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.responses import Response, StreamingResponse

from labelbridge.console.app import create_app
from labelbridge.console.auth import Person, Role
from labelbridge.console.problems import PROBLEM_JSON, status_of
from labelbridge.console.security import BODY_LIMIT, CSRF_HEADER, HEADERS, POLICY
from labelbridge.console.sessions import COOKIE
from labelbridge.errors import CATALOGUE, LabelbridgeError
from labelbridge.settings import Settings
from tests.console.serving import SESSION_KEY, Site

JSON = {"Content-Type": "application/json"}


@cache
def application() -> FastAPI:
    """A console that is not served, to look at."""
    console = {"base_url": "https://console.test", "issuer": "https://issuer.test", "client_id": "c"}
    return create_app(Settings(_env_file=None, console={**console, "session_key": SESSION_KEY}))


def routes() -> list[tuple[str, str]]:
    """Every method and address of the console, with something in place of each parameter."""
    contexts = [c for c in iter_route_contexts(application().routes) if getattr(c, "methods", None)]
    found = [(method, str(c.path)) for c in contexts for method in sorted(c.methods or ())]
    return [(method, re.sub(r"{[^}]+}", "x", path)) for method, path in found]


PUBLIC = {
    ("GET", "/auth/sign-in"),
    ("GET", "/auth/callback"),
    ("GET", "/auth/signed-out"),
    ("POST", "/auth/sign-out"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/problems/x"),
    ("GET", "/api/v1/openapi.json"),
    ("HEAD", "/api/v1/openapi.json"),
    ("OPTIONS", "/api/v1/eventgrid"),
}
"""What a stranger may ask for. None of it shows data or changes anything of anybody else."""


def test_there_are_routes_to_look_at() -> None:
    assert len(routes()) > 20
    assert set(routes()) > PUBLIC


@pytest.mark.parametrize(("method", "path"), sorted(set(routes()) - PUBLIC))
def test_every_route_refuses_whoever_is_not_signed_in(lonely: Site, method: str, path: str) -> None:
    with lonely.browser() as browser:
        answer = browser.request(method, path, follow_redirects=False)
    if path.startswith("/api/"):
        assert answer.status_code == 401
        assert answer.headers["content-type"] == PROBLEM_JSON
        assert answer.json()["code"] == "unauthenticated"
    else:
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/auth/sign-in?next=%2F")


def test_an_address_that_does_not_exist_is_not_told_to_strangers(lonely: Site) -> None:
    assert lonely.browser().get("/api/v1/secrets").status_code == 401
    assert lonely.program("rita").get("/api/v1/secrets").json()["code"] == "not_found"
    assert lonely.program("rita").post("/api/v1/me", json={}).json()["code"] == "method_not_allowed"


CONFIRMED = {"confirm": "tickets"}
JOB = {"workspace": "/subscriptions/s/resourceGroups/g/providers/P/workspaces/w", "name": "j"}
BLOB = {"account": "a", "container": "c", "name": "n"}
ACTS: dict[str, tuple[Role, dict[str, Any]]] = {
    "connect": (Role.OWNER, CONFIRMED | {"job": JOB}),
    "disconnect": (Role.OWNER, CONFIRMED),
    "import": (
        Role.OWNER,
        {
            "source": BLOB,
            "account": "a",
            "container": "c",
            "project_kind": "CustomEntityRecognition",
            "language": "en",
        },
    ),
    "switch": (Role.OPERATOR, {"to": "azureml"}),
    "sync": (Role.OPERATOR, {}),
    "train": (Role.OPERATOR, {"model": "m"}),
    "cancel": (Role.OPERATOR, {}),
    "reconcile": (Role.OPERATOR, {}),
    "preflight": (Role.READER, {"request": {"kind": "sync"}}),
}
BELOW = {Role.READER: "nora", Role.OPERATOR: "rita", Role.OWNER: "otto"}
"""Who has only the role below."""
ABOVE = {Role.READER: "rita", Role.OPERATOR: "otto", Role.OWNER: "olga"}


def test_every_act_of_the_api_is_in_the_table_of_roles() -> None:
    posted = {path.rpartition("/")[2] for method, path in routes() if method == "POST" and "/api/" in path}
    assert posted == set(ACTS) | {"uploads", "eventgrid", "fleet"}


@pytest.mark.parametrize("path", ["/api/v1/fleet", "/api/v1/fleet/x/cancel"])
def test_an_act_on_many_projects_needs_an_operator(lonely: Site, path: str) -> None:
    body = {"request": {"kind": "switch", "to": "azureml"}, "confirm": 1}
    refused = lonely.program("rita").post(path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    let_through = lonely.program("otto").post(path, json=body)
    assert (let_through.status_code, let_through.json()["code"]) == (503, "temporal_unreachable")


@pytest.mark.parametrize("act", ACTS)
def test_an_act_needs_its_role_and_no_more(lonely: Site, act: str) -> None:
    role, body = ACTS[act]
    path = f"/api/v1/projects/tickets/{act}?language_resource={JOB['workspace']}"
    refused = lonely.program(BELOW[role]).post(path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    assert f"Labelbridge.{role.title()}" in refused.json()["detail"]
    # Temporal is not there: whoever is let through learns that.
    let_through = lonely.program(ABOVE[role]).post(path, json=body)
    assert (let_through.status_code, let_through.json()["code"]) == (503, "temporal_unreachable")


@pytest.mark.parametrize("path", [p for m, p in routes() if m == "GET" and p.startswith("/api/v1/p")])
def test_reading_needs_a_role_too(lonely: Site, path: str) -> None:
    answer = lonely.program("nora").get(path, params={"language_resource": JOB["workspace"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


# Other sites.

ACT = f"/api/v1/projects/tickets/cancel?language_resource={JOB['workspace']}"


def headers_of(site: Site, browser: httpx.Client) -> dict[str, str]:
    return {"Origin": site.url, CSRF_HEADER: site.csrf(browser)}


def test_a_page_of_ours_acts_with_the_sessions_token(lonely: Site) -> None:
    browser = lonely.signed_in("olga")
    assert browser.post(ACT, headers=headers_of(lonely, browser)).json()["code"] == "temporal_unreachable"
    form = {"csrf_token": lonely.csrf(browser)}
    assert (
        browser.post(ACT, headers={"Origin": lonely.url}, data=form).json()["code"] == "temporal_unreachable"
    )


@pytest.mark.parametrize(
    "change",
    [
        {CSRF_HEADER: None},
        {CSRF_HEADER: ""},
        {CSRF_HEADER: "wrong"},
        {CSRF_HEADER: "é".encode().decode("latin-1")},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [ACT, "/auth/sign-out", "/api/v1/uploads"])
def test_a_request_from_elsewhere_does_nothing(
    lonely: Site, path: str, change: dict[str, str | None]
) -> None:
    browser = lonely.signed_in("olga")
    given = headers_of(lonely, browser) | change
    sent = {name.encode(): value.encode("latin-1") for name, value in given.items() if value is not None}
    answer = browser.post(path, headers=sent)
    assert answer.status_code == 403
    assert "cross_site" in answer.text
    assert browser.get("/api/v1/me").status_code == 200


def test_the_token_of_another_session_does_nothing(lonely: Site) -> None:
    mine, theirs = lonely.signed_in("olga"), lonely.signed_in("otto")
    given = headers_of(lonely, mine) | {CSRF_HEADER: lonely.csrf(theirs)}
    assert mine.post(ACT, headers=given).json()["code"] == "cross_site"


def test_a_program_needs_no_page(lonely: Site) -> None:
    assert lonely.program("olga").post(ACT).json()["code"] == "temporal_unreachable"


def test_a_cookie_beside_a_bad_token_does_not_help(lonely: Site) -> None:
    browser = lonely.signed_in("olga")
    sent = headers_of(lonely, browser) | {"Authorization": "Bearer x"}
    assert browser.post(ACT, headers=sent).status_code == 401


def test_htmx_is_sent_to_the_sign_in_as_a_whole_page(lonely: Site) -> None:
    sent = {"HX-Request": "true", "HX-Current-URL": f"{lonely.url}/projects/x"}
    answer = lonely.browser().get("/parts", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/auth/sign-in?next=%2Fprojects%2Fx"


# Sizes, headers, failures.


def test_a_body_is_bounded_whether_or_not_it_says_its_length(lonely: Site) -> None:
    program = lonely.program("olga")
    said = program.post(ACT, content=b"x" * (BODY_LIMIT + 1))
    assert (said.status_code, said.json()["code"]) == (413, "too_large")
    parts = (b"x" * 65_536 for _ in range(BODY_LIMIT // 65_536 + 1))
    unsaid = program.post(ACT, content=parts)
    assert (unsaid.status_code, unsaid.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/me", "/api/v1/none", "/healthz", "/auth/sign-in", "/auth/callback", "/static/none"]
)
def test_every_answer_carries_the_security_headers(lonely: Site, path: str) -> None:
    answer = lonely.browser().get(path, follow_redirects=False)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert path.startswith("/static/") or answer.headers["cache-control"] == "no-store"


def test_the_policy_allows_no_inline_script_or_style_and_no_frame() -> None:
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert "base-uri 'none'" in POLICY


async def test_a_failure_that_nobody_foresaw_says_nothing_of_the_inside() -> None:
    console = {"base_url": "https://console.test", "issuer": "https://issuer.test", "client_id": "c"}
    app = create_app(Settings(_env_file=None, console={**console, "session_key": SESSION_KEY}))

    async def broken() -> None:
        raise RuntimeError("the password is 1234")

    app.add_api_route("/api/v1/broken", broken)
    given = Response()
    app.state.sessions.open(Person(object_id="o", roles=frozenset({Role.OWNER})), given)
    cookie = given.headers["set-cookie"].partition(";")[0]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://console.test") as client:
        answer = await client.get("/api/v1/broken", headers={"Cookie": cookie})
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "1234" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_no_token_code_or_cookie_is_ever_logged(lonely: Site) -> None:
    from workers import logs

    written = io.StringIO()
    before = logging.getLogger().handlers[:]
    logs.configure(Settings(_env_file=None, log_level="debug", log_format="json"), stream=written)
    try:
        browser = lonely.signed_in("olga")
        browser.get("/api/v1/me")
        lonely.program("otto").get("/api/v1/me")
        lonely.program("otto", aud="other").get("/api/v1/me")
        browser.get("/auth/callback?code=a-secret-code&state=a-secret-state")
        secrets = [*lonely.issuer.issued, browser.cookies[COOKIE], "a-secret-code", lonely.csrf(browser)]
    finally:
        logging.getLogger().handlers = before
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert {line["path"] for line in lines if line.get("event") == "request"} >= {
        "/auth/callback",
        "/api/v1/me",
    }
    assert [secret for secret in secrets if secret in written.getvalue()] == []


# Problems.


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_has_a_status_and_a_page_that_explains_it(lonely: Site, code: str) -> None:
    assert 400 <= status_of(code) <= 599
    explained = lonely.browser().get(f"/problems/{code}").json()
    assert explained["title"] == CATALOGUE[code].title
    assert explained["remedy"] == CATALOGUE[code].remedy


def test_a_console_names_all_settings_that_it_misses() -> None:
    with pytest.raises(LabelbridgeError) as caught:
        create_app(Settings(_env_file=None))
    assert caught.value.code == "settings_invalid"
    for name in ("BASE_URL", "ISSUER", "CLIENT_ID", "SESSION_KEY"):
        assert f"LABELBRIDGE_CONSOLE__{name}" in caught.value.message


async def test_a_live_stream_ends_with_its_session() -> None:
    console = {"base_url": "https://console.test", "issuer": "https://issuer.test", "client_id": "c"}
    app = create_app(
        Settings(_env_file=None, console={**console, "session_key": SESSION_KEY, "session_idle": "PT2S"})
    )

    async def endless() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async def live() -> Response:
        return StreamingResponse(endless())

    app.add_api_route("/live-for-ever", live)
    given = Response()
    app.state.sessions.open(Person(object_id="o", roles=frozenset({Role.READER})), given)
    cookie = given.headers["set-cookie"].partition(";")[0]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://console.test"
    ) as client:
        answer = await client.get("/live-for-ever", headers={"Cookie": cookie})
        again = await client.get("/api/v1/me", headers={"Cookie": cookie})
    assert (answer.status_code, answer.content) == (200, b"first")
    assert again.status_code == 401
