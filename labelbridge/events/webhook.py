"""One attempt to deliver one event to a webhook, as Standard Webhooks says.

Prevents three failures: a receiver that cannot know who sent (every event is signed, with each of the
subscriber's secrets), one that is believed too easily (only 2xx counts, redirects are not followed), and
one that keeps us busy (time and answer are bounded).
"""

import base64
import hashlib
import hmac
import ipaddress
import ssl
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from labelbridge.azure.errors import retry_after
from labelbridge.errors import LabelbridgeError
from labelbridge.events import addresses
from labelbridge.events.event import Event
from labelbridge.events.settings import EventSettings, WebhookSettings, secret_bytes
from labelbridge.model import Model
from labelbridge.redaction import redact_text

_ACCEPTED = range(200, 300)
_SAID = 200
"""Characters of a refusal that are kept, to help whoever looks for the cause."""


class Attempt(Model):
    """How one attempt ended."""

    delivered: bool
    status: int | None = None
    """HTTP status; None if there was no answer."""
    why: str = ""
    """Why it was not delivered."""
    gone: bool = False
    """The receiver said 410: it wants no more."""
    retry_after: timedelta | None = None
    """What the receiver asked for."""
    seconds: float = 0.0


def signature(event: Event, body: bytes, at: int, secrets: Iterable[str]) -> str:
    """`webhook-signature`: `v1,` and HMAC-SHA256 of `id.at.body`, one for each secret."""
    signed = f"{event.id}.{at}.".encode() + body
    macs = (hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


class Webhooks:
    """Sends events to webhooks; an async context manager that owns the connections."""

    def __init__(self, settings: EventSettings, ca_bundle: Path | None = None) -> None:
        """`ca_bundle` is a PEM file of authorities to trust; the system's if None."""
        self._settings = settings
        self._ca = ca_bundle
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        """Open the connection pools."""
        self._sessions = {scheme: self._opened(scheme) for scheme in ("https", "http")}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()

    def _opened(self, scheme: str) -> aiohttp.ClientSession:
        resolver = addresses.CheckedResolver(self._settings.allow_networks, only_allowed=scheme == "http")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver,
                use_dns_cache=False,
                ssl=ssl.create_default_context(cafile=str(self._ca) if self._ca else None),
            ),
            timeout=aiohttp.ClientTimeout(total=self._settings.attempt_timeout.total_seconds()),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy would connect for us, to wherever the name leads it
            auto_decompress=False,
        )

    async def send(self, hook: WebhookSettings, event: Event) -> Attempt:
        """Try once. Whatever the receiver does is an `Attempt`, never an exception."""
        began = time.monotonic()
        try:
            attempt = await self._send(URL(hook.url), hook, event)
        except LabelbridgeError as error:
            attempt = Attempt(delivered=False, why=str(error))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            attempt = Attempt(delivered=False, why=str(error) or type(error).__name__)
        return attempt.model_copy(update={"seconds": round(time.monotonic() - began, 3)})

    async def _send(self, url: URL, hook: WebhookSettings, event: Event) -> Attempt:
        self._check_literal(url)
        body, at = event.encoded(), int(datetime.now(UTC).timestamp())
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": "labelbridge",
            "webhook-id": event.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(
                event, body, at, (secret.get_secret_value() for secret in hook.secrets)
            ),
        }
        session = self._sessions[url.scheme]
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            said = await answer.content.read(self._settings.answer_limit)
            if answer.status in _ACCEPTED:
                return Attempt(delivered=True, status=answer.status)
            text = redact_text(said[:_SAID].decode("utf-8", "replace"))
            return Attempt(
                delivered=False,
                status=answer.status,
                why=f"{answer.status} {text}".strip(),
                gone=answer.status == 410,
                retry_after=retry_after(answer.headers),
            )

    def _check_literal(self, url: URL) -> None:
        """A host that is an address already, which no resolver sees."""
        host = url.host or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return
        addresses.check(host, host, self._settings.allow_networks, only_allowed=url.scheme == "http")


__all__ = ["Attempt", "Webhooks", "signature"]
