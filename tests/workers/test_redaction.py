"""No secret reaches a log, whatever field or sentence it hides in."""

import base64

import pytest

from workers.redaction import REDACTED, redact, redact_text

KEY = base64.b64encode(bytes(range(64))).decode()
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiJhYmMifQ.c2lnbmF0dXJl-_9"
SAS = "https://acct.blob.core.windows.net/c/b.json?sv=2025-01-05&se=2026-01-01&sr=b&sp=r&sig=aB3%2Fx%3D"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"GET {SAS} failed", "aB3%2Fx%3D"),
        (f"Authorization: Bearer {JWT}", JWT),
        (f"token was {JWT}.", JWT),
        (f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY};EndpointSuffix=x", KEY),
        (f"signed with {KEY}", KEY),
        ("Ocp-Apim-Subscription-Key: 0123456789abcdef", "0123456789abcdef"),
        ('{"client_secret": "hunter2hunter2"}', "hunter2hunter2"),
        ("SharedKey acct:Zm9vYmFyYmF6cXV4", "Zm9vYmFyYmF6cXV4"),
    ],
)
def test_a_secret_inside_a_text_is_taken_out(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize(
    "name",
    ["token", "access_token", "Authorization", "account_key", "sas", "client_secret", "IDENTITY_HEADER"],
)
def test_a_field_with_a_secret_name_is_taken_out_whole(name: str) -> None:
    event = redact(None, "info", {"event": "x", name: "anything", "deep": {"list": [{name: "anything"}]}})
    assert event[name] == REDACTED
    assert event["deep"]["list"][0][name] == REDACTED


def test_what_operators_need_stays_readable() -> None:
    words = {
        "event": "switch of contoso-1a2b3c4d.tickets: snapshot " + "9f" * 32,
        "project": "contoso-1a2b3c4d.tickets",
        "key": "the caller's idempotency key",
        "tokens_per_second": 4,
        "url": SAS.split("&sig")[0],
        "epoch": 7,
        "designation": "unsigned",
    }
    assert redact(None, "info", dict(words)) == words


def test_an_object_is_redacted_through_its_text() -> None:
    event = redact(None, "info", {"event": "x", "error": RuntimeError(f"refused: {SAS}")})
    assert "aB3" not in event["error"]
