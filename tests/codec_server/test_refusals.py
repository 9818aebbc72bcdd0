"""Payloads are shown to signed-in people with the app role, from Temporal's UI or no page at all, and noted."""

import base64
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from labelbridge.codec_server import check_settings, create_app
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings
from tests.codec_server.conftest import NAMESPACE, ROLE, UI, CodecSite, sealed_by

SECRET = "a secret label"


def plain(answer: Any) -> list[Any]:
    return [json.loads(base64.b64decode(one["data"])) for one in answer.json()["payloads"]]


@pytest.mark.parametrize("path", ["/decode", f"/{NAMESPACE}/decode"])
def test_somebody_with_the_role_reads_payloads_and_the_log_says_who_and_how_many(
    site: CodecSite, sealed: dict[str, Any], path: str
) -> None:
    both = {"payloads": sealed["payloads"] * 2}
    with site.client(ROLE, **{"X-Namespace": NAMESPACE}) as client, capture_logs() as lines:
        answer = client.post(path, json=both)
    assert plain(answer) == [SECRET] * 2
    assert answer.headers["cache-control"] == "no-store"
    (line,) = [one for one in lines if one["event"] == "payloads_decoded"]
    assert (line["actor"], line["name"], line["payloads"]) == ("paula", "paula", 2)
    assert SECRET not in str(lines)


@pytest.mark.parametrize(
    "roles", [(), ("Labelbridge.Owner",), ("Labelbridge.Reader", "Labelbridge.Operator")]
)
def test_no_role_of_the_console_reads_payloads(
    site: CodecSite, sealed: dict[str, Any], roles: tuple[str, ...]
) -> None:
    with site.client(*roles) as client:
        answer = client.post("/decode", json=sealed)
    assert (answer.status_code, "role_missing" in answer.text) == (403, True)
    assert not answer.headers["content-type"].startswith("application/json")


def test_without_a_token_of_the_issuer_nothing_is_read(site: CodecSite, sealed: dict[str, Any]) -> None:
    stranger = site.issuer.token(site.issuer.claims("paula", roles=[ROLE], aud="another"))
    late = site.issuer.token(site.issuer.claims("paula", roles=[ROLE], exp=1))
    for header in (
        {},
        {"Authorization": "Basic x"},
        *({"Authorization": f"Bearer {t}"} for t in (stranger, late)),
    ):
        with site.bare(**header) as client:
            answer = client.post("/decode", json=sealed)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_ui_may_ask_from_a_browser(site: CodecSite, sealed: dict[str, Any]) -> None:
    with site.bare(Origin=UI) as browser:
        asked = browser.options(
            "/decode",
            headers={
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
            },
        )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == UI
    assert asked.headers["access-control-allow-headers"] == "authorization, content-type, x-namespace"
    assert "access-control-allow-credentials" not in asked.headers
    with site.client(ROLE, Origin=UI) as browser:
        answer = browser.post("/decode", json=sealed)
    assert (plain(answer), answer.headers["access-control-allow-origin"]) == ([SECRET], UI)
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://temporal.contoso.com", f"{UI}:444", f"{UI}.evil.example"],
)
def test_no_other_page_may_ask_even_with_a_good_token(
    site: CodecSite, sealed: dict[str, Any], origin: str
) -> None:
    with site.client(ROLE, Origin=origin) as browser:
        for answer in (browser.post("/decode", json=sealed), browser.options("/decode")):
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_encode_is_not_served_unless_asked_for(site: CodecSite, sealed: dict[str, Any]) -> None:
    with site.client(ROLE) as client:
        assert client.post("/encode", json=sealed).status_code == 404
        assert client.get("/decode").status_code == 405
    encoding = site.settings.codec_server.model_copy(update={"encode": True})
    paths = {
        getattr(r, "path", "")
        for r in create_app(site.settings.model_copy(update={"codec_server": encoding})).routes
    }
    assert "/encode" in paths


def test_what_cannot_be_decoded_is_400_and_names_the_key(site: CodecSite, sealed: dict[str, Any]) -> None:
    unknown = json.loads(json.dumps(sealed))
    unknown["payloads"][0]["metadata"]["encryption-key-id"] = base64.b64encode(b"gone").decode()
    changed = json.loads(json.dumps(sealed))
    changed["payloads"][0]["data"] = base64.b64encode(b"x" * 60).decode()
    with site.client(ROLE) as client:
        answers = [client.post("/decode", json=body) for body in (unknown, changed, {"payloads": 7})]
        answers.append(client.post("/decode", content=b"\xff{"))
        answers.append(client.post("/decode", json=sealed, headers={"X-Namespace": "other"}))
    assert [a.status_code for a in answers] == [400] * 5
    codes = [a.text.partition(":")[0] for a in answers]
    assert codes == ["encryption_key_unknown", "payload_unreadable", *["input_invalid"] * 3]
    assert "'gone'" in answers[0].text


async def test_a_payload_of_another_namespace_stays_shut(site: CodecSite) -> None:
    there = await sealed_by(site.settings, SECRET, namespace="other")
    with site.client(ROLE) as client:
        assert client.post("/decode", json=there).text.startswith("payload_unreadable")


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(site: CodecSite) -> None:
    with site.client(ROLE) as client:
        assert client.post("/decode", content=b" " * 100_001).status_code == 413
        assert client.post("/decode", content=iter([b" " * 60_000] * 2)).status_code == 413
        assert client.post("/decode", json={"payloads": [{}] * 1001}).status_code == 413


def test_health_is_open_and_says_nothing(site: CodecSite) -> None:
    with site.bare() as client:
        assert client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    ("left_out", "named"),
    [("encryption", "ENCRYPTION__KEYS_FILE"), ("codec_server", "CODEC_SERVER__ISSUER")],
)
def test_what_is_missing_is_named(site: CodecSite, left_out: str, named: str) -> None:
    bare = Settings(_env_file=None)
    with pytest.raises(LabelbridgeError, match=named):
        check_settings(site.settings.model_copy(update={left_out: getattr(bare, left_out)}))
