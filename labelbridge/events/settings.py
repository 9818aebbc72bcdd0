"""Who is told of events, and how; who may tell us of exports.

Prevents a secret in a workflow's history: subscribers and their secrets stand here only, and workflows
know a subscriber's name. All workers of a namespace should have the same.
"""

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    IPvAnyNetwork,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

SUBSCRIBER_NAME = r"^[a-z0-9][a-z0-9\-]{0,62}$"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the scheme's own prefix, no secret
SubscriberName = Annotated[str, StringConstraints(pattern=SUBSCRIBER_NAME)]


def secret_bytes(secret: str) -> bytes:
    """The key in a Standard Webhooks secret: `whsec_` and 24 to 64 bytes in base64.

    Raises:
        ValueError: anything else.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret is `whsec_` and base64") from error
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("a secret is `whsec_` and the base64 of 24 to 64 bytes")
    return key


class Subscriber(BaseModel):
    """What both sorts of subscribers say."""

    types: tuple[str, ...] = ()
    """Event types that it gets, with `*` (`io.labelbridge.operation.*`); all if empty."""
    projects: tuple[str, ...] = ()
    """Names of the projects that it hears of, with `*`; all if empty."""


class WebhookSettings(Subscriber):
    """One webhook, signed as Standard Webhooks says."""

    url: str
    """`https://...`; `http://` only where `allow_networks` allows the address."""
    secrets: tuple[SecretStr, ...] = Field(min_length=1, max_length=4)
    """Every event is signed with each of them: for a rotation give the new and the old one."""

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
            raise ValueError("must be an https address")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not name a user: the signature says who sends")
        return value

    @field_validator("secrets")
    @classmethod
    def _well_formed(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in value:
            secret_bytes(secret.get_secret_value())
        return value


class TopicSettings(Subscriber):
    """One Azure Event Grid topic with the CloudEvents schema, reached by this process's identity."""

    endpoint: str = Field(pattern=r"^https://[^/?#@]+/")
    """The topic's endpoint, e.g. `https://NAME.westeurope-1.eventgrid.azure.net/api/events`."""


class EventSettings(BaseModel):
    """Events out and in."""

    webhooks: dict[SubscriberName, WebhookSettings] = Field(default_factory=dict)
    event_grid: dict[SubscriberName, TopicSettings] = Field(default_factory=dict)
    retries: tuple[timedelta, ...] = (
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=3),
        timedelta(hours=24),
    )
    """Waits before the second, third, ... attempt; after the last an event is a dead letter."""
    attempt_timeout: timedelta = timedelta(seconds=15)
    """From the name's look-up to the answer's end. Standard Webhooks advises 15 to 30 s."""
    waiting_limit: int = Field(default=500, ge=1, le=5000)
    """Events of one subscriber that wait for another attempt; with more, reading on waits too."""
    probe: timedelta = timedelta(minutes=5)
    """With that many waiting, the oldest is tried this often; when it succeeds all are tried."""
    answer_limit: int = Field(default=16_384, ge=0)
    """Bytes of an answer's body that are read, so that a receiver cannot fill our memory."""
    allow_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that webhooks may reach although they are private (e.g. `["10.2.0.0/16"]`)."""
    export_pattern: str = (
        r"(^|/)Labeling/export/((dataset|csv|coco|conll)/)?(?P<job>[^/]+)/.*\.(jsonl|csv|conll|txt)$"
    )
    """Paths of label exports; the group `job` is the labeling job's name. Azure publishes only the folder
    `Labeling/export/...`, the rest is our choice: look at one export of yours."""
    backstop: timedelta = timedelta(hours=6)
    """With `auto_sync: on_export`, a sync at least this often, for events that were lost; 0 for none."""
    event_grid_key: SecretStr | None = None
    """Shared secret that Event Grid may bring instead of an Entra token: `?key=` or `X-Labelbridge-Key`."""
    event_grid_origins: tuple[str, ...] = ("eventgrid.azure.net",)
    """Who may ask, by CloudEvents' OPTIONS handshake, to send events here."""
    body_limit: int = Field(default=1 << 20, ge=1)
    """Bytes of a delivery from Event Grid, whose own limit for a batch is 1 MB."""

    @field_validator("export_pattern")
    @classmethod
    def _names_the_job(cls, value: str) -> str:
        try:
            found = re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        if "job" not in found.groupindex:
            raise ValueError("must have a group `(?P<job>...)`")
        return value

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if twice := self.webhooks.keys() & self.event_grid.keys():
            raise ValueError(f"two subscribers are named {', '.join(sorted(twice))}")
        return self

    @property
    def subscribers(self) -> dict[str, Subscriber]:
        """All subscribers by name."""
        return {**self.webhooks, **self.event_grid}
