"""Where a webhook may go, and how much a receiver may ask of us."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult
from pydantic import ValidationError
from standardwebhooks import Webhook

from labelbridge.events import addresses
from labelbridge.events.addresses import refused
from labelbridge.events.event import Event
from labelbridge.events.settings import EventSettings, WebhookSettings
from labelbridge.events.webhook import Attempt, Webhooks, signature
from tests.events.conftest import LOOPBACK, an_event
from tests.events.receiver import Receiver, new_secret

REFUSED = {
    "loopback": ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::"],
    "private": ["10.0.0.1", "172.16.5.4", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "shared by a carrier": ["100.64.0.1", "100.127.255.254"],
    "link-local": ["169.254.1.1", "fe80::1"],
    "metadata of a cloud": [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
    ],
    "for documents, tests and benchmarks": [
        "192.0.2.1",
        "198.51.100.7",
        "203.0.113.9",
        "198.18.0.1",
        "2001:db8::1",
    ],
    "multicast, broadcast, reserved": ["224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"],
    "IPv4 inside IPv6": [
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::7f00:1",
    ],
}
REACHED = ["8.8.8.8", "20.50.2.3", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", [one for group in REFUSED.values() for one in group])
def test_an_address_that_only_we_could_reach_is_refused(address: str) -> None:
    assert refused(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", REACHED)
def test_an_address_of_the_public_internet_is_reached_but_not_without_tls(address: str) -> None:
    assert not refused(ipaddress.ip_address(address))
    assert refused(ipaddress.ip_address(address), only_allowed=True)


def test_an_allowed_network_is_reached_and_nothing_beside_it() -> None:
    allowed = [ipaddress.ip_network("10.2.0.0/16"), ipaddress.ip_network("fd00:1::/32")]
    for address in ("10.2.3.4", "::ffff:10.2.3.4", "fd00:1::9"):
        assert not refused(ipaddress.ip_address(address), allowed, only_allowed=True)
    for address in ("10.3.0.1", "169.254.169.254", "fd00:2::1"):
        assert refused(ipaddress.ip_address(address), allowed)


async def _attempt(url: str, **settings: Any) -> Attempt:
    events = EventSettings.model_validate({"attempt_timeout": "PT30S", **settings})
    async with Webhooks(events) as webhooks:
        hook = WebhookSettings.model_validate({"url": url, "secrets": [new_secret()]})
        return await webhooks.send(hook, an_event())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "2130706433",
        "127.1",
        "0x7f.1",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_is_sent_to_this_machine_however_it_is_written(scheme: str, host: str) -> None:
    async with Receiver() as receiver:
        attempt = await _attempt(f"{scheme}://{host}:{receiver.port}/hook")
        assert not attempt.delivered
        assert attempt.status is None, attempt
        assert "address_refused" in attempt.why or "not a canonical IPv4 address" in attempt.why
        assert not receiver.got


class TwoFaced:
    """A name that resolves to an allowed address once, and to another afterwards."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        kind = socket.AF_INET
        return [ResolveResult(hostname=host, host=answer, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_a_connection_goes_to_the_address_that_was_checked_and_the_name_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: checked as one address, reached as another. A name server cannot be had here."""
    name = TwoFaced("127.0.0.1", "169.254.169.254")
    monkeypatch.setattr(addresses, "ThreadedResolver", lambda: name)
    async with Receiver() as receiver:
        events = EventSettings.model_validate({"allow_networks": [LOOPBACK]})
        async with Webhooks(events) as webhooks:
            settings = {"url": f"http://rebinding.example:{receiver.port}/hook", "secrets": [receiver.secret]}
            hook = WebhookSettings.model_validate(settings)
            first = await webhooks.send(hook, an_event())
            assert (first.delivered, name.asked) == (True, 1)
        async with Webhooks(events) as webhooks:  # a new connection: the second face
            second = await webhooks.send(hook, an_event())
    assert (second.delivered, name.asked) == (False, 2)
    assert "address_refused" in second.why


async def test_a_name_with_one_refused_address_among_others_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Both(TwoFaced):
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
            return [*await super().resolve(host, port), *await super().resolve(host, port)]

    monkeypatch.setattr(addresses, "ThreadedResolver", lambda: Both("127.0.0.1", "10.0.0.1"))
    async with Receiver() as receiver:
        attempt = await _attempt(f"http://both.example:{receiver.port}/hook", allow_networks=[LOOPBACK])
        assert "address_refused" in attempt.why
        assert not receiver.got


async def test_a_redirect_is_a_failure_and_is_not_followed() -> None:
    async with Receiver() as elsewhere:
        moved = web.Response(status=307, headers={"Location": elsewhere.url})
        async with Receiver(answer=lambda _: moved) as receiver:
            events = EventSettings.model_validate({"allow_networks": [LOOPBACK]})
            async with Webhooks(events) as webhooks:
                attempt = await webhooks.send(WebhookSettings.model_validate(receiver.settings), an_event())
            assert (attempt.delivered, attempt.status) == (False, 307)
        assert not elsewhere.got


@asynccontextmanager
async def _raw(answer: bytes, *, endless: bytes = b"") -> AsyncIterator[tuple[str, list[int]]]:
    """A server that answers with these bytes and then for ever with `endless`; counts what it could send."""
    sent: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        try:
            while endless:
                writer.write(endless)
                await writer.drain()
                sent.append(len(endless))
            await reader.read()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", sent


async def test_an_answer_without_end_is_cut_off() -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Length: 100000000000\r\n\r\n"
    async with _raw(head, endless=b"x" * 65536) as (url, sent):
        attempt = await _attempt(url, allow_networks=[LOOPBACK])
    assert attempt.status == 500
    assert len(attempt.why) < 300
    assert sum(sent) < 50_000_000


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    async with _raw(b"HTTP/1.1 200 OK\r\n") as (url, _):
        attempt = await _attempt(url, allow_networks=[LOOPBACK], attempt_timeout="PT0.3S")
    assert (attempt.delivered, attempt.status) == (False, None)
    assert attempt.why


def test_the_waits_between_attempts_are_those_that_are_promised() -> None:
    waits = ["0:00:05", "0:05:00", "0:30:00", "3:00:00", "1 day, 0:00:00"]  # docs/events.md, "Webhooks"
    assert [str(wait) for wait in EventSettings().retries] == waits


def test_a_signature_is_that_of_the_published_example() -> None:
    """Secret, id, time and signature of the example in Standard Webhooks' own documentation."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    event = an_event().model_copy(update={"id": "msg_p5jXN8AQM9LWM0D4loKWxJek"})
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(event, body, 1_614_265_330, [secret]) == expected


def test_a_changed_byte_spoils_the_signature() -> None:
    secret, event = new_secret(), an_event()
    from datetime import UTC, datetime

    at = int(datetime.now(UTC).timestamp())
    signed = signature(event, event.encoded(), at, [secret])
    headers = {"webhook-id": event.id, "webhook-timestamp": str(at), "webhook-signature": signed}
    assert Webhook(secret).verify(event.encoded(), headers)["id"] == event.id
    for changed in ({**headers, "webhook-id": "evt_other"}, {**headers, "webhook-timestamp": str(at + 1)}):
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(event.encoded(), changed)
    other = Event.model_validate({**event.model_dump(), "subject": "other"})
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(secret).verify(other.encoded(), headers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://a.example/"},
        {"url": "https://user:pass@a.example/"},
        {"url": "https:///x"},
        {"secrets": []},
        {"secrets": ["whsec_c2hvcnQ="]},
        {"secrets": ["c2VjcmV0"]},
        {"secrets": ["whsec_***"]},
    ],
)
def test_settings_of_a_webhook_that_could_not_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate({"url": "https://a.example/", "secrets": [new_secret()], **wrong})
